"""Columns as Go's text/tabwriter aligns them (padding with blanks, no flags), byte for byte.

A cell is ended by a tab, the last cell of a line belongs to no column and is not padded. A column is a run of lines
that have that cell, its width the most characters (not terminal cells: Go counts runes) plus the padding. Lines of
equally many cells are one run; others break the columns where a line is too short.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.text import visible_line

_PLAIN = bytes(range(0x20, 0x7F)) + b"\n"


def render(table: TextTable) -> str:
    """The table as text, a line per row; cells with control characters are made visible, so that no row breaks."""
    rows = [table.header, *table.rows] if table.header else table.rows
    text = align(rows, table.padding)
    if _is_plain(text, len(rows)):
        return text
    return align([tuple(visible_cell(cell) for cell in row) for row in rows], table.padding)


def visible_cell(cell: str) -> str:
    """*cell* on one line and in one column: control characters, newlines and tabs as symbols."""
    return visible_line(cell).replace("\t", "\u2409")


def _is_plain(text: str, lines: int) -> bool:
    """Whether *text* can be shown as it is: only printable ASCII, in as many lines as there are rows."""
    if not text.isascii() or text.encode("ascii").translate(None, _PLAIN):
        return False
    return text.count("\n") == lines


def align(rows: Sequence[Cells], padding: int) -> str:
    """Lines of cells, aligned; every line ends in a newline."""
    if not rows:
        return ""
    counts = set(map(len, rows))
    if len(counts) > 1:
        return "".join(_aligned_runs(rows, padding))
    return "".join(_aligned(rows, counts.pop(), padding))


def _aligned(rows: Sequence[Cells], count: int, padding: int) -> Iterable[str]:
    widths = [max(map(len, column)) + padding for column in list(zip(*rows, strict=True))[: count - 1]]
    template = "".join(f"%-{width}s" for width in widths) + ("%s\n" if count else "\n")
    return [template % row for row in rows]


def _aligned_runs(rows: Sequence[Cells], padding: int) -> Iterable[str]:
    """As `_aligned` for lines of different lengths: a column ends where a line has no cell in it."""
    padded = [list(row) for row in rows]
    for column in range(max(map(len, rows)) - 1):
        start = 0
        while start < len(rows):
            if len(rows[start]) - 1 <= column:
                start += 1
                continue
            end = start
            while end < len(rows) and len(rows[end]) - 1 > column:
                end += 1
            width = max(len(row[column]) for row in rows[start:end]) + padding
            for row in padded[start:end]:
                row[column] = row[column].ljust(width)
            start = end
    return ["".join(row) + "\n" for row in padded]
