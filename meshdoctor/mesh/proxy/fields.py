"""Which fields of two JSON values differ, by the path that leads to them.

Entries of a list that have names (filters, virtual hosts, routes) are compared by name, so that one that was put in
front does not make all others differ; a changed order of the same names is a difference of its own. What protobuf's
JSON may write in two ways is none (`spelling.py`), but for data: a Struct's values and a map's keys are what they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from meshdoctor.mesh.proxy.spelling import ABSENT, same_value
from meshdoctor.model.envoy.camel import snake_name
from meshdoctor.model.envoy.data_fields import holds_data, is_data

__all__ = ["ABSENT", "FieldDifference", "field_differences"]

_NAMES = ("name", "cluster_name", "clusterName", "@type")


class FieldDifference(NamedTuple):
    """One field: *path* as `outlier_detection.max_ejection_percent` or `filters[envoy.filters.http.router]`.

    *sent* and *runs* are its JSON values on the two sides; `ABSENT` where there is none.
    """

    path: str
    sent: Any
    runs: Any


class _At(NamedTuple):
    """Where a value stands: its path, the field of which it is a value, and whether it is data."""

    path: str
    field: str = ""
    data: bool = False


def field_differences(sent: Any, runs: Any, path: str = "") -> Iterator[FieldDifference]:
    """Every field that is not the same, in the order of its path; raises RecursionError for absurd nesting."""
    return _differences(sent, runs, _At(path))


def _differences(sent: Any, runs: Any, at: _At) -> Iterator[FieldDifference]:
    if isinstance(sent, dict) and isinstance(runs, dict):
        yield from _by_key(sent, runs, at)
    elif isinstance(sent, list) and isinstance(runs, list):
        yield from _lists(sent, runs, at)
    elif not _same(sent, runs, at):
        yield FieldDifference(at.path, sent, runs)


def _same(sent: Any, runs: Any, at: _At) -> bool:
    if at.data:
        return bool(sent == runs) and isinstance(sent, bool) == isinstance(runs, bool)
    return same_value(at.field, sent, runs)


def _by_key(sent: dict[str, Any], runs: dict[str, Any], at: _At) -> Iterator[FieldDifference]:
    in_value_type = holds_data(sent) or holds_data(runs)
    parent = snake_name(at.field)
    for key in sorted(sent.keys() | runs.keys()):
        data = at.data or is_data(snake_name(key), parent, in_value_type=in_value_type)
        here = _At(f"{at.path}.{key}" if at.path else key, key, data)
        yield from _differences(sent.get(key, ABSENT), runs.get(key, ABSENT), here)


def _lists(sent: list[Any], runs: list[Any], at: _At) -> Iterator[FieldDifference]:
    if sent == runs:
        return
    key = next((key for key in _NAMES if _names(sent, key) is not None and _names(runs, key) is not None), "")
    if key:
        first, second = ({str(entry[key]): entry for entry in side} for side in (sent, runs))
        for name in dict.fromkeys((*first, *second)):
            here = at._replace(path=f"{at.path}[{name}]")
            yield from _differences(first.get(name, ABSENT), second.get(name, ABSENT), here)
        if first.keys() == second.keys() and list(first) != list(second):
            yield FieldDifference(f"{at.path} (order)", list(first), list(second))
    elif any(isinstance(entry, dict | list) for entry in (*sent, *runs)):
        for number in range(max(len(sent), len(runs))):
            first_entry, second_entry = (side[number] if number < len(side) else ABSENT for side in (sent, runs))
            yield from _differences(first_entry, second_entry, at._replace(path=f"{at.path}[{number}]"))
    elif len(sent) != len(runs) or not all(_same(*pair, at) for pair in zip(sent, runs, strict=True)):
        yield FieldDifference(at.path, sent, runs)


def _names(entries: list[Any], key: str) -> list[str] | None:
    """What the entries are called, when each has a name of its own."""
    names = [entry.get(key) if isinstance(entry, dict) else None for entry in entries]
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) != len(names):
        return None
    return [str(name) for name in names]
