"""A container's log as rows, one per line: failing lines are problems, access lines are shortened and explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.text import Text

from meshdoctor.mesh.explanation import explain_line, explain_ztunnel_line
from meshdoctor.model.accesslog import AccessLine
from meshdoctor.model.applog import Call
from meshdoctor.model.moment import clock
from meshdoctor.model.ztunnellog import ZtunnelLine
from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.short_names import short_cluster
from meshdoctor.present.table import Cell, Column, Row
from meshdoctor.present.words import Words

Read = AccessLine | ZtunnelLine | Call
"""What a line was read as."""

COLUMNS = (
    Column("line", "LINE", 6, priority=0, align="right", order="number"),
    Column("text", "TEXT", 40, flex=1, priority=0),
)


def log_rows(text: str, read: Mapping[int, Read]) -> list[Row]:
    """A row per line of *text*; *read* is what the lines by number (from 1) mean."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        found = read.get(number)
        failed = found is not None and found.failed
        shown: Cell = _short(found) if isinstance(found, AccessLine) else line
        cells = (str(number), Text(str(shown), "severity.high") if failed else shown)
        rows.append(Row(str(number), cells, problem=failed, copies=line))
    return rows


def _short(line: AccessLine) -> str:
    """An access line in the order in which a person asks: when, what came of it, what, where to, why."""
    request = f"{line.method or 'TCP'} {line.path or ''}".rstrip()
    parts = (
        "-" if line.start is None else clock(line.start),
        str(line.code) if line.code else "-",
        ",".join(line.flags) or "-",
        request,
        "" if line.upstream_cluster is None else short_cluster(line.upstream_cluster),
        line.details or line.termination or "",
    )
    return " ".join(part for part in parts if part)


def line_detail(row: Row | None, read: Mapping[int, Read], words: Words, width: int) -> Iterator[Cell]:
    """The whole line of *row*, wrapped, and what its words mean."""
    if row is None:
        return
    found = read.get(int(row.key))
    yield Text(f" {words('log.line', number=row.key)}", "title")
    for part in wrap(row.copies, " ", " ", width=width):
        yield part
    if isinstance(found, AccessLine) and found.failed:
        explained = explain_line(found, words.language)
    elif isinstance(found, ZtunnelLine) and found.failed:
        explained = explain_ztunnel_line(found, words.language)
    else:
        return
    for one in explained:
        for part in wrap(f"{one.text or '-'}: {one.means} {' '.join(one.notes)}", "   ", " ", width=width):
            yield Text(part, "key")
