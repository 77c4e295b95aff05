"""Endpoints as delivered (ClusterLoadAssignment) and as Envoy counts them (`/clusters?format=json`)."""

from __future__ import annotations

from typing import Any

from meshdoctor.model.envoy.address import Address
from meshdoctor.model.envoy.any import EnvoyFact

FilterMetadata = dict[str, dict[str, Any]]


class Metadata(EnvoyFact, frozen=True):
    filter_metadata: FilterMetadata = {}


class Endpoint(EnvoyFact, frozen=True):
    address: Address = Address()
    hostname: str = ""


class LbEndpoint(EnvoyFact, frozen=True):
    endpoint: Endpoint = Endpoint()
    health_status: str = "UNKNOWN"
    metadata: Metadata = Metadata()
    load_balancing_weight: int = 1

    @property
    def tls_mode(self) -> str:
        """`istio` where istiod marked the endpoint as able to do mTLS, else ""."""
        return str(self.metadata.filter_metadata.get("envoy.transport_socket_match", {}).get("tlsMode", ""))


class LocalityEndpoints(EnvoyFact, frozen=True):
    locality: dict[str, str] = {}
    lb_endpoints: list[LbEndpoint] = []
    priority: int = 0
    load_balancing_weight: int = 0


class ClusterLoadAssignment(EnvoyFact, frozen=True):
    cluster_name: str = ""
    endpoints: list[LocalityEndpoints] = []
    policy: dict[str, Any] = {}

    @property
    def all(self) -> tuple[LbEndpoint, ...]:
        return tuple(endpoint for locality in self.endpoints for endpoint in locality.lb_endpoints)


class Stat(EnvoyFact, frozen=True):
    name: str = ""
    value: int = 0
    type: str = "COUNTER"


class HealthStatus(EnvoyFact, frozen=True):
    """Keys appear only when set; `eds_health_status` is UNKNOWN, HEALTHY, UNHEALTHY, DRAINING, TIMEOUT or DEGRADED."""

    eds_health_status: str = "UNKNOWN"
    failed_active_health_check: bool = False
    failed_outlier_check: bool = False
    failed_active_degraded_check: bool = False
    pending_dynamic_removal: bool = False
    pending_active_hc: bool = False
    excluded_via_immediate_hc_fail: bool = False
    active_hc_timeout: bool = False


class HostStatus(EnvoyFact, frozen=True):
    """One upstream host with its own counters; these are never dropped by Istio's stats matcher."""

    address: Address = Address()
    stats: list[Stat] = []
    health_status: HealthStatus = HealthStatus()
    weight: int = 1
    hostname: str = ""
    priority: int = 0
    locality: dict[str, str] = {}

    def count(self, name: str) -> int:
        """A counter or gauge of this host (`cx_connect_fail`, `rq_total`, …), 0 when Envoy printed none."""
        return next((stat.value for stat in self.stats if stat.name == name), 0)

    @property
    def healthy(self) -> bool:
        """Whether Envoy would pick the host (panic mode aside): no failed check, not UNHEALTHY, DRAINING or TIMEOUT."""
        status = self.health_status
        failed = status.failed_active_health_check or status.failed_outlier_check
        return not failed and status.eds_health_status not in ("UNHEALTHY", "DRAINING", "TIMEOUT")


class ClusterStatus(EnvoyFact, frozen=True):
    name: str = ""
    observability_name: str = ""
    added_via_api: bool = False
    host_statuses: list[HostStatus] = []
    circuit_breakers: dict[str, Any] = {}
    eds_service_name: str = ""


class ClusterStatuses(EnvoyFact, frozen=True):
    """`GET /clusters?format=json`."""

    cluster_statuses: list[ClusterStatus] = []
