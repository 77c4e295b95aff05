"""What a pod has otherwise than istiod or another pod of its workload, as rows, and one difference in lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.text import Text

from meshdoctor.mesh.proxy.difference import ResourceDifference
from meshdoctor.present.short_names import short_cluster
from meshdoctor.present.table import Cell, Column, Row
from meshdoctor.present.words import Words

COLUMNS = (
    Column("what", "WHAT", 11, priority=0, ranks=("only istiod", "only there", "only Envoy", "only here", "differs")),
    Column("kind", "KIND", 9, priority=0),
    Column("name", "NAME", 30, flex=1, priority=0, elide="middle"),
)
_KINDS = {"Clusters": "cluster", "Listeners": "listener", "Routes": "route"}
_STYLES = {"+": "state.ok", "-": "state.nack", "@": "quiet"}
_HEAD = 2
"""The first lines of a unified difference name the files."""


def difference_rows(pod: str, other: str, found: Iterable[ResourceDifference]) -> tuple[Row, ...]:
    """A row for each resource; Enter opens it in the dump that has it."""
    rows = []
    for entry in found:
        kind = _KINDS[entry.kind]
        name = short_cluster(entry.name) if kind == "cluster" else entry.name
        owner = other if entry.what == "only there" else "" if entry.what == "only istiod" else pod
        cells: tuple[Cell, ...] = (Text(entry.what, "state.stale"), kind, name)
        target = f"dump {owner} {kind} {entry.name}" if owner else ""
        rows.append(Row(f"{kind} {entry.name}", cells, target, True, entry.name))
    return tuple(rows)


def difference_lines(found: ResourceDifference, pod: str, other: str, words: Words) -> Iterator[Cell]:
    """The lines that differ: `-` is the other pod's, `+` this one's."""
    if found.what != "differs":
        owner = other if found.what in ("only there", "only istiod") else pod
        yield words("difference.only", pod=owner, name=found.name)
        return
    yield Text(words("difference.signs", other=other, pod=pod), "quiet")
    for line in found.diff[_HEAD:]:
        yield Text(line, _STYLES[line[:1]]) if line[:1] in _STYLES else line
