"""`proxy-config listener`: a row per filter chain (istioctl/pkg/writer/envoy/configdump/listener.go, 1.24 to 1.32)."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import msgspec

from meshdoctor.mesh.gosort import sort_by
from meshdoctor.mesh.proxy.endpoint import Address
from meshdoctor.mesh.proxy.part import read_part, readable
from meshdoctor.mesh.proxy.route import RouteConfiguration, describe_match
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.sections import Sections
from meshdoctor.model.mending import mended

T = TypeVar("T")

SECTION = "ListenersConfigDump"
HTTP_FILTER = "envoy.filters.network.http_connection_manager"
TCP_FILTER = "envoy.filters.network.tcp_proxy"
_ALPN_NAMES = {
    ("http/1.0", "http/1.1", "h2c", "istio-http/1.0", "istio-http/1.1", "istio-h2"): "App: HTTP TLS",
    ("istio", "istio-http/1.0", "istio-http/1.1", "istio-h2"): "App: Istio HTTP Plain",
    ("istio-peer-exchange", "istio"): "App: TCP TLS",
    ("http/1.0", "http/1.1", "h2c"): "App: HTTP",
}


class _Cidr(msgspec.Struct, gc=False):
    address_prefix: str = ""
    prefix_len: int = 0


class ChainMatch(msgspec.Struct, gc=False):
    destination_port: int | None = None
    prefix_ranges: list[_Cidr] = []
    server_names: list[str] = []
    transport_protocol: str = ""
    application_protocols: list[str] = []


class Filter(msgspec.Struct, gc=False):
    name: str = ""
    typed_config: msgspec.Raw = msgspec.Raw()


class Chain(msgspec.Struct, gc=False):
    name: str = ""
    filter_chain_match: ChainMatch | None = None
    filters: list[Filter] = []


class _Additional(msgspec.Struct, gc=False):
    address: Address | None = None


class Listener(msgspec.Struct, gc=False):
    name: str = ""
    address: Address | None = None
    additional_addresses: list[_Additional] = []
    filter_chains: list[Chain] = []
    default_filter_chain: Chain | None = None
    internal_listener: msgspec.Raw = msgspec.Raw()
    filter_chain_matcher: msgspec.Raw = msgspec.Raw()

    @property
    def is_internal(self) -> bool:
        return bytes(self.internal_listener) not in (b"", b"null")

    @property
    def chains(self) -> list[Chain]:
        return [*self.filter_chains, self.default_filter_chain] if self.default_filter_chain else self.filter_chains

    @property
    def main_address(self) -> str:
        address = self.address
        if address and address.socket_address:
            return address.socket_address.address
        return address.pipe.path if address and address.pipe else ""

    @property
    def more_addresses(self) -> list[str]:
        found = (entry.address.socket_address if entry.address else None for entry in self.additional_addresses)
        return [socket.address if socket else "" for socket in found]

    @property
    def port(self) -> int:
        return self.address.socket_address.port_value if self.address and self.address.socket_address else 0

    @property
    def kind(self) -> str:
        """HTTP, TCP, HTTP+TCP or UNKNOWN; a TCP filter that leads to the black hole does not count."""
        filters = [entry for chain in self.chains for entry in chain.filters]
        http = any(entry.name == HTTP_FILTER for entry in filters)
        tcp = any(entry.name == TCP_FILTER and not _is_black_hole(entry) for entry in filters)
        return "HTTP+TCP" if http and tcp else "HTTP" if http else "TCP" if tcp else "UNKNOWN"


class _State(msgspec.Struct, gc=False):
    listener: Listener | None = None


class _Dynamic(msgspec.Struct, gc=False):
    active_state: _State | None = None


class _Listeners(msgspec.Struct, gc=False):
    dynamic_listeners: list[_Dynamic] = []
    static_listeners: list[_State] = []


class _RawState(msgspec.Struct, gc=False):
    listener: msgspec.Raw = msgspec.Raw()


class _RawDynamic(msgspec.Struct, gc=False):
    active_state: _RawState | None = None


class _RawListeners(msgspec.Struct, gc=False):
    dynamic_listeners: list[_RawDynamic] = []
    static_listeners: list[_RawState] = []


class _Rds(msgspec.Struct, gc=False):
    route_config_name: str = ""


class _HttpConnectionManager(msgspec.Struct, gc=False):
    route_config: RouteConfiguration | None = None
    rds: _Rds | None = None


class _TcpProxy(msgspec.Struct, gc=False):
    cluster: str = ""


class ListenerFilter(NamedTuple):
    """istioctl's flags: *address* is one of the listener's, *kind* its type; both without regard to case."""

    address: str = ""
    port: int = 0
    kind: str = ""

    def keeps(self, listener: Listener) -> bool:
        if self.address:
            addresses = (*listener.more_addresses, listener.main_address)
            if self.address.lower() not in [address.lower() for address in addresses]:
                return False
        if self.port and listener.port != self.port:
            return False
        return not self.kind or listener.kind == self.kind.upper()


def listeners(sections: Sections) -> list[Listener]:
    """The active dynamic and the static listeners, in the order of the dump; raises `UnreadableError`."""
    found = read_part(sections, SECTION, _Listeners)
    states = (*(entry.active_state for entry in found.dynamic_listeners), *found.static_listeners)
    kept = [state.listener for state in states if state and state.listener]
    if not kept:
        raise UnreadableError("no listeners found")
    return kept


def listener_table(
    sections: Sections, chosen: ListenerFilter, *, verbose: bool = True, typed: bool = False
) -> TextTable:
    """A row per filter chain, or with *verbose* off per listener; *typed* adds the NAME column of `all`."""
    kept = [listener for listener in listeners(sections) if chosen.keeps(listener)]
    rows: list[Cells] = []
    for listener in sort_by(kept, place):
        addresses = ",".join((listener.main_address, *listener.more_addresses))
        head: Cells = (addresses, str(listener.port))
        if typed:
            head = (f"listener/{listener.name}", *head)
        if not verbose:
            rows.append((*head, listener.kind))
            continue
        chains = [(describe_chain_match(chain.filter_chain_match), destination(chain)) for chain in listener.chains]
        rows += [(*head, match, target) for match, target in sort_by(chains, _destination, reverse=True)]
    header: Cells = ("ADDRESSES", "PORT", *(("MATCH", "DESTINATION") if verbose else ("TYPE",)))
    return TextTable(("NAME", *header) if typed else header, rows, padding=1)


def place(listener: Listener) -> tuple[int, str, str]:
    """The key by which istioctl sorts listeners."""
    return listener.port, listener.main_address, listener.kind


def _destination(chain: tuple[str, str]) -> str:
    return chain[1]


def describe_chain_match(match: ChainMatch | None) -> str:
    """What a filter chain asks of a connection; istioctl leaves out the criteria on the source."""
    if match is None:
        return "ALL"
    parts = []
    if match.server_names:
        parts.append(f"SNI: {','.join(match.server_names)}")
    if match.transport_protocol:
        parts.append(f"Trans: {match.transport_protocol}")
    if match.application_protocols:
        protocols = tuple(match.application_protocols)
        parts.append(_ALPN_NAMES.get(protocols) or f"App: {','.join(protocols)}")
    port = "" if match.destination_port is None else f":{match.destination_port}"
    if match.prefix_ranges:
        ranges = ",".join(f"{entry.address_prefix}/{entry.prefix_len}" for entry in match.prefix_ranges)
        parts.append(f"Addr: {ranges}{port}")
    elif port:
        parts.append(f"Addr: *{port}")
    return "; ".join(parts) or "ALL"


def destination(chain: Chain) -> str:
    """Where a filter chain leads: the first HTTP or TCP filter decides."""
    for entry in chain.filters:
        if entry.name == HTTP_FILTER:
            return http_destination(entry)
        if entry.name == TCP_FILTER and not _is_black_hole(entry):
            return cluster_text(filter_config(entry, _TcpProxy).cluster)
    return "Non-HTTP/Non-TCP"


def _is_black_hole(entry: Filter) -> bool:
    return b"BlackHoleCluster" in bytes(entry.typed_config)


def filter_config(entry: Filter, kind: type[T]) -> T:
    """A filter's config whatever its type says (another Envoy's version of it), without what of it is unreadable."""
    raw = entry.typed_config
    if not bytes(raw):
        return kind()
    try:
        return msgspec.json.decode(raw, type=kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return mended(raw, kind) or kind()


def http_destination(entry: Filter) -> str:
    manager = filter_config(entry, _HttpConnectionManager)
    if manager.route_config is not None:
        return _inline(manager.route_config)
    if manager.rds and manager.rds.route_config_name:
        return f"Route: {manager.rds.route_config_name}"
    return "HTTP"


def cluster_text(name: str) -> str:
    return name if "Cluster" in name else f"Cluster: {name}"


def _inline(routes: RouteConfiguration) -> str:
    hosts = routes.virtual_hosts
    if len(hosts) == 1 and hosts[0].domains == ["*"] and len(hosts[0].routes) == 1:
        only = hosts[0].routes[0]
        if only.match and only.match.prefix == "/" and only.route and only.route.cluster:
            return cluster_text(only.route.cluster)
    texts = []
    for host in hosts:
        text = ", ".join(describe_match(route.match) for route in host.routes)
        texts.append(text if host.domains == ["*"] or not any(host.domains) else f"{'/'.join(host.domains)} {text}")
    return f"Inline Route: {'; '.join(texts)}"


def listener_resources(sections: Sections, chosen: ListenerFilter) -> list[msgspec.Raw]:
    """The listeners that the filter keeps as JSON, in the order of the dump; raises `UnreadableError`."""
    found = read_part(sections, SECTION, _RawListeners)
    states = (*(entry.active_state for entry in found.dynamic_listeners), *found.static_listeners)
    raws = (state.listener for state in states if state)
    read = list(readable(raws, Listener, SECTION, sections.problems))
    if not read:
        raise UnreadableError("no listeners found")
    return [raw for listener, raw in read if chosen.keeps(listener)]
