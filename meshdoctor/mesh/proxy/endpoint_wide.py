"""`proxy-config endpoint -o wide`, `eds -o wide`: health flags, counters, TLS of endpoints; clusters without hosts."""

from __future__ import annotations

from operator import itemgetter

import msgspec

from meshdoctor.mesh.proxy import eds
from meshdoctor.mesh.proxy.endpoint import Address, ClusterHosts, EndpointFilter, place_of
from meshdoctor.mesh.proxy.naming import subset_key
from meshdoctor.mesh.proxy.part import decode_part, read_part
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.envoy.sections import Sections
from meshdoctor.model.names import SPECIAL_CLUSTERS

_COUNTS = ("cx_active", "cx_total", "cx_connect_fail", "rq_active", "rq_total", "rq_error", "rq_timeout")
HEADER = (
    "ENDPOINT",
    "HEALTH",
    "WEIGHT",
    "PRIO",
    "LOCALITY",
    *(name.upper() for name in _COUNTS),
    "HOSTNAME",
    "CLUSTER",
)
EDS_HEADER = ("ENDPOINT", "STATUS", "TLS", "WEIGHT", "PRIO", "LOCALITY", "WORKLOAD", "CLUSTER")
NO_HOSTS = "NO HOSTS"
_FLAGS = (
    "failed_active_health_check",
    "failed_outlier_check",
    "failed_active_degraded_check",
    "pending_dynamic_removal",
    "pending_active_hc",
    "excluded_via_immediate_hc_fail",
    "active_hc_timeout",
)


class _Health(msgspec.Struct, gc=False):
    eds_health_status: str = "UNKNOWN"
    failed_active_health_check: bool = False
    failed_outlier_check: bool = False
    failed_active_degraded_check: bool = False
    pending_dynamic_removal: bool = False
    pending_active_hc: bool = False
    excluded_via_immediate_hc_fail: bool = False
    active_hc_timeout: bool = False


class _Stat(msgspec.Struct, gc=False):
    name: str = ""
    value: int = 0


class _Host(msgspec.Struct, gc=False):
    address: Address | None = None
    health_status: _Health = msgspec.field(default_factory=_Health)
    stats: list[_Stat] = []
    weight: int = 1
    priority: int = 0
    hostname: str = ""
    locality: dict[str, str] = {}


class _Cluster(msgspec.Struct, gc=False):
    name: str = ""
    host_statuses: list[_Host] = []


class _Clusters(msgspec.Struct, gc=False):
    cluster_statuses: list[_Cluster] = []


def wide_endpoints(clusters: ClusterHosts, chosen: EndpointFilter) -> TextTable:
    """A row per host and one per cluster without any; EDS's health and the flags that Envoy set itself."""
    known = clusters.once(HEADER, lambda: _rows(clusters))
    everything = not any(chosen)
    return TextTable(HEADER, [row for place, row in known if everything or chosen.keeps(*place)], padding=2)


_Place = tuple[str, int, str, str]
"""Address, port, cluster and status."""


def _rows(clusters: ClusterHosts) -> list[tuple[_Place, Cells]]:
    """Every host's place and row, in order."""
    rows: list[tuple[_Place, Cells]] = []
    found = decode_part(clusters.raw, "clusters", _Clusters, clusters.problems)
    for cluster in found.cluster_statuses:
        for host in cluster.host_statuses:
            address, port = place_of(host.address)
            place = (address, port, cluster.name, host.health_status.eds_health_status)
            rows.append((place, _row(host, address, port, cluster.name)))
        if not cluster.host_statuses and _should_have_hosts(cluster.name):
            rows.append((("", 0, cluster.name, ""), (NO_HOSTS, *("-" for _ in HEADER[2:]), cluster.name)))
    rows.sort(key=lambda row: row[0][:3])
    return rows


def _should_have_hosts(cluster: str) -> bool:
    """Istio's own clusters (black hole, passthrough) have none by design."""
    return cluster not in SPECIAL_CLUSTERS


