"""Envoy route configurations (envoy.config.route.v3)."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.model.envoy.any import EnvoyFact
from meshdoctor.model.envoy.endpoint import Metadata


class RouteMatch(EnvoyFact, frozen=True):
    prefix: str | None = None
    path: str | None = None
    safe_regex: dict[str, Any] | None = None
    path_separated_prefix: str | None = None
    connect_matcher: dict[str, Any] | None = None
    path_match_policy: msgspec.Raw = msgspec.Raw()
    case_sensitive: bool | None = None
    headers: list[dict[str, Any]] = []
    query_parameters: list[dict[str, Any]] = []
    runtime_fraction: dict[str, Any] | None = None
    grpc: dict[str, Any] | None = None
    dynamic_metadata: list[dict[str, Any]] = []
    tls_context: dict[str, Any] | None = None
    filter_state: list[dict[str, Any]] = []


class WeightedCluster(EnvoyFact, frozen=True):
    name: str = ""
    weight: int = 0
    cluster_header: str = ""
    typed_per_filter_config: dict[str, msgspec.Raw] = {}


class WeightedClusters(EnvoyFact, frozen=True):
    clusters: list[WeightedCluster] = []
    total_weight: int | None = None


class RetryPolicy(EnvoyFact, frozen=True):
    retry_on: str = ""
    num_retries: int | None = None
    per_try_timeout: str | None = None
    retriable_status_codes: list[int] = []


class RouteAction(EnvoyFact, frozen=True):
    cluster: str = ""
    weighted_clusters: WeightedClusters | None = None
    cluster_header: str = ""
    cluster_not_found_response_code: str = ""
    timeout: str | None = None
    idle_timeout: str | None = None
    max_stream_duration: dict[str, Any] | None = None
    max_grpc_timeout: str | None = None
    retry_policy: RetryPolicy | None = None
    prefix_rewrite: str | None = None
    regex_rewrite: dict[str, Any] | None = None
    host_rewrite_literal: str | None = None
    auto_host_rewrite: bool | None = None
    request_mirror_policies: list[dict[str, Any]] = []
    hash_policy: list[dict[str, Any]] = []
    metadata_match: Metadata | None = None
    cors: dict[str, Any] | None = None
    upgrade_configs: list[dict[str, Any]] = []

    @property
    def clusters(self) -> tuple[str, ...]:
        """Every cluster that the route names itself (not one from a header)."""
        weighted = self.weighted_clusters.clusters if self.weighted_clusters else []
        return tuple(name for name in (self.cluster, *(entry.name for entry in weighted)) if name)


class Route(EnvoyFact, frozen=True):
    name: str = ""
    match: RouteMatch = RouteMatch()
    route: RouteAction | None = None
    redirect: dict[str, Any] | None = None
    direct_response: dict[str, Any] | None = None
    metadata: Metadata = Metadata()
    decorator: dict[str, Any] | None = None
    typed_per_filter_config: dict[str, msgspec.Raw] = {}

    @property
    def istio_config(self) -> str:
        """`/apis/…/virtual-service/NAME` of the object that this route comes from, or ""."""
        return str(self.metadata.filter_metadata.get("istio", {}).get("config", ""))


class VirtualHost(EnvoyFact, frozen=True):
    name: str = ""
    domains: list[str] = []
    routes: list[Route] = []
    require_tls: str = "NONE"
    typed_per_filter_config: dict[str, msgspec.Raw] = {}


class RouteConfiguration(EnvoyFact, frozen=True):
    name: str = ""
    virtual_hosts: list[VirtualHost] = []
    ignore_port_in_host_matching: bool = False
    validate_clusters: bool | None = None
    max_direct_response_body_size_bytes: int | None = None
    typed_per_filter_config: dict[str, msgspec.Raw] = {}
