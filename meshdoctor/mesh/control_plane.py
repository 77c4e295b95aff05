"""istiod and its connections: is it there, which proxies does it not know, whose endpoints are old?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from meshdoctor.mesh.connections import connections
from meshdoctor.mesh.finding import Evidence, Resource
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.proxies import istiods
from meshdoctor.mesh.proxy.slices import endpoint_differences
from meshdoctor.mesh.quoting import config_says, listed, object_says
from meshdoctor.mesh.sync_types import ERROR, TypeSync, rejection, type_states
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.labels import ISTIOD, selects
from meshdoctor.model.pods import PROXY_CONTAINER, has_proxy, is_ready
from meshdoctor.model.snapshot import PodRef


class Trouble(NamedTuple):
    """Something wrong with the control plane, in a verdict's words."""

    summary: str
    resources: tuple[Resource, ...]
    evidence: tuple[Evidence, ...]
    fix: str


def istiod_pods(mesh: MeshIndex) -> tuple[k8s.Pod, ...]:
    return tuple(pod for pod in mesh.pods.values() if selects(ISTIOD, pod.metadata.labels))


def istiod_down(mesh: MeshIndex) -> Trouble | None:
    """That no istiod is ready; None when one is, or when the pods could not be read."""
    if any(is_ready(pod) for pod in istiod_pods(mesh)):
        return None
    deployments = [
        found
        for found in mesh.objects("Deployment", k8s.Workload)
        if selects(ISTIOD, found.spec.template.metadata.labels)
    ]
    if not deployments or not mesh.complete("Pod", *(one.namespace for one in deployments)):
        return None
    resources = tuple(Resource("Deployment", one.namespace, one.name, "spec.replicas") for one in deployments)
    replicas = deployments[0].spec.replicas
    how = "is scaled to 0" if replicas == 0 else "has no ready pod"
    return Trouble(
        f"istiod ({resources[0]}) {how}",
        resources,
        (object_says(mesh, "Deployment", deployments[0], f"spec.replicas {replicas}, no pod of istiod is Ready"),),
        f"Bring {resources[0]} back; proxies take up new endpoints and certificates by themselves.",
    )


def absent_proxies(mesh: MeshIndex) -> Mapping[PodRef, tuple[Evidence, ...]]:
    """Proxies that run but that no istiod knows, although istiods were read and know others.

    A proxy that is cut off disappears from syncz within seconds; it is never shown as STALE (istiod 1.32).
    """
    read = [istiod for istiod in istiods(mesh) if istiod.records is not None]
    # A proxy is connected to one of several istiods (of other revisions too): all that are ready must have been read.
    names = {istiod.name for istiod in read}
    unread = [pod for pod in istiod_pods(mesh) if is_ready(pod) and pod.name not in names]
    known = connections(read)
    if unread or not known:
        return {}
    return {
        ref: (
            Evidence(
                f"{ref} is known to no istiod; {len(known)} other proxies are",
                f"istiod/{read[0].name}/syncz.json",
                ref.name,
            ),
        )
        for ref, pod in mesh.pods.items()
        if has_proxy(pod) and ref not in known and _proxy_runs(pod)
    }


def stale_records(mesh: MeshIndex, pod: PodRef, now: float | None) -> list[Evidence]:
    """Types that istiod sent and the proxy has not acknowledged for longer than a push takes, without an error."""
    if now is None:
        return []
    return [
        Evidence(_unacknowledged(sync), mesh.sync_file(pod), str(pod)) for sync in _states(mesh, pod, now) if sync.late
    ]


def _states(mesh: MeshIndex, pod: PodRef, now: float) -> Iterator[TypeSync]:
    return (sync for record in mesh.sync_records.get(pod, ()) for sync in type_states(record, now))


def _kind(sync: TypeSync) -> str:
    return sync.url.rpartition(".")[2]


def _unacknowledged(sync: TypeSync) -> str:
    if sync.age is None:  # istiod before 1.23 does not say when
        return f"{_kind(sync)} was sent and never acknowledged"
    return f"{_kind(sync)} was sent {sync.age:.0f} s ago and never acknowledged"


def _proxy_runs(pod: k8s.Pod) -> bool:
    statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
    return pod.metadata.deletion_timestamp is None and any(
        status.name == PROXY_CONTAINER and status.ready for status in statuses
    )


def stale_endpoints(mesh: MeshIndex, pod: PodRef) -> list[Evidence]:
    """Clusters of a proxy that still have addresses which the Service's EndpointSlices have not (both were read)."""
    return [
        config_says(
            pod,
            f"it still holds {listed(found.old)} for {found.service}; the EndpointSlices have "
            f"{listed(found.listed) or 'none'}",
            found.cluster,
        )
        for found in endpoint_differences(mesh, pod)
        if found.old
    ]


def rejected(mesh: MeshIndex, pod: PodRef) -> list[Evidence]:
    """Updates that a proxy refused (NACK): istiod's record of the error, and the listeners' error state."""
    found = [
        Evidence(f"{_kind(sync)} rejected: {_why(sync.error)}", mesh.sync_file(pod), f"{pod} {_kind(sync)}")
        for sync in _states(mesh, pod, 0.0)
        if sync.status == ERROR
    ]
    config = mesh.config(pod)
    return found + (_rejected_listeners(config, pod) if config else [])


def _rejected_listeners(config: ConfigDump, pod: PodRef) -> list[Evidence]:
    return [
        config_says(pod, f"listener {entry.name} rejected: {_why(entry.error.details)}", entry.name)
        for entry in config.listeners
        if entry.error
    ]


def _why(error: str) -> str:
    """What the rejection says; of a long one the end, where Envoy says what is wrong."""
    return rejection(error)[-220:].lstrip("}: ")
