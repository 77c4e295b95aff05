"""What changed between two moments as rows, and one change in lines: as it was, as it is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from rich.text import Text

from meshdoctor.guide.comparison import FINDING, Reading, verdict_sides
from meshdoctor.mesh.comparison import ADDED, CHANGED, ENDPOINT, PROXY, REMOVED, SYNC, UNKNOWN, Change, sides
from meshdoctor.model.text import visible
from meshdoctor.present.datatext import yaml_text
from meshdoctor.present.diagnosis import verdict_lines
from meshdoctor.present.document_lines import comment
from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.short_names import short_cluster
from meshdoctor.present.table import Cell, Column, Row
from meshdoctor.present.words import Words

COLUMNS = (
    Column("what", "WHAT", 7, priority=0, ranks=(ADDED, REMOVED, CHANGED, UNKNOWN)),
    Column("kind", "KIND", 15, priority=0),
    Column("name", "NAME", 26, flex=2, priority=0, elide="middle"),
    Column("how", "HOW", 20, flex=3, priority=1),
)
_STYLES = {ADDED: "state.ok", REMOVED: "state.nack", CHANGED: "state.stale", UNKNOWN: "quiet"}
_SIGNS = {"+": "state.ok", "-": "state.nack", "@": "quiet"}
VERDICT = 78
"""Cells of a verdict's lines, beside their sign."""
_AROUND = 4
"""Lines around a difference."""
_HEAD = 2
"""The first lines of a unified difference name the files."""


def change_key(change: Change) -> str:
    """What names the change among those of its two moments."""
    return " ".join(part for part in (change.area, change.change, change.subject, change.name) if part)


def change_rows(before: str, after: str, changes: Iterable[Change], words: Words) -> tuple[Row, ...]:
    """A row for each change; Enter shows it whole."""
    rows = []
    for change in changes:
        kind = {ENDPOINT: "endpoints", SYNC: "sync"}.get(change.area) or words.said(change.subject)
        name = short_cluster(change.name) if change.area == PROXY else change.name
        how = _how(change, words)
        if change.change == UNKNOWN and change.area == PROXY:
            name, how = how, words.said(change.name)  # which proxies, and why
        cells: tuple[Cell, ...] = (Text(change.change, _STYLES[change.change]), kind, name, how)
        key = change_key(change)
        rows.append(Row(key, cells, f"change {before} {after} {key}", change.area == FINDING, change.name or key))
    return tuple(rows)


def _how(change: Change, words: Words) -> str:
    if change.area == PROXY and len(change.details) > 1:
        return words("compare.in_proxies", count=len(change.details), first=change.details[0])
    return words.said(change.details[0]) if change.details else ""


def detail_lines(change: Change, words: Words, width: int) -> Iterator[Cell]:
    """Its details, whole."""
    if change.area == PROXY and len(change.details) > 1:
        yield comment(words("compare.proxies", count=len(change.details)))
    if change.change == UNKNOWN and change.name:
        yield from wrap(words.said(change.name), "   ", " ", width=width)
    if not change.details:
        yield comment(words("compare.whole"))
    for detail in change.details:
        yield from wrap(words.said(detail), "   ", " ", width=width)


def change_lines(before: Reading, after: Reading, change: Change, words: Words) -> Iterator[Cell]:
    """The whole of what a change is about: lines that went, lines that came, and some around them."""
    yield comment(" ".join((change.change, change.subject, change.name)).strip())
    yield comment(f"{before.name} -> {after.name}")
    if change.change == UNKNOWN:
        yield from map(words.said, change.details)
        return
    if change.area == PROXY and change.details:
        also = len(change.details) > 1
        yield comment(words("compare.shown_of" if also else "compare.as", pod=change.details[0]))
        yield from (comment(f"  {pod}") for pod in change.details[1:])
    left, right = _texts(before, after, change, words)
    if not left and not right:
        yield from map(words.said, change.details)
        return
    if not left or not right:
        sign, lines = ("+", right) if right else ("-", left)
        yield from (Text(f"{sign}{line}", _SIGNS[sign]) for line in lines)
        return
    difference = list(difflib.unified_diff(left, right, lineterm="", n=_AROUND))[_HEAD:]
    for line in difference:
        yield Text(line, _SIGNS[line[:1]]) if line[:1] in _SIGNS else line
    if not difference:
        yield from map(words.said, change.details)


def _texts(before: Reading, after: Reading, change: Change, words: Words) -> tuple[list[str], list[str]]:
    """What it was and what it is in lines: a verdict as a diagnosis tells it, anything else as YAML."""
    if change.area == FINDING:
        one, other = verdict_sides(before, after, change)
        told = [list(verdict_lines(found, VERDICT, words)) if found else [] for found in (one, other)]
        return told[0], told[1]
    old, new = sides(before.mesh, after.mesh, change)
    return _lines(old), _lines(new)


def _lines(value: Any) -> list[str]:
    return [] if value is None else visible(yaml_text(msgspec.to_builtins(value))).splitlines()
