"""What the proxies themselves tell of a Service, where the cluster's objects were not read.

istiod writes into a cluster's metadata which Services it stands for (pilot/pkg/networking/core/cluster_builder.go,
`addTelemetryMetadata`), and gives a proxy an inbound cluster for each port of every Service that selects its pod, ready
or not (pilot/pkg/networking/core/cluster.go, `buildInboundClusters`). So a caller's dump says that a Service has no
endpoint, and the dumps of the pods behind it say whether the Service selects them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model import wants as ask
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.endpoint import ClusterStatus
from meshdoctor.model.names import parse_cluster_name
from meshdoctor.model.snapshot import PodRef

_NAMES = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app", "k8s-app")


class ServiceName(NamedTuple):
    """A Service; `str()` is `namespace/name`."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def services(cluster: Cluster) -> tuple[ServiceName, ...]:
    """The Services that a cluster stands for, as istiod names them; none for hosts that are no Service."""
    entries = cluster.istio.get("services")
    return tuple(
        ServiceName(str(entry.get("namespace", "")), str(entry.get("name", "")))
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and entry.get("name")
    )


def without_endpoints(config: ConfigDump, statuses: Mapping[str, ClusterStatus]) -> Iterator[Cluster]:
    """The clusters that wait for endpoints of istiod's and have none; those of which nothing is known are left out."""
    delivered = config.has("EndpointsConfigDump")
    for resource in config.clusters:
        cluster = resource.body
        if cluster.type != "EDS" or parse_cluster_name(cluster.name).direction != "outbound":
            continue
        status = statuses.get(cluster.name)
        if status is not None:
            if not status.host_statuses:
                yield cluster
        elif delivered:
            assignment = config.load_assignment(cluster)
            if assignment is not None and not assignment.all:
                yield cluster


def candidates(mesh: MeshIndex, service: ServiceName) -> tuple[PodRef, ...]:
    """The proxies in the Service's namespace whose pods bear its name: those that one would expect behind it."""
    found = []
    for pod in mesh.inventory.proxies:
        info = mesh.snapshot.value(ask.ProxyServerInfo(pod)) if pod.namespace == service.namespace else None
        if info is None:
            continue
        labels = info.node.metadata.get("LABELS")
        names = {labels.get(name) for name in _NAMES} if isinstance(labels, dict) else set()
        if service.name in names | {info.node.metadata.get("WORKLOAD_NAME"), mesh.workload(pod).name}:
            found.append(pod)
    return tuple(found)


def serves(config: ConfigDump, service: ServiceName) -> bool | None:
    """Whether istiod made the pod of *config* a server of *service*; None when its inbound clusters do not tell."""
    inbound = [entry.body for entry in config.clusters if parse_cluster_name(entry.name).inbound]
    ports = [cluster for cluster in inbound if cluster.name.startswith("inbound|")]
    if any(service in services(cluster) for cluster in ports):
        return True
    # A Sidecar with an ingress of its own gets inbound clusters that name no Service.
    return None if any(not services(cluster) for cluster in ports) else False


def selected(mesh: MeshIndex, pods: Iterable[PodRef], service: ServiceName) -> dict[PodRef, bool]:
    """For each of *pods* that tells, whether *service* selects it."""
    found = {pod: serves(config, service) for pod in pods if (config := mesh.config(pod)) is not None}
    return {pod: answer for pod, answer in found.items() if answer is not None}
