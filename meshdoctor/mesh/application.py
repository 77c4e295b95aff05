"""Which application a proxy's line is about: the one that the proxy itself connects to, with no other proxy between."""

from __future__ import annotations

from meshdoctor.mesh.ambient import is_captured
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.traffic import SERVER, Seen
from meshdoctor.model.pods import has_proxy
from meshdoctor.model.snapshot import PodRef


def application_of(mesh: MeshIndex, seen: Seen) -> PodRef | None:
    """The pod whose application the proxy of a line talks to itself: behind its sidecar, or a pod without one."""
    if seen.side == SERVER:
        return seen.pod if seen.cluster and seen.cluster.inbound else None
    pod = mesh.pod_by_ip(seen.upstream[0])
    if pod is None or has_proxy(pod) or is_captured(pod):
        return None
    return pod.ref
