"""`proxy-config endpoint -o wide`, `eds -o wide`: health flags, counters, TLS of endpoints; clusters without hosts."""

from __future__ import annotations

from operator import itemgetter

import msgspec

from meshdoctor.mesh.proxy import eds
from meshdoctor.mesh.proxy.endpoint import Address, ClusterHosts, EndpointFilter, place_of
from meshdoctor.mesh.proxy.naming import subset_key
from meshdoctor.mesh.proxy.part import decode_part
from meshdoctor.mesh.proxy.transport import Assignment, Spoken, Transports, assignments, spoken
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.envoy.sections import Sections
from meshdoctor.model.names import SPECIAL_CLUSTERS

_COUNTS = ("cx_active", "cx_total", "cx_connect_fail", "rq_active", "rq_total", "rq_error", "rq_timeout")
HEADER = (
    "ENDPOINT",
    "HEALTH",
    "TLS",
    "WEIGHT",
    "PRIO",
    "LOCALITY",
    *(name.upper() for name in _COUNTS),
    "HOSTNAME",
    "CLUSTER",
)
EDS_HEADER = ("ENDPOINT", "STATUS", "TLS", "WEIGHT", "PRIO", "LOCALITY", "WORKLOAD", "CLUSTER")
NO_HOSTS = "NO HOSTS"
MAYBE_NO_HOSTS = "NO HOSTS?"
"""Where the cluster's type is not known: it may be one that has none by design."""
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


def wide_endpoints(clusters: ClusterHosts, chosen: EndpointFilter, sections: Sections | None = None) -> TextTable:
    """A row per host and one per cluster without any; EDS's health and the flags that Envoy set itself.

    *sections* are those of the same proxy's config dump: they tell how a host is spoken to (`?` without them).
    """
    known = clusters.once((HEADER, sections is None), lambda: _rows(clusters, spoken(sections) if sections else None))
    everything = not any(chosen)
    return TextTable(HEADER, [row for place, row in known if everything or chosen.keeps(*place)], padding=2)


_Place = tuple[str, int, str, str]
"""Address, port, cluster and status."""


def _rows(clusters: ClusterHosts, how: Spoken | None) -> list[tuple[_Place, Cells]]:
    """Every host's place and row, in order."""
    rows: list[tuple[_Place, Cells]] = []
    found = decode_part(clusters.raw, "clusters", _Clusters, clusters.problems)
    for cluster in found.cluster_statuses:
        for host in cluster.host_statuses:
            address, port = place_of(host.address)
            place = (address, port, cluster.name, host.health_status.eds_health_status)
            rows.append((place, _row(host, address, port, cluster.name, how)))
        if not cluster.host_statuses and (absence := _absence(cluster.name, how.transports if how else None)):
            rows.append((("", 0, cluster.name, ""), (absence, *("-" for _ in HEADER[2:]), cluster.name)))
    rows.sort(key=lambda row: row[0][:3])
    return rows


def _absence(cluster: str, transports: Transports | None) -> str:
    """What to say of a cluster without hosts, "" where that is by design: Istio's own (black hole, passthrough), and
    those that dial what the caller dialled: inbound ones and, as the config dump tells, those of headless services.
    """
    if cluster in SPECIAL_CLUSTERS or cluster.startswith("inbound|"):
        return ""
    expected = transports.has_hosts(cluster) if transports else None
    return MAYBE_NO_HOSTS if expected is None else NO_HOSTS if expected else ""


def _row(host: _Host, address: str, port: int, cluster: str, how: Spoken | None) -> Cells:
    counts = {stat.name: stat.value for stat in host.stats}
    flags = [name.replace("_", " ") for name in _FLAGS if getattr(host.health_status, name)]
    place = f"{address}:{port}" if port else address
    return (
        place,
        ", ".join([host.health_status.eds_health_status, *flags]),
        how.to(cluster, place) if how else "?",
        str(host.weight),
        str(host.priority),
        "/".join(filter(None, (host.locality.get(part) for part in ("region", "zone", "sub_zone")))) or "-",
        *(str(counts.get(name, 0)) for name in _COUNTS),
        host.hostname or "-",
        cluster,
    )


def wide_eds(sections: Sections, chosen: EndpointFilter) -> TextTable:
    """A row per endpoint that istiod sent and one per cluster without any; TLS as the cluster speaks to it."""
    if sections.last(eds.SECTION) is None:
        return TextTable(EDS_HEADER, [])
    found = sections.once(EDS_HEADER, lambda: _eds_rows(sections))
    everything = not any(chosen)
    return TextTable(EDS_HEADER, [row.cells for row in found if everything or row.is_kept(chosen)], padding=2)


def _eds_rows(sections: Sections) -> list[eds.EndpointRow]:
    found = assignments(sections)
    transports = Transports(sections)
    blocks = [(subset_key(entry.cluster_name), _assignment_rows(entry, transports)) for entry in found]
    blocks.sort(key=itemgetter(0))
    return [row for _, rows in blocks for row in rows]


def _assignment_rows(assignment: Assignment, transports: Transports) -> list[eds.EndpointRow]:
    rows: list[eds.EndpointRow] = []
    name = assignment.cluster_name
    for group in assignment.endpoints:
        locality = eds.place_name(group.locality) if group.locality else ""
        for endpoint in group.lb_endpoints:
            addresses, port = eds.addresses_of(endpoint.endpoint)
            tls = transports.towards(name, endpoint.marks)
            weight, priority = str(endpoint.load_balancing_weight), str(group.priority)
            text, place = ",".join(addresses), locality or "-"
            cells = (text, endpoint.health_status, tls, weight, priority, place, endpoint.workload, name)
            rows.append(eds.EndpointRow(addresses, port, cells))
    if not rows and (absence := _absence(name, transports)):
        rows.append(eds.EndpointRow([""], 0, (absence, "-", "-", "-", "-", "-", "-", name)))
    return rows
