"""`proxy-config cluster -o wide`: also clusters that warm or were refused, their TLS, hosts and limits."""

from __future__ import annotations

from operator import itemgetter

import msgspec

from meshdoctor.mesh.proxy.cluster import SECTION, ClusterFilter
from meshdoctor.mesh.proxy.cluster_type import STATIC, ClusterType, discovery, has_hosts
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


class _Percent(msgspec.Struct, gc=False):
    value: float = 0


class _RetryBudget(msgspec.Struct, gc=False):
    budget_percent: _Percent | None = None


class _Threshold(msgspec.Struct, gc=False):
    """What is not set has Envoy's default (ClusterInfoImpl::ResourceManagers::load, 1.18 to 1.40)."""

    priority: str = "DEFAULT"
    max_connections: int = 1024
    max_pending_requests: int = 1024
    max_requests: int = 1024
    max_retries: int = 3
    max_connection_pools: int = _UNLIMITED
    retry_budget: _RetryBudget | None = None


class _HostThreshold(msgspec.Struct, gc=False):
    priority: str = "DEFAULT"
    max_connections: int = _UNLIMITED


class _Breakers(msgspec.Struct, gc=False):
    thresholds: list[_Threshold] = []
    per_host_thresholds: list[_HostThreshold] = []


class _Outlier(msgspec.Struct, gc=False):
    """What is not set has Envoy's default (outlier_detection.proto, 1.40)."""

    consecutive_5xx: int = 5
    enforcing_consecutive_5xx: int = 100
    consecutive_gateway_failure: int = 5
    enforcing_consecutive_gateway_failure: int = 0
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failure: int = 5
    enforcing_consecutive_local_origin_failure: int = 100
    enforcing_success_rate: int = 100
    enforcing_failure_percentage: int = 0
    base_ejection_time: str = "30s"
    max_ejection_percent: int = 10


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


class _Cluster(msgspec.Struct, gc=False):
    name: str = ""
    type: str | int = STATIC
    cluster_type: ClusterType | None = None
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
    """A row per cluster in any state; HOSTS are usable/all, `?` where the dump does not tell them."""
    known = sections.once(HEADER, lambda: _rows(sections))
    return TextTable(HEADER, [row for name, row in known if chosen.keeps(name)], padding=2)


def _rows(sections: Sections) -> list[tuple[str, Cells]]:
    """Every cluster's name and row, in order."""
    found = read_part(sections, SECTION, _Clusters, keep=False)
    hosts = _hosts(sections)
    states = (
        ("active", found.dynamic_active_clusters, hosts),
        ("static", found.static_clusters, hosts),
        # Those that the dump has under its name are of the version that is in use meanwhile.
        ("WARMING", found.dynamic_warming_clusters, None),
    )
    rows = []
    for state, entries, known in states:
        for entry in entries:
            cluster = entry.cluster
            if cluster is not None:
                shown = f"{state}, UPDATE REFUSED" if entry.error_state else state
                rows.append((subset_key(cluster.name), cluster.name, _row(cluster, shown, known)))
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
    discovered = discovery(cluster.type, cluster.cluster_type)
    counted = _host_cell(cluster, discovered, hosts)
    rule = managed_by(cluster.metadata) or "-"
    kind = cluster.cluster_type.name if cluster.cluster_type else discovered
    return (*where, kind, state, tls, counted, _limits(cluster), _outlier(cluster), rule)


def _host_cell(cluster: _Cluster, discovered: str, hosts: dict[str, tuple[int, int]] | None) -> str:
    """With `include_eds` Envoy prints the hosts of every active cluster under its service name or its own
    (config_dump_handler.cc, dumpEndpointConfigs): of one that asks DNS what its names resolve to. istiod's own dump
    has those of EDS alone.
    """
    if not has_hosts(discovered) or (cluster.name in SPECIAL_CLUSTERS and not cluster.load_assignment):
        return "-"  # has no hosts of its own, by design
    service = cluster.eds_cluster_config.service_name if cluster.eds_cluster_config else ""
    counted = hosts.get(service or cluster.name) if hosts is not None else None
    if counted is None and cluster.load_assignment and discovered == STATIC:
        counted = cluster.load_assignment.counts
    if counted is None:
        return "?" if hosts is None or discovered != "EDS" else NO_HOSTS
    usable, total = counted
    return f"{usable}/{total}" if total else NO_HOSTS


def _limits(cluster: _Cluster) -> str:
    """Circuit breaker limits that are lower than none: connections, pending, requests, retries (a share of the
    requests where there is a retry budget), pools, and the connections to one host.
    """
    breakers = cluster.circuit_breakers or _Breakers()
    limit = next((entry for entry in breakers.thresholds if entry.priority == "DEFAULT"), _Threshold())
    own = next((entry for entry in breakers.per_host_thresholds if entry.priority == "DEFAULT"), _HostThreshold())
    percent = (
        limit.retry_budget.budget_percent.value if limit.retry_budget and limit.retry_budget.budget_percent else 20
    )
    named = (
        ("conn", limit.max_connections),
        ("pending", limit.max_pending_requests),
        ("req", limit.max_requests),
        ("retry", f"{percent:g}%" if limit.retry_budget else limit.max_retries),
        ("pools", limit.max_connection_pools),
        ("conn/host", own.max_connections),
    )
    return " ".join(f"{name}={value}" for name, value in named if value != _UNLIMITED) or "-"


def _outlier(cluster: _Cluster) -> str:
    """After how many errors a host is ejected, for how long at first, and how many of the hosts at most."""
    found = cluster.outlier_detection
    if found is None:
        return "-"
    local = found.split_external_local_origin_errors and found.enforcing_consecutive_local_origin_failure
    errors = (
        ("5xx", found.consecutive_5xx, found.enforcing_consecutive_5xx),
        ("gateway", found.consecutive_gateway_failure, found.enforcing_consecutive_gateway_failure),
        ("local", found.consecutive_local_origin_failure, local),
    )
    words = [f"{name}={count}" for name, count, enforced in errors if count and enforced]
    words += ["success-rate"] if found.enforcing_success_rate else []
    words += ["failure-percentage"] if found.enforcing_failure_percentage else []
    return " ".join((*(words or ("never",)), f"for={found.base_ejection_time}", f"max%={found.max_ejection_percent}"))
