"""Envoy listeners, filter chains and the two terminal network filters (envoy.config.listener.v3)."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from meshdoctor.model.envoy.address import Address
from meshdoctor.model.envoy.any import EnvoyFact, typed
from meshdoctor.model.envoy.endpoint import Metadata
from meshdoctor.model.envoy.route import RouteConfiguration, WeightedClusters
from meshdoctor.model.envoy.tls import TlsContext, TransportSocket

T = TypeVar("T")


class CidrRange(EnvoyFact, frozen=True):
    address_prefix: str = ""
    prefix_len: int = 0


class FilterChainMatch(EnvoyFact, frozen=True):
    destination_port: int | None = None
    prefix_ranges: list[CidrRange] = []
    direct_source_prefix_ranges: list[CidrRange] = []
    source_type: str = "ANY"
    source_prefix_ranges: list[CidrRange] = []
    source_ports: list[int] = []
    server_names: list[str] = []
    transport_protocol: str = ""
    application_protocols: list[str] = []


class Filter(EnvoyFact, frozen=True):
    """A listener, network or HTTP filter."""

    name: str = ""
    typed_config: msgspec.Raw = msgspec.Raw()
    config_discovery: dict[str, Any] | None = None
    disabled: bool | None = None
    filter_disabled: dict[str, Any] | None = None


class AccessLog(EnvoyFact, frozen=True):
    name: str = ""
    filter: dict[str, Any] | None = None
    typed_config: msgspec.Raw = msgspec.Raw()


class Rds(EnvoyFact, frozen=True):
    route_config_name: str = ""


class HttpConnectionManager(EnvoyFact, frozen=True):
    stat_prefix: str = ""
    codec_type: str = "AUTO"
    rds: Rds | None = None
    route_config: RouteConfiguration | None = None
    scoped_routes: dict[str, Any] | None = None
    http_filters: list[Filter] = []
    access_log: list[AccessLog] = []
    http_protocol_options: dict[str, Any] = {}
    normalize_path: bool | None = None
    merge_slashes: bool = False
    path_with_escaped_slashes_action: str = ""
    strip_any_host_port: bool = False
    strip_matching_host_port: bool = False
    use_remote_address: bool | None = None
    xff_num_trusted_hops: int = 0
    stream_idle_timeout: str | None = None


class TcpProxy(EnvoyFact, frozen=True):
    stat_prefix: str = ""
    cluster: str = ""
    weighted_clusters: WeightedClusters | None = None
    idle_timeout: str | None = None
    max_connect_attempts: int | None = None
    tunneling_config: dict[str, Any] | None = None
    access_log: list[AccessLog] = []
    metadata_match: Metadata | None = None


class FilterChain(EnvoyFact, frozen=True):
    name: str = ""
    filter_chain_match: FilterChainMatch = FilterChainMatch()
    filters: list[Filter] = []
    transport_socket: TransportSocket | None = None
    metadata: Metadata = Metadata()

    @property
    def http(self) -> HttpConnectionManager | None:
        return self._terminal(HttpConnectionManager, "HttpConnectionManager")

    @property
    def tcp(self) -> TcpProxy | None:
        return self._terminal(TcpProxy, ".TcpProxy")

    @property
    def tls(self) -> TlsContext | None:
        return self.transport_socket.tls if self.transport_socket else None

    def _terminal(self, kind: type[T], name: str) -> T | None:
        for entry in reversed(self.filters):
            found = typed(entry.typed_config, kind, name)
            if found is not None:
                return found
        return None


class AdditionalAddress(EnvoyFact, frozen=True):
    address: Address = Address()


class Listener(EnvoyFact, frozen=True):
    name: str = ""
    address: Address = Address()
    additional_addresses: list[AdditionalAddress] = []
    filter_chains: list[FilterChain] = []
    default_filter_chain: FilterChain | None = None
    listener_filters: list[Filter] = []
    traffic_direction: str = "UNSPECIFIED"
    use_original_dst: bool | None = None
    bind_to_port: bool | None = None
    deprecated_v1: dict[str, Any] | None = None
    access_log: list[AccessLog] = []
    listener_filters_timeout: str | None = None
    continue_on_listener_filters_timeout: bool = False
    filter_chain_matcher: dict[str, Any] | None = None
    metadata: Metadata = Metadata()

    @property
    def chains(self) -> tuple[FilterChain, ...]:
        """Every filter chain, the default one last."""
        return (*self.filter_chains, *((self.default_filter_chain,) if self.default_filter_chain else ()))
