"""`proxy-config listener --waypoint`: filter chains by name, also those that a matcher tree chooses.

istioctl/pkg/writer/envoy/configdump/listener.go, PrintRemoteListenerSummary. istioctl walks maps in random order and
panics on a matcher that it does not know; here the order is that of the keys, and such a chain is NONE.
"""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.mesh.gosort import sort_slice
from meshdoctor.mesh.proxy.listener import Chain, Listener, describe_chain_match, destination, listeners, place
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.envoy.sections import Sections

HEADER = ("LISTENER", "CHAIN", "MATCH", "DESTINATION")


class _OnMatch(msgspec.Struct):
    action: dict[str, Any] | None = None
    matcher: _Matcher | None = None


class _Map(msgspec.Struct):
    map: dict[str, _OnMatch] = {}


class _Input(msgspec.Struct):
    name: str = ""


class _Range(msgspec.Struct):
    address_prefix: str = ""
    prefix_len: int = 0


class _RangeMatcher(msgspec.Struct):
    ranges: list[_Range] = []
    on_match: _OnMatch | None = None


class _CustomConfig(msgspec.Struct):
    type: str = msgspec.field(name="@type", default="")
    range_matchers: list[_RangeMatcher] = []


class _Custom(msgspec.Struct):
    name: str = ""
    typed_config: _CustomConfig = msgspec.field(default_factory=_CustomConfig)


class _Tree(msgspec.Struct):
    input: _Input = msgspec.field(default_factory=_Input)
    exact_match_map: _Map | None = None
    prefix_match_map: _Map | None = None
    custom_match: _Custom | None = None


class _Matcher(msgspec.Struct):
    matcher_tree: _Tree | None = None
    on_no_match: _OnMatch | None = None


def waypoint_listener_table(sections: Sections) -> TextTable:
    """A row per filter chain and way to reach it; raises `UnreadableError`."""
    rows: list[Cells] = []
    for listener in sort_slice(listeners(sections), _before):
        chains = listener.chains
        name = f"envoy://{listener.name}"
        if listener.is_internal and len(chains) == 1 and chains[0].name == name:
            name = "internal"
        rows += [
            (name, chain.name, match, destination(chain)) for chain in chains for match in _matches(chain, listener)
        ]
    return TextTable(HEADER, rows, padding=1)


def _before(a: Listener, b: Listener) -> bool:
    """Internal listeners have an order by name among themselves; otherwise port, address and type decide."""
    if a.is_internal and b.is_internal:
        return a.name < b.name
    return place(a) < place(b)


def _matches(chain: Chain, listener: Listener) -> list[str]:
    if not bytes(listener.filter_chain_matcher):
        return [describe_chain_match(chain.filter_chain_match)]
    try:
        matcher = msgspec.json.decode(listener.filter_chain_matcher, type=_Matcher, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ["UNREADABLE MATCHER"]
    fallback = matcher.on_no_match
    if fallback and fallback.action is not None and fallback.action.get("name") == chain.name:
        return ["UNMATCHED"]
    inner = fallback.matcher if fallback and fallback.matcher else matcher
    return _ways(chain.name, inner) or ["NONE"]


def _ways(name: str, matcher: _Matcher) -> list[str]:
    """Every path through a matcher tree that ends at the chain *name*."""
    fallback = matcher.on_no_match
    if fallback and fallback.action is not None and fallback.action.get("name") == name:
        return ["ANY"]
    if fallback and fallback.matcher:
        return _ways(name, fallback.matcher) or ["NONE"]
    if matcher.matcher_tree is None:
        return []
    found = []
    source = matcher.matcher_tree.input.name
    for sign, key, target in _branches(matcher.matcher_tree):
        if target.action is not None and target.action.get("name") == name:
            found.append(f"{source}{sign}{key}")
        elif target.matcher:
            found += [f"{source}{sign}{key} -> {way}" for way in _ways(name, target.matcher)]
    return found


def _branches(tree: _Tree) -> list[tuple[str, str, _OnMatch]]:
    if tree.exact_match_map:
        return [("=", key, target) for key, target in sorted(tree.exact_match_map.map.items(), key=_key)]
    if tree.prefix_match_map:
        return [("^", key, target) for key, target in sorted(tree.prefix_match_map.map.items(), key=_key)]
    branches = {}
    for matcher in tree.custom_match.typed_config.range_matchers if tree.custom_match else ():
        for entry in matcher.ranges:
            length = "" if entry.prefix_len in (32, 128) else f"/{entry.prefix_len}"
            branches[entry.address_prefix + length] = matcher.on_match or _OnMatch()
    return [("=", key, target) for key, target in sorted(branches.items(), key=_key)]


def _key(item: tuple[str, _OnMatch]) -> str:
    return item[0]
