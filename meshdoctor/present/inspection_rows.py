"""One proxy under inspection as rows, a row for each thing that is not as it should be, and each of them in lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from rich.text import Text

from meshdoctor.mesh.ages import human_duration
from meshdoctor.mesh.proxy.difference import ResourceDifference
from meshdoctor.mesh.proxy.fields import ABSENT
from meshdoctor.mesh.proxy.inspection import Inspection
from meshdoctor.mesh.sync import CONNECTED, ERROR, rejection
from meshdoctor.model.text import visible
from meshdoctor.present.short_names import short_cluster
from meshdoctor.present.table import Cell, Column, Row
from meshdoctor.present.undelivered import unknown_lines, warming_text
from meshdoctor.present.words import Words

_WORDS = (
    "rejected",
    "connection",
    "missing",
    "old",
    "lacks",
    "warming",
    "only istiod",
    "only there",
    "only Envoy",
    "only here",
    "differs",
    "not acked",
    "unknown",
)
COLUMNS = (
    Column("what", "WHAT", 11, priority=0, ranks=_WORDS),
    Column("kind", "KIND", 9, priority=0),
    Column("name", "NAME", 30, flex=1, priority=0, elide="middle"),
)
_KINDS = {
    "Clusters": "cluster",
    "Listeners": "listener",
    "Routes": "route",
    "Endpoints": "endpoints",
    "Extensions": "extension",
    "Secrets": "secret",
}
_DUMPED = {"cluster": "cluster", "listener": "listener", "route": "route", "endpoints": "endpoint", "secret": "secret"}
"""The kinds of which the JSON can be shown, as the `dump` view calls them."""
_MOST = 400
"""Lines of one side of a field; what is longer is one of the resource's JSON."""


class Shown(NamedTuple):
    """A row, and the lines that tell the whole of it."""

    row: Row
    lines: tuple[Cell, ...] = ()


def inspection_rows(found: Inspection, words: Words) -> tuple[Shown, ...]:
    """Everything that is not as it should be, the surest first, and what cannot be told at the end."""
    pod = str(found.sync.pod)
    return (
        *_rejected(found, pod, words),
        *_connection(found, words),
        *_warming(found, pod, words),
        *difference_rows(pod, "istiod", [one for one in found.sent or () if one.what != "warming"], words),
        *_missing(found, pod, words),
        *_endpoints(found, pod, words),
        *_not_acknowledged(found, words),
        *(_shown("unknown", "-", line, "", [line], problem=False) for line in unknown_lines(found, words)),
    )


def _rejected(found: Inspection, pod: str, words: Words) -> Iterator[Shown]:
    for item in found.rejected:
        said = words("inspection.refused", when=f" ({item.when})" if item.when else "")
        yield _shown("rejected", item.kind, item.name, pod, [said, "", *visible(item.why).splitlines()])
    for entry in found.sync.types:
        if entry.status == ERROR:
            said = words("inspection.nacked", name=entry.name)
            whole = ["", *visible(entry.error).splitlines()] if entry.error.strip() != rejection(entry.error) else []
            yield _shown("rejected", entry.name, rejection(entry.error), "", [said, rejection(entry.error), *whole])


def _connection(found: Inspection, words: Words) -> Iterator[Shown]:
    """What is odd about its connection, or why it has none."""
    sync = found.sync
    for note in sync.notes:
        said = words.said(note)
        said = said if sync.state == CONNECTED else f"{sync.word}: {said}"
        yield _shown("connection", "-", said, "", [said])


def _warming(found: Inspection, pod: str, words: Words) -> Iterator[Shown]:
    for kind, name in found.warming:
        yield _shown("warming", kind, name, pod, [warming_text(kind, words)])


def _missing(found: Inspection, pod: str, words: Words) -> Iterator[Shown]:
    """Enter leads to what names the cluster."""
    for name, tables in found.missing.items():
        shown = _shown("missing", "cluster", name, "", [words("inspection.missing", tables=", ".join(tables))])
        yield shown._replace(row=msgspec.structs.replace(shown.row, target=f"users {pod} cluster {name}"))


def _endpoints(found: Inspection, pod: str, words: Words) -> Iterator[Shown]:
    for entry in found.endpoints:
        lines = [words("inspection.old", addresses=", ".join(entry.old))] if entry.old else []
        lines += [words("inspection.new", addresses=", ".join(entry.new))] if entry.new else []
        yield _shown("old" if entry.old else "lacks", "endpoints", entry.cluster, pod, lines)


def _not_acknowledged(found: Inspection, words: Words) -> Iterator[Shown]:
    for entry in found.sync.types:
        if entry.late:
            age = "" if entry.age is None else words("inspection.ago", age=human_duration(entry.age))
            line = words("inspection.stale", name=entry.name, age=age)
            when = ", ".join(f"{kind} {moment}" for kind, moment in found.received.items())
            changed = [words("inspection.changed", what=when)] if when else []
            yield _shown("not acked", entry.name, line, "", [line, *changed])


def difference_rows(pod: str, other: str, found: Iterable[ResourceDifference], words: Words) -> Iterator[Shown]:
    """A row for each resource of *pod* that is not as *other* (`istiod`, or a pod) has it."""
    for entry in found:
        kind = _KINDS.get(entry.kind, entry.kind)
        owner = other if entry.what == "only there" else "" if entry.what == "only istiod" else pod
        yield _shown(entry.what, kind, entry.name, owner, _difference_lines(entry, pod, other, words))


def _difference_lines(found: ResourceDifference, pod: str, other: str, words: Words) -> Iterator[Cell]:
    """Each field that differs: `-` is the other's value, `+` this pod's."""
    if found.what != "differs":
        owner = other if found.what in ("only there", "only istiod") else pod
        yield words("difference.only", pod=owner, name=found.name)
        return
    yield Text(words("difference.signs", other=other, pod=pod), "quiet")
    for field in found.fields:
        yield field.path
        yield from _value("-", field.sent, "state.nack")
        yield from _value("+", field.runs, "state.ok")


def _value(sign: str, value: Any, style: str) -> Iterator[Cell]:
    lines = ["absent"] if value is ABSENT else json.dumps(value, indent=2, ensure_ascii=False).splitlines()
    for line in lines[:_MOST]:
        yield Text(f"{sign} {visible(line)}", style)
    if len(lines) > _MOST:
        yield Text(f"{sign} ..", style)


def _shown(what: str, kind: str, name: str, owner: str, lines: Iterable[Cell], *, problem: bool = True) -> Shown:
    """A row whose Enter opens the resource in *owner*'s dump, where there is one."""
    cluster = kind in ("cluster", "endpoints")
    style = {"rejected": "state.nack", "missing": "state.nack", "unknown": "state.unknown"}.get(what, "state.stale")
    target = f"dump {owner} {_DUMPED[kind]} {name}" if owner and kind in _DUMPED else ""
    cells: tuple[Cell, ...] = (Text(what, style), kind, short_cluster(name) if cluster else name)
    return Shown(Row(f"{what} {kind} {name}", cells, target, problem, name), tuple(lines))
