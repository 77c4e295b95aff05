"""Which fields of two JSON values differ, by the path that leads to them.

Entries of a list that have names (filters, virtual hosts, routes) are compared by name, so that one that was put in
front does not make all others differ; a changed order of the same names is a difference of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

_NAMES = ("name", "cluster_name", "clusterName", "@type")


class FieldDifference(NamedTuple):
    """One field: *path* as `outlier_detection.max_ejection_percent` or `filters[envoy.filters.http.router]`.

    *sent* and *runs* are its JSON values on the two sides; `ABSENT` where there is none.
    """

    path: str
    sent: Any
    runs: Any


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Any = _Absent()


def field_differences(sent: Any, runs: Any, path: str = "") -> Iterator[FieldDifference]:
    """Every field that is not the same, in the order of its path; raises RecursionError for absurd nesting."""
    if isinstance(sent, dict) and isinstance(runs, dict):
        yield from _by_key(sent, runs, path)
    elif isinstance(sent, list) and isinstance(runs, list):
        yield from _lists(sent, runs, path)
    elif sent != runs or isinstance(sent, bool) != isinstance(runs, bool):
        yield FieldDifference(path, sent, runs)


def _by_key(sent: dict[str, Any], runs: dict[str, Any], path: str) -> Iterator[FieldDifference]:
    for key in sorted(sent.keys() | runs.keys()):
        here = f"{path}.{key}" if path else key
        yield from field_differences(sent.get(key, ABSENT), runs.get(key, ABSENT), here)


def _lists(sent: list[Any], runs: list[Any], path: str) -> Iterator[FieldDifference]:
    if sent == runs:
        return
    key = next((key for key in _NAMES if _names(sent, key) is not None and _names(runs, key) is not None), "")
    if key:
        first, second = ({str(entry[key]): entry for entry in side} for side in (sent, runs))
        for name in dict.fromkeys((*first, *second)):
            yield from field_differences(first.get(name, ABSENT), second.get(name, ABSENT), f"{path}[{name}]")
        if first.keys() == second.keys() and list(first) != list(second):
            yield FieldDifference(f"{path} (order)", list(first), list(second))
    elif any(isinstance(entry, dict | list) for entry in (*sent, *runs)):
        for number in range(max(len(sent), len(runs))):
            first_entry, second_entry = (side[number] if number < len(side) else ABSENT for side in (sent, runs))
            yield from field_differences(first_entry, second_entry, f"{path}[{number}]")
    else:
        yield FieldDifference(path, sent, runs)


def _names(entries: list[Any], key: str) -> list[str] | None:
    """What the entries are called, when each has a name of its own."""
    names = [entry.get(key) if isinstance(entry, dict) else None for entry in entries]
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) != len(names):
        return None
    return [str(name) for name in names]
