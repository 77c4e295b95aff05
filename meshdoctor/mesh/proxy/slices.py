"""A proxy's endpoints against the EndpointSlices: the one rule for what istiod cannot have told it.

Only what surely comes from the slices of this cluster is judged. Addresses of other clusters, of machines
(WorkloadEntry, ServiceEntry) and of waypoints are in no slice of the Service and are right all the same; a Service
whose `internalTrafficPolicy` is `Local` has only the endpoints of the proxy's node; and news need their time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.injection import namespace_labels
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model import wants as ask
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.endpoint import LbEndpoint
from meshdoctor.model.moment import unix
from meshdoctor.model.names import parse_cluster_name
from meshdoctor.model.snapshot import Missing, PodRef

ON_THE_WAY = 10.0
"""For so many seconds a change of the slices may not have come to a proxy: istiod gathers changes for at most that
long before it pushes them (PILOT_DEBOUNCE_MAX)."""

_CHANGED = "endpoints.kubernetes.io/last-change-trigger-time"
_WAYPOINT_LABELS = ("istio.io/use-waypoint", "istio.io/ingress-use-waypoint")


class EndpointDifference(NamedTuple):
    """One cluster of a proxy against the EndpointSlices: the *old* addresses that it still has, the *new* it lacks."""

    cluster: str
    service: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    listed: tuple[str, ...] = ()
    """What the slices have, ready or not."""


class _Scope(NamedTuple):
    """What of a proxy's endpoints may be judged."""

    cluster_id: str
    several_clusters: bool
    machines: frozenset[str]
    entry_hosts: frozenset[str]
    """Hosts of ServiceEntries: their endpoints join those of a Service of the same name."""
    all_read: bool
    """Whether the machines of every namespace are known."""
    read_at: float | None


def endpoint_differences(mesh: MeshIndex, pod: PodRef) -> list[EndpointDifference]:
    """The proxy's load assignments that are not what the EndpointSlices say; both must have been read whole."""
    config = mesh.config(pod)
    if config is None or not config.has("EndpointsConfigDump"):
        return []
    scope = _scope(mesh, pod, config)
    found = []
    for entry in config.clusters:
        name = parse_cluster_name(entry.name)
        service = mesh.service_by_host(name.host) if name.direction == "outbound" and not name.subset else None
        if service is None or entry.body.type != "EDS" or entry.state == "warming":
            continue
        if not mesh.complete("EndpointSlice", service.namespace):
            continue
        assigned = config.load_assignment(entry.body)
        if assigned is None or _has_waypoint(mesh, service):
            continue
        slices = _of_port(mesh, service, name.port)
        if _just_changed(slices, scope.read_at):
            continue
        held = {address: endpoint for endpoint in assigned.all if (address := endpoint.endpoint.address.endpoint_ip)}
        listed = {address for part in slices for one in part.endpoints or () for address in one.addresses}
        # What a ServiceEntry that was not read adds is in no slice either.
        told = scope.all_read and name.host not in scope.entry_hosts
        old = set(_ours(held, scope)) - listed if told else set()
        new = set() if service.spec.internal_traffic_policy == "Local" else _ready(slices, held) - held.keys()
        if old or new:
            parts = (tuple(sorted(addresses)) for addresses in (old, new, listed))
            found.append(EndpointDifference(entry.name, service.key, *parts))
    return found


def _scope(mesh: MeshIndex, pod: PodRef, config: ConfigDump) -> _Scope:
    known = {record.cluster_id for records in mesh.sync_records.values() for record in records if record.cluster_id}
    own = str(config.bootstrap.node.get("metadata", {}).get("CLUSTER_ID", "")) if config.bootstrap else ""
    dump = mesh.snapshot.get(ask.ProxyConfig(pod))
    entries = mesh.objects("ServiceEntry", istio.ServiceEntry)
    machines = {entry.spec.address for entry in mesh.objects("WorkloadEntry", istio.WorkloadEntry)}
    machines |= {endpoint.address for entry in entries for endpoint in entry.spec.endpoints}
    return _Scope(
        own,
        len(known | ({own} if own else set())) > 1,
        frozenset(machines),
        frozenset(host for entry in entries for host in entry.spec.hosts),
        not any(_is_unread(mesh, kind) for kind in ("WorkloadEntry", "ServiceEntry")),
        mesh.snapshot.info.finished_at if isinstance(dump, Missing) else dump.origin.read_at,
    )


def _is_unread(mesh: MeshIndex, kind: str) -> bool:
    """Whether there may be objects of *kind* that could not be read; a cluster without the kind has none."""
    found = mesh.snapshot.get(ask.Objects(kind))
    if isinstance(found, Missing):
        return found.reason not in ("not recorded", "not asked for")
    return bool(found.problems) or mesh.in_part(kind)


def _has_waypoint(mesh: MeshIndex, service: k8s.Service) -> bool:
    """Whether istiod may have put a waypoint in the place of the Service's endpoints."""
    labels = {**namespace_labels(mesh, service.namespace), **service.metadata.labels}
    return any(labels.get(name, "none") not in ("", "none", "false") for name in _WAYPOINT_LABELS)


def _just_changed(slices: Iterable[k8s.EndpointSlice], read_at: float | None) -> bool:
    changes = (unix(part.metadata.annotations.get(_CHANGED)) for part in slices)
    return read_at is not None and any(changed is not None and changed > read_at - ON_THE_WAY for changed in changes)


def _ours(held: Mapping[str, LbEndpoint], scope: _Scope) -> Iterator[str]:
    """The addresses that must be in a slice of this cluster."""
    for address, endpoint in held.items():
        workload = endpoint.metadata.filter_metadata.get("istio", {}).get("workload")
        # istiod writes `NAME;NAMESPACE;CANONICAL;REVISION;CLUSTER`; a gateway to another network has no name
        # (pilot/pkg/networking/util, BuildLbEndpointMetadata, 1.8 to 1.32).
        parts = workload.split(";") if isinstance(workload, str) else []
        if len(parts) == 5 and scope.cluster_id:
            local = bool(parts[0]) and parts[4] in ("", scope.cluster_id)
        else:
            local = not scope.several_clusters
        if local and address not in scope.machines:
            yield address


def _of_port(mesh: MeshIndex, service: k8s.Service, port: int | None) -> list[k8s.EndpointSlice]:
    """The slices that have the Service's port of that number, by its name as Kubernetes joins them."""
    names = {entry.name or "" for entry in service.spec.ports if entry.port == port}
    return [part for part in mesh.slices(service) if names & {entry.name or "" for entry in part.ports or ()}]


def _ready(slices: Iterable[k8s.EndpointSlice], held: Iterable[str]) -> set[str]:
    """The ready addresses; only of the families that the proxy already has, as a pod has one address in each."""
    families = {_family(address) for address in held} or {4}
    found = {
        address
        for part in slices
        for one in part.endpoints or ()
        if one.conditions.ready is not False
        for address in one.addresses[:1]
    }
    return {address for address in found if _family(address) in families}


def _family(address: str) -> int:
    try:
        return ipaddress.ip_address(address).version
    except ValueError:
        return 0
