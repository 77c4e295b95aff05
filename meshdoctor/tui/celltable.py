"""A table whose cells are opened one by one: a matrix. The first column stays; the others scroll by whole columns.

    table = CellTable("pair {row} {column}", words=words)
    table.show_matrix(COLUMNS, rows)

Left and right choose the cell, which stands in brackets in the cursor's row; Enter opens it. A word `to:NAME` of the
filter keeps the columns with this name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.strip import Strip

from meshdoctor.present.table import GAP, Column, Placed, Row, fit_cell, fold
from meshdoctor.present.words import Words
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linepaint import MARGIN, LinePainter
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import Navigator

COLUMN_WORD = "to:"


class CellPainter(LinePainter):
    """Places the first column and as many others, from `first` on, as fit: what is out of sight costs nothing."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(columns, frozen=1)
        self.chosen = 1
        """The column of the cell under the cursor."""
        self.first = 1
        self.kept: tuple[int, ...] = tuple(range(1, len(columns)))
        """The columns that the filter keeps."""

    def lay_out(self, width: int, rows: Iterable[Row]) -> None:
        """Place what fits in *width* cells, so that the chosen column is among it."""
        if not self.columns:
            self.placed = ()
            return
        if self.chosen not in self.kept:
            self.chosen = next((each for each in self.kept if each >= self.chosen), self.kept[-1] if self.kept else 0)
        if self.first not in self.kept or self.chosen < self.first:
            self.first = self.chosen
        at = self.kept.index(self.first) if self.kept else 0
        while True:
            self.placed = tuple(self._place(width, self.kept[at:]))
            if not self.kept or any(place.column == self.chosen for place in self.placed):
                return
            at += 1
            self.first = self.kept[at]

    def _place(self, width: int, columns: Sequence[int]) -> Iterable[Placed]:
        x = self.columns[0].width + GAP
        yield Placed(0, 0, self.columns[0].width)
        for number, column in enumerate(columns):
            need = self.columns[column].width
            if number and MARGIN + x + need + GAP > width:
                return
            yield Placed(column, x, need)
            x += need + GAP

    def row(self, row: Row, base: Style, over: Style | None, console: Console) -> Strip:
        """The line; the chosen cell of the cursor's row stands in brackets, in its own style."""
        line = super().row(row, base, over, console)
        place = next((each for each in self.placed if each.column == self.chosen), None)
        if over is None or place is None:
            return line
        start, end = MARGIN + place.x, MARGIN + place.x + place.width
        cell = fit_cell(row.cells[place.column], place.width)
        inside = (
            [Segment(cell, base)] if isinstance(cell, str) else list(Segment.apply_style(cell.render(console), base))
        )
        brackets = Strip([Segment("[", base), *inside, Segment("]", base)])
        return Strip.join([line.crop(0, start - 1), brackets, line.crop(end + 1)])


class CellTable(LineTable):
    """Rows and columns of words; *target* is the command of a cell, with `{row}` and `{column}` for their keys."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("matrix")

    def __init__(
        self,
        target: str,
        *,
        words: Words,
        empty: str = "",
        chosen: Callable[[Row | None, Column | None], None] | None = None,
        id: str | None = None,
    ) -> None:
        """*chosen* is told of the row and column under the cursor, in the same frame."""
        super().__init__((), words=words, empty=empty, id=id, highlighted=self._tell)
        self._target = target
        self._told = chosen
        self._cells = CellPainter(())
        self.painter = self._cells

    def show_matrix(self, columns: Sequence[Column], rows: Iterable[Row]) -> None:
        """Show another matrix; the first column names the rows."""
        if tuple(columns) != self.rows.columns:
            self.rows.columns = tuple(columns)
            self._cells = CellPainter(columns)
            self.painter = self._cells
            self._keep_columns()
        self.show(rows)

    @property
    def cursor_column(self) -> Column | None:
        """The column of the cell under the cursor; None when the table has none, or the filter hides all."""
        return self.columns[self._cells.chosen] if self._cells.kept else None

    @property
    def columns_in_sight(self) -> tuple[int, int, int]:
        """The first and last column in sight, counted from 1, and how many the filter keeps."""
        kept = self._cells.kept
        shown = [kept.index(place.column) for place in self._cells.placed[1:]]
        return (shown[0] + 1, shown[-1] + 1, len(kept)) if shown else (0, 0, len(kept))

    def set_filter(self, query: str) -> None:
        """Words `to:NAME` keep columns, all others rows."""
        words = query.split()
        self._keep_columns(tuple(fold(word[len(COLUMN_WORD) :]) for word in words if word.startswith(COLUMN_WORD)))
        super().set_filter(" ".join(word for word in words if not word.startswith(COLUMN_WORD)))

    def _keep_columns(self, names: Sequence[str] = ()) -> None:
        kept = tuple(
            index
            for index, column in enumerate(self.columns)
            if index and all(name in fold(f"{column.title} {column.key}") for name in names)
        )
        if kept != self._cells.kept or not self._cells.placed:
            self._cells.kept = kept
            self._cells.first = kept[0] if kept else 1
            self._arrange_columns()

    def _arrange_columns(self) -> None:
        self._cells.lay_out(self.size.width, ())
        self.chosen = self._cells.chosen if self._cells.kept else None
        self.forget_painted()
        self.refresh()
        self._tell(self.cursor_row)

    def _tell(self, row: Row | None) -> None:
        if self._told is not None:
            self._told(row, self.cursor_column)

    def on_resize(self) -> None:
        """Other columns may fit now."""
        super().on_resize()
        self._arrange_columns()

    def action_column(self, step: int) -> None:
        """Choose the cell some columns further."""
        kept = self._cells.kept
        if kept:
            at = kept.index(self._cells.chosen) + step
            self._cells.chosen = kept[max(0, min(at, len(kept) - 1))]
            self._arrange_columns()

    def action_choose_column(self, step: int) -> None:
        """The chosen cell's column is the one that sorts."""
        self.action_column(step)

    def action_wide(self) -> None:
        """A matrix is never narrowed."""

    async def action_open(self) -> None:
        """Open the cell."""
        row, column = self.cursor_row, self.cursor_column
        if row is not None and column is not None and isinstance(self.app, Navigator):
            await self.app.go(self._target.format(row=row.key, column=column.key))
