from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.mesh.trace.chain import ChainIndex, Lost, criteria
from meshdoctor.mesh.trace.request import Request
from meshdoctor.mesh.trace.sniff import Sniffed
from meshdoctor.model.decode import convert
from meshdoctor.model.envoy.listener import FilterChainMatch


def index(*matches: dict[str, Any]) -> ChainIndex:
    return ChainIndex(criteria(place, convert(match, FilterChainMatch)) for place, match in enumerate(matches))


PLAIN = Sniffed()


def find(chains: ChainIndex, sniffed: Sniffed = PLAIN, lost: list[Lost] | None = None, **request: Any) -> int | None:
    asked = Request("inbound", **{"ip": "10.0.0.1", "port": 80, "source_ip": "10.0.0.9", **request})
    return chains.find(asked, asked.port, sniffed, lost)


def tls(sni: str = "", *alpn: str) -> Sniffed:
    return Sniffed("tls", sni, alpn)


def test_a_port_of_its_own_excludes_the_others_even_when_nothing_there_matches() -> None:
    chains = index({"destination_port": 80, "transport_protocol": "tls"}, {"transport_protocol": "raw_buffer"})
    assert find(chains) is None
    assert find(chains, port=81) == 1
    assert find(chains, tls()) == 0


def test_server_names_exact_then_longest_suffix_then_none() -> None:
    chains = index({"server_names": ["*.a.test"]}, {"server_names": ["x.a.test", "*.test"]}, {})
    names = {"x.a.test": 1, "y.a.test": 0, "z.y.a.test": 0, "a.test": 1, "other": 2, "": 2}
    assert {name: find(chains, tls(name)) for name in names} == names


def test_a_criterion_narrows_and_never_goes_back() -> None:
    # The exact name wins at its step, so the chain that would match everything is gone when TLS is compared.
    chains = index({"server_names": ["a.test"], "transport_protocol": "raw_buffer"}, {})
    assert find(chains, tls("a.test")) is None
    assert find(chains, tls("b.test")) == 1


def test_the_clients_order_of_protocols_decides() -> None:
    chains = index({"application_protocols": ["h2"]}, {"application_protocols": ["istio"]}, {})
    assert find(chains, tls("", "foo", "istio", "h2")) == 1
    assert find(chains, tls("", "h2", "istio")) == 0
    assert find(chains, tls("", "foo")) == 2


def test_the_most_specific_destination_range_wins() -> None:
    wide = {"prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}
    narrow = {"prefix_ranges": [{"address_prefix": "10.1.0.0", "prefix_len": 16}]}
    chains = index(wide, narrow, {})
    assert [find(chains, ip=ip) for ip in ("10.2.0.1", "10.1.0.1", "11.0.0.1", "fd00::1")] == [0, 1, 2, 2]


def test_sources() -> None:
    chains = index(
        {"source_type": "SAME_IP_OR_LOOPBACK"},
        {"source_type": "EXTERNAL", "source_prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 24}]},
        {"source_type": "EXTERNAL", "source_ports": [7]},
    )
    assert find(chains, source_ip="127.0.0.1") == 0
    assert find(chains, source_ip="10.0.0.1") == 0
    assert find(chains, source_ip="10.0.0.2") == 1
    assert find(chains, source_ip="10.9.0.2", source_port=7) == 2
    assert find(chains, source_ip="10.9.0.2", source_port=8) is None


def test_who_was_ruled_out_at_which_step() -> None:
    lost: list[Lost] = []
    chains = index({"destination_port": 81}, {"transport_protocol": "tls"}, {"transport_protocol": "raw_buffer"})
    assert find(chains, lost=lost) == 2
    assert lost == [Lost(0, "destination port"), Lost(1, "transport protocol")]


_NAMES = ["", "a.test", "*.test", "*.a.test"]
_CHAINS = st.lists(
    st.tuples(st.sampled_from([0, 80]), st.sampled_from(_NAMES), st.sampled_from(["", "tls", "raw_buffer"])),
    unique=True,
    max_size=12,
)


@given(_CHAINS, st.sampled_from(["", "a.test", "b.test", "b.a.test"]), st.sampled_from(["tls", "raw_buffer"]))
def test_narrowing_is_the_nested_maps_of_envoy(chains: list[tuple[int, str, str]], sni: str, transport: str) -> None:
    matches = [
        {"destination_port": port or None, "server_names": [name] if name else [], "transport_protocol": protocol}
        for port, name, protocol in chains
    ]
    expected = _nested(chains, sni, transport)
    assert find(index(*matches), Sniffed(transport, sni)) == expected


def _nested(chains: list[tuple[int, str, str]], sni: str, transport: str) -> int | None:
    """FilterChainManagerImpl, word for word: a map in a map in a map."""
    tree: dict[int, dict[str, dict[str, int]]] = {}
    for place, (port, name, protocol) in enumerate(chains):
        tree.setdefault(port, {}).setdefault(name, {})[protocol] = place
    names = tree.get(80, tree.get(0))
    if names is None:
        return None
    labels = sni.split(".")
    wanted = [sni, *(".".join(("*", *labels[cut:])) for cut in range(1, len(labels)))] if sni else []
    for name in itertools.chain(wanted, [""]):
        if name in names:
            return names[name].get(transport, names[name].get(""))
    return None


@pytest.mark.parametrize("port", [80, 8080])
def test_a_single_chain_without_criteria_takes_everything(port: int) -> None:
    assert find(index({}), port=port) == 0
