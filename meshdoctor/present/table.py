"""Tables as data: columns, rows, and the pure rules that place, fit, sort and filter them.

The terminal application (`meshdoctor.tui.linetable`) and the text commands (`format_table`) show the same tables, so
what a table *is* lives here, without a terminal. All widths are terminal cells, never characters: Hangul takes two.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec
from rich.cells import cell_len
from rich.text import Text

from meshdoctor.present.cells import cells_from_start

Cell = str | Text
"""What a cell holds: a `str` as it is, or a `Text` with style names of `meshdoctor.present.palette`. Never markup."""

GAP = 1
"""Cells between two columns."""

ELISION = ".."
"""Stands for what did not fit; the one-character ellipsis is two cells wide in some Korean terminals."""


class Column(msgspec.Struct, frozen=True):
    """One column: how it is called, how wide it is, how it sorts.

    `width` is the least width in cells. Cells that are left over go to the columns with `flex` > 0, in proportion, but
    never beyond `widest` (0: no bound). When the least widths do not fit, whole columns are dropped: the largest
    `priority` first, and of equal ones the rightmost; priority 0 is never dropped.
    """

    key: str
    title: str
    width: int
    flex: int = 0
    widest: int = 0
    priority: int = 1
    align: Literal["left", "right"] = "left"
    elide: Literal["end", "middle"] = "end"
    """Where a too long cell is shortened. Workload and pod names want "middle": their hash end tells them apart."""
    order: Literal["natural", "number", "duration"] = "natural"
    """"number" reads the first number in the cell; "duration" reads `41s`, `4m`, `3h`, `9d` and compounds of them."""
    ranks: tuple[str, ...] = ()
    """Words in the order in which they sort, before any `order`: ("NACK", "LOST", "STALE", "OK")."""


class Row(msgspec.Struct, frozen=True):
    """One row: a `key` that stays the same from refresh to refresh, one cell per column, and where Enter leads.

    `target` is the `:` command that opens this row ("proxy bookinfo/reviews-v1-abc"); empty when it leads nowhere.
    `problem` marks what the "problems only" view keeps; `copies` is what `c` copies (the key when empty).
    """

    key: str
    cells: tuple[Cell, ...]
    target: str = ""
    problem: bool = False
    copies: str = ""


class Placed(NamedTuple):
    """Where a column stands: its position in the column list, its first cell, and its width in cells."""

    column: int
    x: int
    width: int


def plain(cell: Cell) -> str:
    """The characters of a cell without its styles."""
    return cell if isinstance(cell, str) else cell.plain


def _least(columns: Sequence[Column], kept: Sequence[int]) -> int:
    return sum(columns[i].width for i in kept) + GAP * max(0, len(kept) - 1)


def place_columns(columns: Sequence[Column], width: int, *, keep_all: bool = False) -> tuple[Placed, ...]:
    """Choose and place the columns that fit in *width* cells.

    With *keep_all* nothing is dropped and the result may be wider than *width* (the caller scrolls). The same happens
    when the columns of priority 0 alone are too wide.
    """
    kept = list(range(len(columns)))
    while not keep_all and _least(columns, kept) > width:
        droppable = [i for i in kept if columns[i].priority > 0]
        if not droppable:
            break
        kept.remove(max(droppable, key=lambda i: (columns[i].priority, i)))
    widths = {i: columns[i].width for i in kept}
    _share_rest(columns, widths, width - _least(columns, kept))
    placed: list[Placed] = []
    x = 0
    for i in kept:
        placed.append(Placed(i, x, widths[i]))
        x += widths[i] + GAP
    return tuple(placed)


def _share_rest(columns: Sequence[Column], widths: dict[int, int], rest: int) -> None:
    """Add *rest* cells to the flexible columns in *widths*, in proportion, none beyond its `widest`."""
    while rest > 0:
        growing = [
            i for i in widths if columns[i].flex > 0 and (not columns[i].widest or widths[i] < columns[i].widest)
        ]
        if not growing:
            return
        total = sum(columns[i].flex for i in growing)
        given = 0
        for i in growing:
            share = max(1, rest * columns[i].flex // total)
            if columns[i].widest:
                share = min(share, columns[i].widest - widths[i])
            share = min(share, rest - given)
            widths[i] += share
            given += share
        rest -= given


def _visible(text: str) -> str:
    """*text* with everything that would move the cursor or reorder the line replaced by `?`.

    Facts are made visible when they are decoded; this is the last gate, so that no table can be broken by a cell.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def fit_cell(
    cell: Cell,
    width: int,
    align: Literal["left", "right"] = "left",
    elide: Literal["end", "middle"] = "end",
) -> Cell:
    """*cell* cut or padded to exactly *width* cells; a `Text` keeps its styles. No wide character is split."""
    if isinstance(cell, str):
        text = _visible(cell)
        if text.isascii() and len(text) <= width:
            return text.rjust(width) if align == "right" else text.ljust(width)
        return _fit(Text(text), text, width, align, elide).plain
    text = cell.plain
    if not text.isprintable():
        cell = cell.copy()
        cell.plain = text = _visible(text)
    return _fit(cell, text, width, align, elide)


