"""Which filter chain takes a connection: each criterion narrows in a fixed order and never goes back.

Source: Envoy 1.40, FilterChainManagerImpl::findFilterChain: destination port, destination address, server name,
transport protocol, application protocols, direct source, source type, source address, source port. A chain without a
criterion is used only when no chain with a matching value is left at that step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from meshdoctor.mesh.trace.network import Network, ip_address, network
from meshdoctor.mesh.trace.request import Request
from meshdoctor.mesh.trace.sniff import Sniffed
from meshdoctor.model.envoy.listener import CidrRange, FilterChainMatch

PORT_STEP = "destination port"


class Criteria(NamedTuple):
    """A chain's match, ready to compare; *place* is its index in the listener."""

    place: int
    port: int | None
    destinations: tuple[Network, ...]
    names: frozenset[str]
    transport: str
    alpn: frozenset[str]
    direct_sources: tuple[Network, ...]
    source_type: str
    sources: tuple[Network, ...]
    source_ports: frozenset[int]


class Lost(NamedTuple):
    """A chain that was ruled out, and at which step."""

    place: int
    step: str


def criteria(place: int, match: FilterChainMatch) -> Criteria:
    """The comparable form of *match*; server names in lower case, `*.` dropped to the suffix it stands for."""
    names = (name.lower().removeprefix("*") if name.startswith("*.") else name.lower() for name in match.server_names)
    return Criteria(
        place,
        match.destination_port or None,
        _networks(match.prefix_ranges),
        frozenset(names),
        match.transport_protocol,
        frozenset(match.application_protocols),
        _networks(match.direct_source_prefix_ranges),
        match.source_type,
        _networks(match.source_prefix_ranges),
        frozenset(match.source_ports),
    )


class ChainIndex:
    """The chains of a listener, by destination port (the criterion that splits virtualInbound)."""

    __slots__ = ("by_port", "names", "plain", "size")

    def __init__(self, chains: Iterable[Criteria]) -> None:
        self.by_port: dict[int, list[Criteria]] = {}
        self.plain: list[Criteria] = []
        self.size = 0
        for chain in chains:
            self.size += 1
            (self.by_port.setdefault(chain.port, []) if chain.port else self.plain).append(chain)

    def find(self, request: Request, port: int, sniffed: Sniffed, lost: list[Lost] | None = None) -> int | None:
        """The index of the chain, None when none matches; *lost* collects who was ruled out where."""
        remaining: Sequence[Criteria] = self.by_port.get(port) or self.plain
        if lost is not None and self.by_port:
            kept = {chain.place for chain in remaining}
            every = [chain for chains in (*self.by_port.values(), self.plain) for chain in chains]
            lost += [Lost(chain.place, PORT_STEP) for chain in every if chain.place not in kept]
        for name, step in _STEPS:
            if len(remaining) == 1 and lost is None and _trivial(remaining[0]):
                break
            narrowed = step(remaining, request, sniffed)
            if lost is not None:
                kept = {chain.place for chain in narrowed}
                lost += [Lost(chain.place, name) for chain in remaining if chain.place not in kept]
            remaining = narrowed
            if not remaining:
                return None
        return remaining[0].place if remaining else None


def _trivial(chain: Criteria) -> bool:
    return not any(chain[2:7]) and chain.source_type == "ANY" and not any(chain[8:])


def _destination(chains: Sequence[Criteria], request: Request, _: Sniffed) -> Sequence[Criteria]:
    return _by_network(chains, request.ip, lambda chain: chain.destinations)


def _server_name(chains: Sequence[Criteria], _: Request, sniffed: Sniffed) -> Sequence[Criteria]:
    if not any(chain.names for chain in chains):
        return chains
    name = sniffed.sni
    exact = [chain for chain in chains if name in chain.names] if name else []
    if exact:
        return exact
    position = name.find(".", 1)
    while 0 < position < len(name) - 1:
        suffix = name[position:]
        found = [chain for chain in chains if suffix in chain.names]
        if found:
            return found
        position = name.find(".", position + 1)
    return [chain for chain in chains if not chain.names]


def _transport(chains: Sequence[Criteria], _: Request, sniffed: Sniffed) -> Sequence[Criteria]:
    return [chain for chain in chains if chain.transport == sniffed.transport] or [
        chain for chain in chains if not chain.transport
    ]


def _protocols(chains: Sequence[Criteria], _: Request, sniffed: Sniffed) -> Sequence[Criteria]:
    # The client's order decides: the first of its protocols that any remaining chain names.
    for protocol in sniffed.alpn:
        found = [chain for chain in chains if protocol in chain.alpn]
        if found:
            return found
    return [chain for chain in chains if not chain.alpn]


def _direct_source(chains: Sequence[Criteria], request: Request, _: Sniffed) -> Sequence[Criteria]:
    return _by_network(chains, request.source_ip, lambda chain: chain.direct_sources)


def _source_type(chains: Sequence[Criteria], request: Request, _: Sniffed) -> Sequence[Criteria]:
    if all(chain.source_type == "ANY" for chain in chains):
        return chains
    address = ip_address(request.source_ip)
    local = request.source_ip == request.ip or (address is not None and address.is_loopback)
    wanted = "SAME_IP_OR_LOOPBACK" if local else "EXTERNAL"
    return [chain for chain in chains if chain.source_type == wanted] or [
        chain for chain in chains if chain.source_type == "ANY"
    ]


def _source(chains: Sequence[Criteria], request: Request, _: Sniffed) -> Sequence[Criteria]:
    return _by_network(chains, request.source_ip, lambda chain: chain.sources)


def _source_port(chains: Sequence[Criteria], request: Request, _: Sniffed) -> Sequence[Criteria]:
    return [chain for chain in chains if request.source_port in chain.source_ports] or [
        chain for chain in chains if not chain.source_ports
    ]


Step = Callable[[Sequence[Criteria], Request, Sniffed], Sequence[Criteria]]
_STEPS: tuple[tuple[str, Step], ...] = (
    ("destination address", _destination),
    ("server name", _server_name),
    ("transport protocol", _transport),
    ("application protocol", _protocols),
    ("direct source address", _direct_source),
    ("source type", _source_type),
    ("source address", _source),
    ("source port", _source_port),
)


def _by_network(
    chains: Sequence[Criteria], ip: str, ranges: Callable[[Criteria], tuple[Network, ...]]
) -> Sequence[Criteria]:
    """The chains of the most specific range that holds *ip*, else those without a range."""
    if not any(ranges(chain) for chain in chains):
        return chains
    address = ip_address(ip)
    best, found = -1, []
    for chain in chains:
        lengths = [net.prefixlen for net in ranges(chain) if address is not None and address in net]
        length = max(lengths, default=-1)
        if length > best:
            best, found = length, [chain]
        elif length == best and length >= 0:
            found.append(chain)
    return found or [chain for chain in chains if not ranges(chain)]


def _networks(ranges: list[CidrRange]) -> tuple[Network, ...]:
    found = (network(entry.address_prefix, entry.prefix_len) for entry in ranges)
    return tuple(entry for entry in found if entry is not None)