def _row(host: _Host, address: str, port: int, cluster: str) -> Cells:
    counts = {stat.name: stat.value for stat in host.stats}
    flags = [name.replace("_", " ") for name in _FLAGS if getattr(host.health_status, name)]
    return (
        f"{address}:{port}" if port else address,
        ", ".join([host.health_status.eds_health_status, *flags]),
        str(host.weight),
        str(host.priority),
        "/".join(filter(None, (host.locality.get(part) for part in ("region", "zone", "sub_zone")))) or "-",
        *(str(counts.get(name, 0)) for name in _COUNTS),
        host.hostname or "-",
        cluster,
    )


class _SocketMatch(msgspec.Struct, gc=False):
    tls_mode: object = msgspec.field(name="tlsMode", default="")
    tunnel: object = ""


class _IstioEndpoint(msgspec.Struct, gc=False):
    workload: object = ""


class _FilterMetadata(msgspec.Struct, gc=False):
    socket_match: _SocketMatch | None = msgspec.field(name="envoy.transport_socket_match", default=None)
    istio: _IstioEndpoint | None = None


class _Metadata(msgspec.Struct, gc=False):
    filter_metadata: _FilterMetadata | None = None


class _LbEndpoint(eds.LbEndpoint, gc=False):
    metadata: _Metadata | None = None
    load_balancing_weight: int = 1


class _Group(eds.LocalityEndpoints, gc=False):
    lb_endpoints: list[_LbEndpoint] = []  # type: ignore[assignment]
    priority: int = 0


class _Assignment(msgspec.Struct, gc=False):
    cluster_name: str = ""
    endpoints: list[_Group] = []


class _Entry(msgspec.Struct, gc=False):
    endpoint_config: _Assignment | None = None


class _Endpoints(msgspec.Struct, gc=False):
    dynamic_endpoint_configs: list[_Entry] = []
    static_endpoint_configs: list[_Entry] = []


def wide_eds(sections: Sections, chosen: EndpointFilter) -> TextTable:
    """A row per endpoint that istiod sent and one per cluster without any; TLS as istiod marked the endpoint."""
    found = sections.once(EDS_HEADER, lambda: _eds_rows(sections))
    everything = not any(chosen)
    return TextTable(EDS_HEADER, [row.cells for row in found if everything or row.is_kept(chosen)], padding=2)


def _eds_rows(sections: Sections) -> list[eds.EndpointRow]:
    found = read_part(sections, eds.SECTION, _Endpoints, keep=False)
    blocks = []
    for entry in (*found.dynamic_endpoint_configs, *found.static_endpoint_configs):
        if entry.endpoint_config:
            blocks.append((subset_key(entry.endpoint_config.cluster_name), _assignment_rows(entry.endpoint_config)))
    blocks.sort(key=itemgetter(0))
    return [row for _, rows in blocks for row in rows]


def _assignment_rows(assignment: _Assignment) -> list[eds.EndpointRow]:
    rows: list[eds.EndpointRow] = []
    name = assignment.cluster_name
    for group in assignment.endpoints:
        locality = eds.place_name(group.locality) if group.locality else ""
        for endpoint in group.lb_endpoints:
            addresses, port = eds.addresses_of(endpoint.endpoint)
            tls, workload = _marks(endpoint.metadata)
            weight, priority = str(endpoint.load_balancing_weight), str(group.priority)
            text, place = ",".join(addresses), locality or "-"
            cells = (text, endpoint.health_status, tls, weight, priority, place, workload, name)
            rows.append(eds.EndpointRow(addresses, port, cells))
    if not rows and _should_have_hosts(name):
        rows.append(eds.EndpointRow([""], 0, (NO_HOSTS, "-", "-", "-", "-", "-", "-", name)))
    return rows


def _marks(metadata: _Metadata | None) -> tuple[str, str]:
    """What istiod wrote at the endpoint: whether it can do mTLS or HBONE, and `workload;namespace;...`."""
    marks = metadata.filter_metadata if metadata else None
    match = marks.socket_match if marks else None
    tls = "plaintext"
    if match and match.tunnel:
        tls = f"tunnel {match.tunnel}"
    elif match and match.tls_mode:
        tls = "mTLS" if match.tls_mode == "istio" else str(match.tls_mode)
    workload = str(marks.istio.workload) if marks and marks.istio else ""
    parts = workload.split(";")
    return tls, f"{parts[1]}/{parts[0]}" if len(parts) > 1 else workload or "-"
