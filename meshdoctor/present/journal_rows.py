"""What went wrong in a session, as rows: when, what about, and the line itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.text import Text

from meshdoctor.model.moment import clock
from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.freshness import age
from meshdoctor.present.table import Cell, Column, Row
from meshdoctor.present.words import Words

COLUMNS = (
    Column("time", "UTC", 8, priority=0),
    Column("about", "ABOUT", 10, priority=0),
    Column("times", "TIMES", 5, priority=1, align="right", order="number"),
    Column("text", "WHAT WAS SAID", 30, flex=1, priority=0),
)
_STYLES = {"forbidden": "state.stale", "mistake": "state.nack", "cluster": "state.lost", "answers": "state.ok"}


def journal_rows(entries: Iterable[tuple[str, str, float, float, int]], words: Words) -> tuple[Row, ...]:
    """A row for each (about, text, first, last, times); what went wrong in reading leads to all that is unread."""
    rows = []
    for about, text, _, last, times in entries:
        cells: tuple[Cell, ...] = (
            clock(last),
            Text(about, _STYLES.get(about, "")),
            str(times) if times > 1 else "",
            _said(about, text, words),
        )
        target = "unread" if about in ("forbidden", "not read") else ""
        rows.append(Row(f"{about} {text}", cells, target, about not in ("answers", "message"), text))
    return tuple(rows)


def _said(about: str, text: str, words: Words) -> str:
    return words("errors.back", since=age(float(text), words)) if about == "answers" else words.said(text)


def journal_lines(entry: tuple[str, str, float, float, int], words: Words, width: int) -> Iterator[Cell]:
    """One of them whole."""
    about, text, first, last, times = entry
    if times > 1:
        told = words("errors.times", count=times, first=clock(first), last=clock(last))
        yield Text(f" {told}", "quiet")
    yield from wrap(_said(about, text, words), " ", " ", width=width)
