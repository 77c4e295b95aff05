"""Envoy clusters (envoy.config.cluster.v3.Cluster)."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.model.envoy.any import EnvoyFact
from meshdoctor.model.envoy.endpoint import ClusterLoadAssignment, Metadata
from meshdoctor.model.envoy.tls import TlsContext, TransportSocket, TransportSocketMatch

UNLIMITED = 4294967295
"""What istiod writes for "no limit" in a circuit breaker (max uint32)."""


class Thresholds(EnvoyFact, frozen=True):
    """Circuit breaker limits; Envoy's own defaults are 1024 (retries 3) where istiod writes none."""

    priority: str = "DEFAULT"
    max_connections: int = 1024
    max_pending_requests: int = 1024
    max_requests: int = 1024
    max_retries: int = 3


class CircuitBreakers(EnvoyFact, frozen=True):
    thresholds: list[Thresholds] = []


class EdsClusterConfig(EnvoyFact, frozen=True):
    service_name: str = ""


class Cluster(EnvoyFact, frozen=True):
    name: str = ""
    alt_stat_name: str = ""
    type: str = "STATIC"
    cluster_type: dict[str, Any] | None = None
    eds_cluster_config: EdsClusterConfig | None = None
    connect_timeout: str | None = None
    lb_policy: str = "ROUND_ROBIN"
    load_assignment: ClusterLoadAssignment | None = None
    circuit_breakers: CircuitBreakers = CircuitBreakers()
    outlier_detection: dict[str, Any] | None = None
    transport_socket: TransportSocket | None = None
    transport_socket_matches: list[TransportSocketMatch] = []
    metadata: Metadata = Metadata()
    typed_extension_protocol_options: dict[str, msgspec.Raw] = {}
    max_requests_per_connection: int | None = None
    common_lb_config: dict[str, Any] = {}
    lb_subset_config: dict[str, Any] | None = None
    original_dst_lb_config: dict[str, Any] | None = None

    @property
    def tls(self) -> TlsContext | None:
        """The TLS context of the whole cluster (not of a transport socket match)."""
        return self.transport_socket.tls if self.transport_socket else None

    @property
    def istio(self) -> dict[str, Any]:
        """istiod's metadata: `config` names the DestinationRule, `services` the Services, `subset` the subset."""
        return self.metadata.filter_metadata.get("istio", {})

    @property
    def thresholds(self) -> Thresholds:
        """The limits of default priority."""
        return next((limit for limit in self.circuit_breakers.thresholds if limit.priority == "DEFAULT"), Thresholds())
