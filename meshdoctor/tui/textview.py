"""A view of many lines of text (help, evidence, YAML), painted line by line, with `/` as find."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.segment import Segment
from rich.text import Text
from textual.binding import BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from meshdoctor.present.table import Cell, fit_cell, fold, plain
from meshdoctor.tui.keys import bindings


class TextView(ScrollView, can_focus=True):
    """Lines of `str` or styled `Text`; a line that is too long is cut at the edge."""

    DEFAULT_CSS = """
    TextView {
        height: 1fr; background: $background; color: $foreground;
        overflow-x: hidden; overflow-y: auto; scrollbar-size: 0 0;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("text")

    def __init__(self, lines: Iterable[Cell] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: list[Cell] = list(lines)
        self._sought = ""

    def show(self, lines: Iterable[Cell]) -> None:
        """Show these lines instead, from where the view stands."""
        self.lines = list(lines)
        self._resize_content()
        self.refresh()

    def _resize_content(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.lines))

    def on_mount(self) -> None:
        """Know how far the view scrolls."""
        self._resize_content()

    def on_resize(self) -> None:
        """Know how far the view scrolls."""
        self._resize_content()

    def render_line(self, y: int) -> Strip:
        """Paint line *y* of what is in sight; what is sought is reversed."""
        width, base = self.size.width, self.rich_style
        index = self.scroll_offset.y + y
        if index >= len(self.lines):
            return Strip.blank(width, base)
        cell = fit_cell(self.lines[index], width)
        if self._sought and self._sought in fold(plain(cell)):
            cell = Text(cell) if isinstance(cell, str) else cell.copy()
            # Where folding changes the length (a few letters do) the mark may be beside the word, never wrong text.
            start = fold(cell.plain).index(self._sought)
            cell.stylize("reverse", start, start + len(self._sought))
        if isinstance(cell, str):
            return Strip([Segment(cell, base)], width)
        return Strip(Segment.apply_style(cell.render(self.app.console), base)).adjust_cell_length(width, base)

    @property
    def query_text(self) -> str:
        """What is sought."""
        return self._sought

    def set_filter(self, query: str) -> None:
        """Seek *query*: the first line with it, from the top of what is in sight on, is scrolled into sight."""
        self._sought = fold(query.strip())
        self._seek(self.scroll_offset.y, 1)
        self.refresh()

    def _seek(self, start: int, step: int) -> bool:
        if not self._sought:
            return False
        count = len(self.lines)
        for distance in range(count):
            index = (start + distance * step) % count
            if self._sought in fold(plain(self.lines[index])):
                self.scroll_to(y=index, animate=False, force=True)
                return True
        return False

    def action_find(self, step: int) -> None:
        """To the next (1) or previous (-1) line with what is sought."""
        self._seek(self.scroll_offset.y + step, step)

    def action_move(self, lines: int) -> None:
        """Scroll by lines."""
        self.scroll_to(y=self.scroll_offset.y + lines, animate=False, force=True)

    def action_page(self, pages: int) -> None:
        """Scroll by pages, one line of the old page staying in sight."""
        self.action_move(pages * max(1, self.size.height - 1))

    def action_top(self) -> None:
        """To the first line."""
        self.scroll_to(y=0, animate=False, force=True)

    def action_bottom(self) -> None:
        """To the last line."""
        self.scroll_to(y=len(self.lines), animate=False, force=True)
