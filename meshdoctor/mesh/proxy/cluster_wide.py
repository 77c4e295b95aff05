"""`proxy-config cluster -o wide`: also clusters that warm or were refused, their TLS, hosts and limits."""

from __future__ import annotations

from operator import itemgetter

import msgspec

from meshdoctor.mesh.proxy.cluster import SECTION, ClusterFilter
from meshdoctor.mesh.proxy.naming import Metadata, managed_by, subset_key
from meshdoctor.mesh.proxy.part import NoSectionError, read_part
from meshdoctor.mesh.proxy.rejected import UpdateFailureState
from meshdoctor.mesh.proxy.tls_summary import SocketMatch, TransportSocket, cluster_tls
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.sections import Sections
from meshdoctor.model.names import SPECIAL_CLUSTERS

HEADER = ("CLUSTER", "PORT", "SUBSET", "DIRECTION", "TYPE", "STATE", "TLS", "HOSTS", "LIMITS", "OUTLIER", "MANAGED BY")
NO_HOSTS = "0 (NONE)"
_UNLIMITED = 4294967295


class _Threshold(msgspec.Struct, gc=False):
    priority: str = "DEFAULT"
    max_connections: int = _UNLIMITED
    max_pending_requests: int = _UNLIMITED
    max_requests: int = _UNLIMITED
    max_retries: int = _UNLIMITED


class _Breakers(msgspec.Struct, gc=False):
    thresholds: list[_Threshold] = []


class _Outlier(msgspec.Struct, gc=False):
    consecutive_5xx: int | None = None
    consecutive_gateway_failure: int | None = None
    base_ejection_time: str = ""
    max_ejection_percent: int | None = None


class _EdsConfig(msgspec.Struct, gc=False):
    service_name: str = ""


class _Locality(msgspec.Struct, gc=False):
    lb_endpoints: list[_LbEndpoint] = []


class _LbEndpoint(msgspec.Struct, gc=False):
    health_status: str = "UNKNOWN"


class _Assignment(msgspec.Struct, gc=False):
    cluster_name: str = ""
    endpoints: list[_Locality] = []

    @property
    def counts(self) -> tuple[int, int]:
        """How many endpoints can be used, and how many there are."""
        states = [endpoint.health_status for group in self.endpoints for endpoint in group.lb_endpoints]
        return sum(state in ("UNKNOWN", "HEALTHY", "DEGRADED") for state in states), len(states)


class _Type(msgspec.Struct, gc=False):
    name: str = ""


class _Cluster(msgspec.Struct, gc=False):
    name: str = ""
    type: str = "STATIC"
    cluster_type: _Type | None = None
    metadata: Metadata | None = None
    transport_socket: TransportSocket | None = None
    transport_socket_matches: list[SocketMatch] = []
    circuit_breakers: _Breakers | None = None
    outlier_detection: _Outlier | None = None
    eds_cluster_config: _EdsConfig | None = None
    load_assignment: _Assignment | None = None


class _Entry(msgspec.Struct, gc=False):
    cluster: _Cluster | None = None
    error_state: UpdateFailureState | None = None


class _Clusters(msgspec.Struct, gc=False):
    static_clusters: list[_Entry] = []
    dynamic_active_clusters: list[_Entry] = []
    dynamic_warming_clusters: list[_Entry] = []


class _EndpointEntry(msgspec.Struct, gc=False):
    endpoint_config: _Assignment | None = None


class _Endpoints(msgspec.Struct, gc=False):
    static_endpoint_configs: list[_EndpointEntry] = []
    dynamic_endpoint_configs: list[_EndpointEntry] = []


def wide_clusters(sections: Sections, chosen: ClusterFilter) -> TextTable:
    """A row per cluster in any state; HOSTS are usable/all, `?` where the dump has no endpoints."""
    known = sections.once(HEADER, lambda: _rows(sections))
    return TextTable(HEADER, [row for name, row in known if chosen.keeps(name)], padding=2)


def _rows(sections: Sections) -> list[tuple[str, Cells]]:
    """Every cluster's name and row, in order."""
    found = read_part(sections, SECTION, _Clusters, keep=False)
    hosts = _hosts(sections)
    states = (
        ("active", found.dynamic_active_clusters),
        ("static", found.static_clusters),
        ("WARMING", found.dynamic_warming_clusters),
    )
    rows = []
    for state, entries in states:
        for entry in entries:
            cluster = entry.cluster
            if cluster is not None:
                shown = f"{state}, UPDATE REFUSED" if entry.error_state else state
                rows.append((subset_key(cluster.name), cluster.name, _row(cluster, shown, hosts)))
    rows.sort(key=itemgetter(0))
    return [(name, row) for _, name, row in rows]


def _hosts(sections: Sections) -> dict[str, tuple[int, int]] | None:
    try:
        found = read_part(sections, "EndpointsConfigDump", _Endpoints, keep=False)
    except NoSectionError:
        return None
    except UnreadableError as error:
        sections.problems.append(str(error))
        return None
    entries = (*found.static_endpoint_configs, *found.dynamic_endpoint_configs)
    return {
        entry.endpoint_config.cluster_name: entry.endpoint_config.counts for entry in entries if entry.endpoint_config
    }


def _row(cluster: _Cluster, state: str, hosts: dict[str, tuple[int, int]] | None) -> Cells:
    key = subset_key(cluster.name)
    where = (key.host or cluster.name, str(key.port or "-"), key.subset or "-", key.direction or "-")
    tls = cluster_tls(cluster.transport_socket, cluster.transport_socket_matches)
    counted = _host_cell(cluster, hosts)
    rule = managed_by(cluster.metadata) or "-"
    kind = cluster.cluster_type.name if cluster.cluster_type else cluster.type
    return (*where, kind, state, tls, counted, _limits(cluster), _outlier(cluster), rule)


def _host_cell(cluster: _Cluster, hosts: dict[str, tuple[int, int]] | None) -> str:
    if cluster.type == "ORIGINAL_DST" or (cluster.name in SPECIAL_CLUSTERS and not cluster.load_assignment):
        return "-"  # has no hosts of its own, by design
    if cluster.load_assignment:
        usable, total = cluster.load_assignment.counts
    elif hosts is None:
        return "?"
    else:
        service = cluster.eds_cluster_config.service_name if cluster.eds_cluster_config else ""
        usable, total = hosts.get(service or cluster.name, (0, 0))
    return f"{usable}/{total}" if total else NO_HOSTS


def _limits(cluster: _Cluster) -> str:
    """Circuit breaker limits that are lower than none: connections, pending, requests, retries."""
    thresholds = cluster.circuit_breakers.thresholds if cluster.circuit_breakers else []
    default = next((entry for entry in thresholds if entry.priority == "DEFAULT"), _Threshold())
    named = (
        ("conn", default.max_connections),
        ("pending", default.max_pending_requests),
        ("req", default.max_requests),
        ("retry", default.max_retries),
    )
    return " ".join(f"{name}={value}" for name, value in named if value != _UNLIMITED) or "-"


def _outlier(cluster: _Cluster) -> str:
    outlier = cluster.outlier_detection
    if outlier is None:
        return "-"
    named = (
        ("5xx", outlier.consecutive_5xx),
        ("gateway", outlier.consecutive_gateway_failure),
        ("for", outlier.base_ejection_time),
        ("max%", outlier.max_ejection_percent),
    )
    return " ".join(f"{name}={value}" for name, value in named if value) or "on"
