"""What stands in the proxies' configuration when no traffic was recorded that could show a fault.

Somebody who has only a config dump is told what it shows, and what else it would take to say why.
"""

from __future__ import annotations

from typing import Any

from meshdoctor.guide.diagnosis import NotChecked
from meshdoctor.guide.walk import Reader
from meshdoctor.mesh.delivered import services, without_endpoints
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import Want

_SHOWN = 8
_OBJECTS = ("Service", "Pod", "EndpointSlice")


def empty_clusters(mesh: MeshIndex, read: Reader) -> tuple[NotChecked, ...]:
    """The clusters without an endpoint, where the objects that would tell why were not read."""
    absent = [kind for kind in _OBJECTS if not mesh.known(kind)]
    proxies = mesh.inventory.proxies
    if not absent or not proxies:
        return ()
    wants: list[Want[Any]] = [want for pod in proxies for want in (ask.ProxyConfig(pod), ask.ProxyClusters(pod))]
    mesh.extend(read(mesh.snapshot.lacks(wants), mesh.snapshot))
    found: dict[str, list[str]] = {}
    for pod in proxies:
        config = mesh.config(pod)
        if config is None:
            continue
        answered = mesh.snapshot.value(ask.ProxyClusters(pod))
        statuses = {status.name: status for status in answered.cluster_statuses} if answered else {}
        for cluster in without_endpoints(config, statuses):
            behind = services(cluster)
            what = f"cluster {cluster.name} has no endpoint; nothing more can be said without " + (
                f"Service {behind[0]}, its pods and EndpointSlices" if behind else f"the {', '.join(absent)} objects"
            )
            found.setdefault(what, []).append(str(pod))
    told = [
        NotChecked("no-healthy-upstream", f"{what} (in {pods[0]}{f' and {len(pods) - 1} more' if pods[1:] else ''})")
        for what, pods in found.items()
    ]
    rest = len(told) - _SHOWN
    more = (NotChecked("no-healthy-upstream", f"{rest} more clusters have no endpoint"),) if rest > 0 else ()
    return (*told[:_SHOWN], *more)
