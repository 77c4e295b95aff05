"""Which endpoints of a cluster Envoy may pick, and why it would not pick the others."""

from __future__ import annotations

from typing import NamedTuple

from meshdoctor.mesh.trace.loose import message, number
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.endpoint import ClusterStatus, HostStatus, LbEndpoint
from meshdoctor.model.envoy.tls import SOCKET_MATCH

UNUSABLE = ("UNHEALTHY", "DRAINING", "TIMEOUT")
DEFAULT_PANIC_PERCENT = 50.0


class Host(NamedTuple):
    """One endpoint; *refused* says why Envoy passes it over, "" when it may be picked."""

    address: str
    refused: str = ""
    priority: int = 0
    locality: str = ""
    hostname: str = ""
    socket_labels: tuple[tuple[str, object], ...] = ()
    """What transport socket matches compare: `tlsMode=istio` where istiod expects a sidecar."""
    connections: int = 0
    """How often Envoy tried to connect, and how often that failed; 0 when it was not asked."""
    connect_failures: int = 0
    requests: int = 0
    errors: int = 0


class Endpoints(NamedTuple):
    """What a cluster offers: *kind* `listed`, `original` (the dialled address) or `unknown` (not in the dump)."""

    kind: str
    hosts: tuple[Host, ...] = ()
    panic: bool = False

    @property
    def usable(self) -> tuple[Host, ...]:
        """The hosts that may be picked; in panic (too few healthy ones) that is all of them."""
        return self.hosts if self.panic else tuple(host for host in self.hosts if not host.refused)


def of_cluster(cluster: Cluster, dump: ConfigDump, status: ClusterStatus | None) -> Endpoints:
    """The endpoints as delivered, with the health that Envoy counts itself when *status* (`/clusters`) is known."""
    if cluster.type == "ORIGINAL_DST":
        # Its hosts are addresses that were dialled before: no choice, but a memory of how connecting went.
        return Endpoints("original", tuple(_observed(host, {}) for host in status.host_statuses) if status else ())
    assignment = dump.load_assignment(cluster)
    if status is not None:
        modes = {str(entry.endpoint.address): entry for entry in assignment.all} if assignment else {}
        hosts = tuple(_observed(host, modes) for host in status.host_statuses)
    elif assignment is not None:
        hosts = tuple(
            _delivered(entry, locality.priority, _locality(locality.locality))
            for locality in assignment.endpoints
            for entry in locality.lb_endpoints
        )
    else:
        return Endpoints("listed" if dump.has("EndpointsConfigDump") else "unknown")
    healthy = sum(not host.refused for host in hosts)
    panic = bool(hosts) and 100.0 * healthy / len(hosts) < _panic_percent(cluster)
    return Endpoints("listed", hosts, panic)


def _delivered(entry: LbEndpoint, priority: int, locality: str) -> Host:
    refused = f"istiod says {entry.health_status}" if entry.health_status in UNUSABLE else ""
    endpoint = entry.endpoint
    return Host(str(endpoint.address), refused, priority, locality, endpoint.hostname, _labels(entry))


def _observed(host: HostStatus, delivered: dict[str, LbEndpoint]) -> Host:
    status = host.health_status
    refused = ""
    if status.failed_outlier_check:
        refused = "ejected by outlier detection"
    elif status.failed_active_health_check:
        refused = "its health check fails"
    elif status.eds_health_status in UNUSABLE:
        refused = f"istiod says {status.eds_health_status}"
    entry = delivered.get(str(host.address))
    labels = _labels(entry) if entry is not None else ()
    return Host(
        str(host.address),
        refused,
        host.priority,
        _locality(host.locality),
        host.hostname,
        labels,
        host.count("cx_total"),
        host.count("cx_connect_fail"),
        host.count("rq_total"),
        host.count("rq_error"),
    )


def _labels(entry: LbEndpoint) -> tuple[tuple[str, object], ...]:
    return tuple(message(entry.metadata.filter_metadata.get(SOCKET_MATCH)).items())


def _panic_percent(cluster: Cluster) -> float:
    """Istio writes an empty threshold (0, no panic); Envoy's own default is 50 percent."""
    threshold = cluster.common_lb_config.get("healthy_panic_threshold")
    return DEFAULT_PANIC_PERCENT if threshold is None else number(message(threshold).get("value"))


def _locality(locality: dict[str, str]) -> str:
    return "/".join(filter(None, (locality.get("region"), locality.get("zone"), locality.get("sub_zone"))))
