"""What the keys of a table do: move, sort, narrow, scroll sideways, copy."""

from __future__ import annotations

from textual.geometry import Region
from textual.scroll_view import ScrollView

from meshdoctor.present.table import Column, Row, plain
from meshdoctor.present.words import Words
from meshdoctor.tui.linepaint import LinePainter
from meshdoctor.tui.router import Navigator
from meshdoctor.tui.tablerows import TableRows

NAMED = 60
"""Characters of what was copied that the message line repeats."""


class TableActions(ScrollView):
    """Mixed into `LineTable`, which has the rows, the cursor and the painting."""

    rows: TableRows
    words: Words
    painter: LinePainter
    cursor: int
    """The position of the cursor among the rows that are shown."""
    chosen: int | None
    """The column that `sort_chosen` sorts by."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns, whether they fit or not."""
        raise NotImplementedError

    @property
    def cursor_row(self) -> Row | None:
        """The row under the cursor."""
        raise NotImplementedError

    @property
    def page(self) -> int:
        """Rows in sight."""
        raise NotImplementedError

    def go_to(self, position: int) -> None:
        """Move the cursor to a position."""
        raise NotImplementedError

    def apply(self, changed: set[str] | None) -> None:
        """Paint what an update changed; None means that the order may be another."""
        raise NotImplementedError

    def lay_out(self) -> None:
        """Place the columns anew."""
        raise NotImplementedError

    def forget_painted(self) -> None:
        """Paint every line anew when it is in sight."""
        raise NotImplementedError

    # The cursor.

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows."""
        self.go_to(self.cursor + rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages, one line of the old page staying in sight."""
        self.go_to(self.cursor + pages * max(1, self.page - 1))

    def action_top(self) -> None:
        """To the first row."""
        self.go_to(0)

    def action_bottom(self) -> None:
        """To the last row."""
        self.go_to(len(self.rows.shown) - 1)

    # Columns.

    def sideways_to(self, left: int) -> None:
        left = max(0, min(left, self.painter.width - self.size.width))
        if left != self.painter.left:
            self.painter.left = left
            self.forget_painted()
            self.refresh()

    def action_sideways(self, cells: int) -> None:
        """Scroll sideways by cells."""
        self.sideways_to(self.painter.left + cells)

    def action_wide(self) -> None:
        """Every column as wide as its cells, or only what fits."""
        self.painter.wide = not self.painter.wide
        self.lay_out()
        self.sideways_to(0)
        self.refresh()

    def action_problems(self) -> None:
        """Only rows with a problem, or all."""
        self.rows.problems_only = not self.rows.problems_only
        self.rows.rearrange()
        self.apply(None)

    def _sort(self, column: int) -> None:
        self.rows.sort_by(column)
        self.apply(None)
        if isinstance(self.app, Navigator):
            text = "table.sorted_reverse" if self.rows.reverse else "table.sorted"
            self.app.say(self.words(text, column=self.columns[column].title))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A sort key works only where the table has that column."""
        return action != "sort_by" or any(column.key in parameters for column in self.columns)

    def action_sort_by(self, key: str) -> None:
        """Sort by the column with this key."""
        self._sort(next(i for i, column in enumerate(self.columns) if column.key == key))

    def action_choose_column(self, step: int) -> None:
        """Choose a visible column for `sort_chosen`."""
        order = [place.column for place in self.painter.placed]
        at = order.index(self.chosen) + step if self.chosen in order else (0 if step > 0 else len(order) - 1)
        self.chosen = order[at % len(order)]
        self.refresh(Region(0, 0, self.size.width, 1))

    def action_sort_chosen(self) -> None:
        """Sort by the chosen column."""
        if self.chosen is not None:
            self._sort(self.chosen)

    # Copying.

    def action_copy(self) -> None:
        """Copy what the row is called."""
        if (row := self.cursor_row) and isinstance(self.app, Navigator):
            text = row.copies or row.key
            self.app.copy_text(text, text if len(text) <= NAMED else f"{text[:NAMED].splitlines()[0]}..")

    def action_copy_row(self) -> None:
        """Copy the cells of the row, separated by tabs."""
        if (row := self.cursor_row) and isinstance(self.app, Navigator):
            self.app.copy_text("\t".join(plain(cell) for cell in row.cells), row.key)
