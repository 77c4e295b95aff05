"""How each endpoint of a dump is spoken to: its cluster's transport sockets, chosen by the marks that istiod sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from meshdoctor.mesh.proxy import eds
from meshdoctor.mesh.proxy.cluster_type import STATIC, ClusterType, discovery, has_hosts
from meshdoctor.mesh.proxy.part import NoSectionError, read_part
from meshdoctor.mesh.proxy.tls_summary import HBONE, MUTUAL, PLAIN, SocketMatch, TransportSocket, endpoint_tls
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.sections import Sections


class _Named(msgspec.Struct, gc=False):
    service_name: str = ""
    cluster_name: str = ""


class _Cluster(msgspec.Struct, gc=False):
    name: str = ""
    type: str | int = STATIC
    cluster_type: ClusterType | None = None
    eds_cluster_config: _Named | None = None
    load_assignment: _Named | None = None
    transport_socket: TransportSocket | None = None
    transport_socket_matches: list[SocketMatch] = []


class _Entry(msgspec.Struct, gc=False):
    cluster: _Cluster | None = None


class _Clusters(msgspec.Struct, gc=False):
    dynamic_warming_clusters: list[_Entry] = []
    dynamic_active_clusters: list[_Entry] = []
    static_clusters: list[_Entry] = []


class Transports:
    """The transport sockets of a dump's clusters; none are known of a dump without clusters."""

    def __init__(self, sections: Sections) -> None:
        self._clusters: dict[str, _Cluster] = {}
        try:
            found = read_part(sections, "ClustersConfigDump", _Clusters, keep=False)
        except NoSectionError:
            return
        except UnreadableError as error:
            sections.problems.append(str(error))
            return
        for entry in (*found.dynamic_warming_clusters, *found.dynamic_active_clusters, *found.static_clusters):
            if entry.cluster is not None:
                for name in _names(entry.cluster):
                    self._clusters[name] = entry.cluster

    def towards(self, cluster: str, marks: Mapping[str, object]) -> str:
        """What an endpoint with these *marks* gets; *cluster* is its own name or that of its endpoints.

        Without the cluster it is what the endpoint is ready for.
        """
        known = self._clusters.get(cluster)
        if known is not None:
            return endpoint_tls(known.transport_socket, known.transport_socket_matches, marks)
        if marks.get("tunnel"):
            return HBONE
        mode = marks.get("tlsMode")
        return MUTUAL if mode == "istio" else str(mode or PLAIN)

    def has_hosts(self, cluster: str) -> bool | None:
        """Whether it should have hosts of its own, by its type; None of a cluster that is not known."""
        known = self._clusters.get(cluster)
        return None if known is None else has_hosts(discovery(known.type, known.cluster_type))


def _names(cluster: _Cluster) -> tuple[str, ...]:
    sent = cluster.eds_cluster_config.service_name if cluster.eds_cluster_config else ""
    fixed = cluster.load_assignment.cluster_name if cluster.load_assignment else ""
    return tuple(name for name in (sent, fixed, cluster.name) if name)


class FilterMetadata(msgspec.Struct, gc=False):
    socket_match: dict[str, object] = msgspec.field(name="envoy.transport_socket_match", default={})
    istio: dict[str, object] = {}


class Metadata(msgspec.Struct, gc=False):
    filter_metadata: FilterMetadata = msgspec.field(default_factory=FilterMetadata)


class LbEndpoint(eds.LbEndpoint, gc=False):
    metadata: Metadata | None = None
    load_balancing_weight: int = 1

    @property
    def marks(self) -> Mapping[str, object]:
        return self.metadata.filter_metadata.socket_match if self.metadata else {}

    @property
    def workload(self) -> str:
        """`namespace/workload` as istiod wrote it (`workload;namespace;...`), or "-"."""
        text = str(self.metadata.filter_metadata.istio.get("workload") or "") if self.metadata else ""
        parts = text.split(";")
        return f"{parts[1]}/{parts[0]}" if len(parts) > 1 else text or "-"


class Group(eds.LocalityEndpoints, gc=False):
    lb_endpoints: list[LbEndpoint] = []  # type: ignore[assignment]
    priority: int = 0


class Assignment(msgspec.Struct, gc=False):
    cluster_name: str = ""
    endpoints: list[Group] = []


class _Assigned(msgspec.Struct, gc=False):
    endpoint_config: Assignment | None = None


class _Endpoints(msgspec.Struct, gc=False):
    dynamic_endpoint_configs: list[_Assigned] = []
    static_endpoint_configs: list[_Assigned] = []


def assignments(sections: Sections) -> list[Assignment]:
    """Every load assignment with its endpoints' marks; raises `UnreadableError`."""
    found = read_part(sections, eds.SECTION, _Endpoints, keep=False)
    entries = (*found.dynamic_endpoint_configs, *found.static_endpoint_configs)
    return [entry.endpoint_config for entry in entries if entry.endpoint_config is not None]


class Spoken(NamedTuple):
    """How the endpoints of a dump are spoken to, by cluster and address."""

    transports: Transports
    modes: Mapping[tuple[str, str], str]

    def to(self, cluster: str, address: str) -> str:
        """*address* as `ip:port`; one that DNS found has no marks of its own."""
        return self.modes.get((cluster, address)) or self.transports.towards(cluster, {})


def spoken(sections: Sections) -> Spoken:
    """Raises `UnreadableError` when the endpoints cannot be read; a dump without them has no marks."""
    transports = Transports(sections)
    modes: dict[tuple[str, str], str] = {}
    try:
        found = assignments(sections)
    except NoSectionError:
        found = []
    for assignment in found:
        name = assignment.cluster_name
        for group in assignment.endpoints:
            for endpoint in group.lb_endpoints:
                for address in eds.addresses_of(endpoint.endpoint)[0]:
                    modes[name, address] = transports.towards(name, endpoint.marks)
    return Spoken(transports, modes)
