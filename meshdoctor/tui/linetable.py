"""The table of every view: paints only the lines in sight, from rows that are plain data.

Textual's DataTable measures every cell and repaints the whole widget for one changed cell (10,000 rows: 4.6 s to load
and 0.3 s from key to paint while live); this one renders a line when it is in sight and keeps it while its row is the
same.

    table = LineTable(COLUMNS, rows, empty=words("mesh.no_proxies"))
    table.show(rows)              # a whole new set, e.g. each second: the cursor stays on its row
    table.patch(rows, removed)    # or only what changed

Cells are `str` or `rich.text.Text` (style names of `meshdoctor.present.palette`), never markup. Enter posts
`RowSelected`, then opens `row.target`, which is a `:` command; the cursor posts `RowHighlighted` and calls
`highlighted` in the same frame.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from meshdoctor.present.table import Column, Row, fit_cell, plain
from meshdoctor.present.words import Words, choose_language
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linepaint import LinePainter
from meshdoctor.tui.router import Navigator
from meshdoctor.tui.tableactions import TableActions
from meshdoctor.tui.tablerows import TableRows

PAINTED_LINES = 2048
"""How many painted lines are kept."""


class LineTable(TableActions, can_focus=True):
    """A table of any length with a row cursor, a filter, sorting and sideways scrolling."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"linetable--header", "linetable--chosen", "linetable--cursor"}
    DEFAULT_CSS = """
    LineTable {
        height: 1fr; background: $background; color: $foreground;
        overflow-x: hidden; overflow-y: auto; scrollbar-size: 0 0;
    }
    LineTable > .linetable--header { text-style: bold; background: $panel; color: $foreground; }
    LineTable > .linetable--chosen { text-style: bold underline; background: $panel; color: $foreground; }
    LineTable > .linetable--cursor { text-style: reverse; background: $background; color: $foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("table")

    class RowHighlighted(Message):
        """The cursor came to a row (None: the table is empty)."""

        def __init__(self, table: LineTable, row: Row | None) -> None:
            super().__init__()
            self.table = table
            self.row = row

        @property
        def control(self) -> LineTable:
            """The table, for `@on(..., selector)`."""
            return self.table

    class RowSelected(Message):
        """Enter was pressed on a row."""

        def __init__(self, table: LineTable, row: Row) -> None:
            super().__init__()
            self.table = table
            self.row = row

        @property
        def control(self) -> LineTable:
            """The table, for `@on(..., selector)`."""
            return self.table

    class Arranged(Message):
        """Which rows are shown, or their number, may have changed."""

        def __init__(self, table: LineTable) -> None:
            super().__init__()
            self.table = table

        def can_replace(self, message: Message) -> bool:
            """A burst of updates is one message."""
            return isinstance(message, LineTable.Arranged)

    def __init__(
        self,
        columns: Sequence[Column],
        rows: Iterable[Row] = (),
        *,
        empty: str = "",
        frozen: int = 0,
        highlighted: Callable[[Row | None], None] | None = None,
        words: Words | None = None,
        id: str | None = None,
    ) -> None:
        """*frozen* first columns stay when the table is scrolled sideways; *empty* is shown when there are no rows."""
        super().__init__(id=id)
        self.rows = TableRows(columns, rows)
        self.words = words or Words(choose_language(os.environ))
        self.empty = empty or self.words("table.empty")
        self.painter = LinePainter(self.rows.columns, frozen)
        self._highlighted = highlighted
        self.cursor = 0
        self._cursor_key = self.rows.shown[0].key if self.rows.shown else ""
        self.chosen: int | None = None
        self._painted: dict[tuple[str, bool], tuple[Row, Strip]] = {}

    # What it shows.

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns, whether they fit or not."""
        return self.rows.columns

    @property
    def cursor_row(self) -> Row | None:
        """The row under the cursor."""
        shown = self.rows.shown
        return shown[self.cursor] if self.cursor < len(shown) else None

    @property
    def in_sight(self) -> Sequence[Row]:
        """The rows on the screen."""
        top = self.scroll_offset.y
        return self.rows.shown[top : top + self.page] if self.is_attached else ()

    def show(self, rows: Iterable[Row]) -> None:
        """Show these rows instead; the cursor stays on its key, at its place on the screen."""
        self.apply(self.rows.replace(rows))

    def say_when_empty(self, text: str) -> None:
        """What stands there while there are no rows."""
        if text != self.empty:
            self.empty = text
            self.refresh()

    def patch(self, rows: Iterable[Row], removed: Iterable[str] = ()) -> None:
        """Update or add *rows* and drop the keys in *removed*; while live, at most some hundred at once."""
        self.apply(self.rows.patch(rows, removed))

    def set_filter(self, query: str) -> None:
        """Show only the rows that *query* keeps (`meshdoctor.present.table.row_filter`); empty shows all."""
        if query != self.rows.query:
            self.rows.query = query
            self.rows.rearrange()
            self.apply(None)

    def move_to(self, key: str) -> bool:
        """Put the cursor on the row with this key; False when it is not shown."""
        position = self.rows.position.get(key)
        if position is not None:
            self.go_to(position)
        return position is not None

    def apply(self, changed: set[str] | None) -> None:
        """Paint what an update changed; None means that the order may be another."""
        if not self.is_attached:
            self.cursor = self.rows.position.get(self._cursor_key, 0)
            self._cursor_key = self.rows.shown[self.cursor].key if self.rows.shown else ""
        elif changed is None:
            on_screen = self.cursor - self.scroll_offset.y
            shown = self.rows.shown
            kept = self.rows.position.get(self._cursor_key)
            self.cursor = kept if kept is not None else max(0, min(self.cursor, len(shown) - 1))
            if self.painter.wide:
                self.lay_out()
            self._resize_content()
            if kept is not None and self.scroll_offset.y:
                # At the top the view stays at the top, where a new problem appears in a sorted table.
                self.scroll_to(y=max(0, self.cursor - on_screen), animate=False, force=True)
            self._keep_in_sight()
            self.refresh()
            self._announce()
            self.post_message(self.Arranged(self))
        elif changed:
            if self.painter.wide:
                self.lay_out()
                self.refresh()
            top = self.scroll_offset.y
            for y, row in enumerate(self.rows.shown[top : top + self.page], start=1):
                if row.key in changed:
                    self.refresh(Region(0, y, self.size.width, 1))
            if self._cursor_key in changed:
                self._announce()

    # Layout and painting.

    @property
    def page(self) -> int:
        """Rows in sight: all lines but the header."""
        return max(1, self.size.height - 1)

    def lay_out(self) -> None:
        self.painter.lay_out(self.size.width, self.rows.shown)
        self._painted.clear()

    def _resize_content(self) -> None:
        size = Size(self.size.width, len(self.rows.shown) + 1)
        if size != self.virtual_size:
            self.virtual_size = size

    def on_mount(self) -> None:
        """Announce the first row."""
        self._resize_content()
        self._announce()

    def on_resize(self) -> None:
        """Other columns may fit now."""
        self.lay_out()
        self._resize_content()
        self.sideways_to(self.painter.left)
        self._keep_in_sight()

    def forget_painted(self) -> None:
        """Paint every line anew when it is in sight."""
        self._painted.clear()

    def notify_style_update(self) -> None:
        """Another theme: every line looks different."""
        super().notify_style_update()
        self._painted.clear()

    def render_line(self, y: int) -> Strip:
        """Paint line *y* of what is in sight."""
        width = self.size.width
        if y == 0:
            header = self.get_component_rich_style("linetable--header")
            chosen = self.get_component_rich_style("linetable--chosen")
            titles = self.painter.header(self.rows.sort, self.rows.reverse, self.chosen, header, chosen)
            return self.painter.in_sight(titles, width, header)
        index = self.scroll_offset.y + y - 1
        shown = self.rows.shown
        if index >= len(shown):
            return self._empty_line(y, width) if not shown else Strip.blank(width, self.rich_style)
        row = shown[index]
        key = (row.key, index == self.cursor)
        painted = self._painted.get(key)
        if painted is None or painted[0] is not row:
            if len(self._painted) >= PAINTED_LINES:
                self._painted.clear()
            over = self.get_component_rich_style("linetable--cursor") if index == self.cursor else None
            line = self.painter.row(row, self.rich_style, over, self.app.console)
            painted = self._painted[key] = (row, self.painter.in_sight(line, width, self.rich_style))
        return painted[1]

    def _empty_line(self, y: int, width: int) -> Strip:
        lines = self.rows.why_empty(self.empty, self.words)
        text = lines[y - 2] if 2 <= y < len(lines) + 2 else ""
        return Strip([Segment(plain(fit_cell(f"  {text}", width)), self.rich_style)], width)

    # The cursor.

    def _announce(self) -> None:
        """Tell who listens that another row, or a changed one, is under the cursor."""
        row = self.cursor_row
        self._cursor_key = row.key if row else ""
        if self._highlighted is not None:
            self._highlighted(row)
        if self.is_attached:
            self.post_message(self.RowHighlighted(self, row))

    def _keep_in_sight(self) -> None:
        # Forced: Textual scrolls only what its last layout found too small, and new rows come before the next layout.
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + self.page:
            self.scroll_to(y=self.cursor - self.page + 1, animate=False, force=True)

    def go_to(self, position: int) -> None:
        position = max(0, min(position, len(self.rows.shown) - 1))
        if position == self.cursor:
            return
        old, self.cursor = self.cursor, position
        top = self.scroll_offset.y
        self._keep_in_sight()
        if self.scroll_offset.y == top:
            self.refresh(*(Region(0, at - top + 1, self.size.width, 1) for at in (old, position)))
        self._announce()

    async def action_open(self) -> None:
        """Open the row: the view is on the screen before the next key is looked at."""
        row = self.cursor_row
        if row is None:
            return
        self.post_message(self.RowSelected(self, row))
        if isinstance(self.app, Navigator):
            if row.target:
                await self.app.go(row.target)
            else:
                self.app.say(self.words("table.leads_nowhere"))
