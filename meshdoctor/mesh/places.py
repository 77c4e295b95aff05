"""Where a piece of evidence stands: the objects of a JSON answer that a place in it names.

A place is written for people (`shop/cart`, `Service shop/cart`, `outbound|80||cart.shop…`, an address, a section's
name); it is looked up by what the objects call themselves, then by what they contain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

MOST = 50
"""So many objects at most: a place that more of them hold names none of them."""
_NAMES = ("name", "cluster_name", "proxy", "hostname", "resource")
_SEPARATOR = re.compile(r",\s+")


class Place(NamedTuple):
    """One object that a place names, and what it is called."""

    name: str
    value: Any


def find_places(document: Any, at: str) -> tuple[Place, ...]:
    """The objects of *document* (builtins) that *at* names; empty when it names none, or nothing in particular."""
    found: list[Place] = []
    for word in _SEPARATOR.split(at.strip()):
        if word:
            found += [place for place in _find(document, word) if place not in found]
    return tuple(found) if len(found) <= MOST else ()


def _find(document: Any, word: str) -> list[Place]:
    section = _section(document, word)
    if section:
        return section
    name = word.rpartition(" ")[2] if " " in word and "/" in word.rpartition(" ")[2] else word
    entries = list(_entries(document))
    for tells in (_is_called, _belongs_to, _contains):
        chosen = [Place(_title(entry), entry) for entry in entries if tells(entry, name)]
        if chosen:
            return chosen
    # `shop/web-5d8 Cluster`: the first word names the object, the rest a part of it.
    first = word.partition(" ")[0]
    return _find(document, first) if first != word else []


def _section(document: Any, word: str) -> list[Place]:
    """A section of a config dump by its message's name."""
    configs = document.get("configs", ()) if isinstance(document, dict) else ()
    return [
        Place(word, config)
        for config in configs
        if isinstance(config, dict) and str(config.get("@type", "")).rpartition(".")[2] == word
    ]


def _entries(document: Any) -> Iterator[dict[str, Any]]:
    """The objects of an answer: the items of a list, a config dump's resources, the clusters, the records."""
    if isinstance(document, list):
        yield from (entry for entry in document if isinstance(entry, dict))
        return
    if not isinstance(document, dict):
        return
    for section in document.get("configs", ()):
        if isinstance(section, dict):
            for value in section.values():
                yield from _entries(value if isinstance(value, list) else ())
    for key in ("items", "cluster_statuses", "certificates", "listener_statuses"):
        yield from _entries(document.get(key) or ())


def _inner(entry: dict[str, Any]) -> dict[str, Any]:
    """The resource in one of the admin API's wrappers."""
    for key in ("cluster", "listener", "route_config", "endpoint_config", "secret", "ecds_filter"):
        if isinstance(entry.get(key), dict):
            return dict(entry[key])
    state = entry.get("active_state") or entry.get("warming_state") or entry.get("draining_state")
    return _inner(state) if isinstance(state, dict) else entry


def _called(entry: dict[str, Any]) -> list[str]:
    inner = _inner(entry)
    names = [str(each[key]) for each in (entry, inner) for key in _NAMES if isinstance(each.get(key), str)]
    about = entry.get("involvedObject") or entry.get("regarding") or {}
    for each in (entry.get("metadata"), about):
        if isinstance(each, dict) and isinstance(each.get("name"), str):
            space = each.get("namespace") or ""
            names.append(f"{space}/{each['name']}" if space else str(each["name"]))
    return names


def _title(entry: dict[str, Any]) -> str:
    names = _called(entry)
    return names[0] if names else ""


def _is_called(entry: dict[str, Any], name: str) -> bool:
    return name in _called(entry)


def _belongs_to(entry: dict[str, Any], name: str) -> bool:
    """Whether its name is *name* and a generated end (`shop/cart` owns `shop/cart-7d9c-x2x9q`), or istiod's form."""
    space, _, plain = name.rpartition("/")
    istiod = f"{plain}.{space}" if space else plain
    return any(each.startswith((f"{name}-", f"{name}.")) or each == istiod for each in _called(entry))


def _contains(entry: dict[str, Any], name: str) -> bool:
    return any(name in text for text in _texts(entry))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
