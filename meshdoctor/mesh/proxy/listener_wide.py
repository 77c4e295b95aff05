"""`proxy-config listener -o wide`: every state, TLS and source criteria of filter chains, weights of clusters."""

from __future__ import annotations

import msgspec

from meshdoctor.mesh.proxy.endpoint import Address, SocketAddress, place_of
from meshdoctor.mesh.proxy.listener import (
    HTTP_FILTER,
    SECTION,
    TCP_FILTER,
    Chain,
    ChainMatch,
    Listener,
    ListenerFilter,
    cluster_text,
    describe_chain_match,
    filter_config,
    http_destination,
    place,
)
from meshdoctor.mesh.proxy.part import read_part
from meshdoctor.mesh.proxy.rejected import UpdateFailureState
from meshdoctor.mesh.proxy.tls_summary import TransportSocket
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.envoy.sections import Sections

HEADER = ("NAME", "STATE", "ADDRESSES", "PORT", "CHAIN", "MATCH", "TLS", "DESTINATION")
TREE = "as matchers say"
"""Where a tree of matchers names the chain (a waypoint's listener), and no chain's own criteria count."""


class _Cidr(msgspec.Struct, gc=False):
    address_prefix: str = ""
    prefix_len: int = 0


class _Match(ChainMatch, gc=False):
    source_type: str = ""
    source_ports: list[int] = []
    source_prefix_ranges: list[_Cidr] = []
    direct_source_prefix_ranges: list[_Cidr] = []


class _Chain(Chain, gc=False):
    filter_chain_match: _Match | None = None
    transport_socket: TransportSocket | None = None


class _Socket(SocketAddress, gc=False):
    protocol: str = "TCP"


class _Address(Address, gc=False):
    socket_address: _Socket | None = None


class _Listener(Listener, gc=False):
    address: _Address | None = None
    filter_chains: list[_Chain] = []  # type: ignore[assignment]
    default_filter_chain: _Chain | None = None

    @property
    def shown_port(self) -> str:
        """`443`, `443/UDP` (HTTP/3), `-` for a pipe or an internal listener."""
        protocol = self.address.socket_address.protocol if self.address and self.address.socket_address else "TCP"
        return f"{self.port or '-'}{'' if protocol == 'TCP' else f'/{protocol}'}"

    @property
    def shown_addresses(self) -> str:
        """All of them, with the port of one that has another than the first."""
        more = (self._shown(entry.address) for entry in self.additional_addresses if entry.address)
        return ",".join(filter(None, (self.main_address, *more))) or "internal"

    def _shown(self, address: Address) -> str:
        text, port = place_of(address)
        if port in (0, self.port):
            return text.removeprefix("unix://")
        return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


class _State(msgspec.Struct, gc=False):
    listener: _Listener | None = None


class _Dynamic(msgspec.Struct, gc=False):
    name: str = ""
    active_state: _State | None = None
    warming_state: _State | None = None
    draining_state: _State | None = None
    error_state: UpdateFailureState | None = None


class _Listeners(msgspec.Struct, gc=False):
    dynamic_listeners: list[_Dynamic] = []
    static_listeners: list[_State] = []


class _Weighted(msgspec.Struct, gc=False):
    name: str = ""
    weight: int = 0


class _WeightedClusters(msgspec.Struct, gc=False):
    clusters: list[_Weighted] = []


class _Typed(msgspec.Struct, gc=False):
    type: str = msgspec.field(name="@type", default="")


class _TcpProxy(msgspec.Struct, gc=False):
    cluster: str = ""
    weighted_clusters: _WeightedClusters | None = None


def wide_listeners(sections: Sections, chosen: ListenerFilter) -> TextTable:
    """A row per filter chain of each state; a listener of which Envoy took no version at all has a row too."""
    found = read_part(sections, SECTION, _Listeners)
    states = []
    rows: list[Cells] = []
    for entry in found.dynamic_listeners:
        refused = ", UPDATE REFUSED" if entry.error_state else ""
        named = (("active", entry.active_state), ("WARMING", entry.warming_state), ("DRAINING", entry.draining_state))
        kept = [(state + refused, body.listener) for state, body in named if body and body.listener]
        states += kept
        if not kept and entry.error_state:
            rows.append((entry.name, "REFUSED", "-", "-", "-", "-", "-", entry.error_state.details))
    states += [("static", entry.listener) for entry in found.static_listeners if entry.listener]
    for state, listener in sorted(states, key=lambda pair: place(pair[1])):
        if chosen.keeps(listener):
            rows += _rows(state, listener)
    return TextTable(HEADER, rows, padding=2)


def _rows(state: str, listener: _Listener) -> list[Cells]:
    head = (listener.name or "-", state, listener.shown_addresses, listener.shown_port)
    by_tree = bytes(listener.filter_chain_matcher) not in (b"", b"null")
    rows: list[Cells] = []
    for chain in (
        *listener.filter_chains,
        *((listener.default_filter_chain,) if listener.default_filter_chain else ()),
    ):
        is_default = chain is listener.default_filter_chain
        match = "otherwise" if is_default else TREE if by_tree else describe_chain_match(chain.filter_chain_match)
        source = "" if by_tree else _source(chain.filter_chain_match)
        tls = chain.transport_socket.downstream if chain.transport_socket else "plaintext"
        rows.append((*head, chain.name or "-", f"{match}; {source}" if source else match, tls, _target(chain)))
    return rows or [(*head, "-", "-", "-", "no filter chain")]


def _source(match: _Match | None) -> str:
    """The criteria on the source, which istioctl leaves out."""
    if match is None:
        return ""
    parts = []
    ranges = [f"{entry.address_prefix}/{entry.prefix_len}" for entry in match.source_prefix_ranges]
    if ranges:
        parts.append(f"From: {','.join(ranges)}")
    direct = [f"{entry.address_prefix}/{entry.prefix_len}" for entry in match.direct_source_prefix_ranges]
    if direct:
        parts.append(f"From directly: {','.join(direct)}")
    if match.source_ports:
        parts.append(f"From ports: {','.join(map(str, match.source_ports))}")
    if match.source_type not in ("", "ANY"):
        parts.append(f"From: {match.source_type}")
    return "; ".join(parts)


def _target(chain: Chain) -> str:
    """As `destination`, but a filter is known by its type as well (only Istio names it after that), a TCP proxy's
    weighted clusters and the black hole are named, and so is a filter of another protocol.
    """
    for entry in chain.filters:
        kind = filter_config(entry, _Typed).type.rpartition(".")[2]
        if entry.name == HTTP_FILTER or kind == "HttpConnectionManager":
            return http_destination(entry)
        if entry.name == TCP_FILTER or kind == "TcpProxy":
            proxy = filter_config(entry, _TcpProxy)
            if proxy.weighted_clusters:
                return "Clusters: " + ", ".join(f"{c.name} {c.weight}" for c in proxy.weighted_clusters.clusters)
            return cluster_text(proxy.cluster)
    return f"Filter: {chain.filters[-1].name}" if chain.filters else "no filter"
