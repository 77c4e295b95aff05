"""How one line of a table is painted: which columns, where, in which styles, and which part of it is in sight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from meshdoctor.present.table import GAP, Column, Placed, Row, fit_cell, fitted_columns, place_columns, plain

MARGIN = 1
"""Cells left of the first column, for the cursor's `>`: the cursor is seen without colour."""


class LinePainter:
    """The layout of a table's columns and the lines that it gives. `forget` after anything that changes the layout."""

    def __init__(self, columns: Sequence[Column], frozen: int = 0) -> None:
        self.columns = tuple(columns)
        self.frozen = frozen
        self.wide = False
        """Every column as wide as its widest cell, to be scrolled, instead of what fits."""
        self.left = 0
        """Cells that are scrolled away at the left, beyond the frozen columns."""
        self.placed: tuple[Placed, ...] = ()

    def lay_out(self, width: int, rows: Iterable[Row]) -> None:
        """Place the columns in *width* cells; *rows* are measured only for the wide layout."""
        if not self.wide:
            self.placed = place_columns(self.columns, width - MARGIN)
            return
        x = 0
        placed = []
        unbound = [msgspec.structs.replace(column, widest=0) for column in self.columns]
        for index, column in enumerate(fitted_columns(unbound, rows)):
            # A fitted flexible column may grow to `widest`, its widest cell.
            width = max(column.width, column.widest)
            placed.append(Placed(index, x, width))
            x += width + GAP
        self.placed = tuple(placed)

    @property
    def width(self) -> int:
        """Cells of a whole line."""
        return MARGIN + (self.placed[-1].x + self.placed[-1].width if self.placed else 0)

    def header(self, sort: int | None, reverse: bool, chosen: int | None, style: Style, chosen_style: Style) -> Strip:
        """The titles; `^` or `v` marks the column that sorts, *chosen_style* the one that is chosen."""
        segments = [Segment(" " * MARGIN, style)]
        for place in self.placed:
            column = self.columns[place.column]
            mark = ("v" if reverse else "^") if place.column == sort else ""
            room = max(1, place.width - len(mark))
            title = column.title if len(column.title) <= room else plain(fit_cell(column.title, room))
            text = plain(fit_cell(title + mark, place.width, column.align))
            segments.append(Segment(text, chosen_style if place.column == chosen else style))
            segments.append(Segment(" " * GAP, style))
        return Strip(segments)

    def row(self, row: Row, base: Style, over: Style | None, console: Console) -> Strip:
        """The whole line of *row*; *over* is the cursor's style when it is on it.

        Neighbouring cells without a style of their own become one run: fewer bytes.
        """
        segments: list[Segment] = []
        unstyled = [" " if over is None else ">"]
        for place in self.placed:
            column = self.columns[place.column]
            cell = fit_cell(row.cells[place.column], place.width, column.align, column.elide)
            if isinstance(cell, str):
                unstyled.append(cell)
            else:
                segments.append(Segment("".join(unstyled), base))
                segments += Segment.apply_style(cell.render(console), base)
                unstyled = []
            unstyled.append(" " * GAP)
        segments.append(Segment("".join(unstyled), base))
        if over is not None:
            segments = list(Segment.apply_style(segments, post_style=over))
        return Strip(Segment.simplify(segments))

    def in_sight(self, line: Strip, width: int, base: Style) -> Strip:
        """The part of a whole line that is in sight: the frozen columns, then the rest from the sideways offset on."""
        style = next((segment.style for segment in line if segment.style), base)
        if self.left:
            still = self.placed[self.frozen - 1] if 0 < self.frozen <= len(self.placed) else None
            edge = MARGIN + (still.x + still.width + GAP if still else 0)
            line = Strip.join([line.crop(0, edge), line.crop(edge + self.left, edge + self.left + width)])
        return line.adjust_cell_length(width, style)