def _fit(styled: Text, text: str, width: int, align: str, elide: str) -> Text:
    length = cell_len(text)
    if length > width:
        styled, length = _shorten(styled, text, width, elide)
    pad = " " * (width - length)
    if not pad:
        return styled
    # assemble keeps the style of a cell off its padding, so that a coloured word is not a coloured bar.
    return Text.assemble(pad, styled) if align == "right" else Text.assemble(styled, pad)


def _shorten(styled: Text, text: str, width: int, elide: str) -> tuple[Text, int]:
    if width <= len(ELISION):
        cut = styled[: cells_from_start(text, width)]
        return cut, cell_len(cut.plain)
    room = width - len(ELISION)
    if elide == "middle":
        tail = len(text) - cells_from_start(text[::-1], room // 2)
        head = cells_from_start(text, room - cell_len(text[tail:]))
        cut = Text.assemble(styled[:head], ELISION, styled[tail:])
    else:
        cut = Text.assemble(styled[: cells_from_start(text, room)], ELISION)
    return cut, cell_len(cut.plain)


_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|[smhdwy])")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_DIGITS = re.compile(r"(\d+)")
SortValue = tuple[float, tuple[tuple[int, int, str], ...]]


def sort_value(cell: Cell, column: Column) -> SortValue:
    """The value by which *cell* sorts in *column*. A cell without the expected number sorts last."""
    text = plain(cell)
    if column.ranks:
        rank = column.ranks.index(text) if text in column.ranks else len(column.ranks)
        return float(rank), natural(text)
    if column.order == "number":
        found = _NUMBER.search(text)
        return float(found.group().replace(",", "")) if found else float("inf"), ()
    if column.order == "duration":
        parts = _DURATION.findall(text)
        return sum(float(n) * _SECONDS[unit] for n, unit in parts) if parts else float("inf"), ()
    return 0.0, natural(text)


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts `v10` after `v9` and ignores case."""
    if text.isalpha():
        return ((1, 0, text.casefold()),)
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p.casefold()) for p in _DIGITS.split(text) if p)


def fold(text: str) -> str:
    """*text* as a filter compares it: composed (NFC, so that names typed on macOS match) and without case."""
    return text.casefold() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


def row_filter(query: str, columns: Sequence[Column]) -> Callable[[Row], bool]:
    """The test that *query* describes: words that must all occur, `column:text` in one column, `!word` must not occur.

    A prefix that names no column is plain text, so `reviews:9080` finds a host and port.
    """
    names = {fold(name): i for i, c in enumerate(columns) for name in (c.title, c.key)}
    terms: list[tuple[bool, int | None, str]] = []
    for word in fold(query).split():
        wanted = not word.startswith("!") or len(word) == 1
        word = word if wanted else word[1:]
        name, colon, rest = word.partition(":")
        terms.append((wanted, names[name], rest) if colon and name in names else (wanted, None, word))

    def keeps(row: Row) -> bool:
        everywhere = fold("\n".join([plain(cell) for cell in row.cells]))
        for wanted, index, text in terms:
            where = everywhere if index is None else fold(plain(row.cells[index]))
            if (text in where) is not wanted:
                return False
        return True

    return keeps


def arrange(
    rows: Iterable[Row],
    columns: Sequence[Column],
    *,
    query: str = "",
    sort: int | None = None,
    reverse: bool = False,
    problems_only: bool = False,
) -> list[Row]:
    """The rows to show: those that *query* keeps, only problems if asked, sorted by the column with index *sort*."""
    shown = [row for row in rows if row.problem] if problems_only else list(rows)
    if query.strip():
        keeps = row_filter(query, columns)
        shown = [row for row in shown if keeps(row)]
    if sort is not None:
        column = columns[sort]
        shown.sort(key=lambda row: sort_value(row.cells[sort], column), reverse=reverse)
    return shown


def fitted_columns(columns: Sequence[Column], rows: Iterable[Row]) -> tuple[Column, ...]:
    """*columns* made as narrow as their widest cell allows, and bound to it: for output that is printed once."""
    needed = [cell_len(column.title) for column in columns]
    for row in rows:
        for i, cell in enumerate(row.cells):
            needed[i] = max(needed[i], cell_len(plain(cell)))
    return tuple(
        msgspec.structs.replace(
            column,
            width=min(column.width, need) if column.flex else need,
            widest=min(need, column.widest) if column.widest else need,
        )
        for column, need in zip(columns, needed, strict=True)
    )


def format_table(columns: Sequence[Column], rows: Sequence[Row], width: int) -> list[str]:
    """The table as lines of text without styles: a header, then one line per row, none wider than *width* cells.

    Columns that do not fit are dropped as on a screen of that width.
    """
    fitted = fitted_columns(columns, rows)
    placed = place_columns(fitted, width)
    titles: tuple[Cell, ...] = tuple(column.title for column in fitted)
    lines = []
    for cells in (titles, *(row.cells for row in rows)):
        parts = [
            plain(fit_cell(cells[p.column], p.width, fitted[p.column].align, fitted[p.column].elide)) for p in placed
        ]
        line = (" " * GAP).join(parts).rstrip()
        lines.append(line if cell_len(line) <= width else plain(fit_cell(line, width)).rstrip())
    return lines
