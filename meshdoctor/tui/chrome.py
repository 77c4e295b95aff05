"""The four lines around a view: context, crumbs, message (or prompt), keys. Each paints itself without a layout."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.text import Text
from textual.strip import Strip
from textual.widget import Widget

from meshdoctor.present.table import Cell, fit_cell, plain


class ChromeLine(Widget):
    """One line of text, with a left part and a right part. `write` shows in the frame of the key that caused it."""

    DEFAULT_CSS = """
    ChromeLine { height: 1; width: 1fr; background: $background; color: $foreground; }
    ChromeLine.-context { background: $panel; text-style: bold; }
    ChromeLine.-keys { background: $panel; }
    """

    def __init__(self, classes: str = "") -> None:
        super().__init__(classes=classes)
        self._left: Cell = ""
        self._right: Cell = ""

    def write(self, left: Cell, right: Cell = "") -> None:
        """Show *left*, and *right* at the right edge; *left* is shortened first when both do not fit."""
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self.refresh()

    @property
    def text(self) -> str:
        """What the line says, without its padding."""
        return f"{plain(self._left)} {plain(self._right)}".strip()

    def render_line(self, y: int) -> Strip:
        """Paint the line."""
        width = self.size.width
        right = cell_len(plain(self._right))
        room = max(0, width - right - (1 if right else 0))
        segments: list[Segment] = []
        base = self.rich_style
        for cell in (fit_cell(self._left, room), " " if right else "", fit_cell(self._right, min(right, width))):
            if isinstance(cell, str):
                segments.append(Segment(cell, base))
            else:
                segments += Segment.apply_style(cell.render(self.app.console), base)
        return Strip(Segment.simplify(segments)).adjust_cell_length(width, base)


ALWAYS = ("?",)
"""Keys that stay in the key line however narrow it is: the way to all others."""


def key_line(pairs: Sequence[tuple[str, str]], width: int) -> Text:
    """The key line, `<?>help <:>cmd`, as many of *pairs* as fit in *width* cells, in their order; `ALWAYS` first."""

    def cells(pair: tuple[str, str]) -> int:
        return cell_len(pair[0]) + cell_len(pair[1]) + 3

    left = width - 1 - sum(cells(pair) for pair in pairs if pair[0] in ALWAYS)
    full = False
    line = Text(" ", no_wrap=True)
    for key, label in pairs:
        if key not in ALWAYS:
            full = full or cells((key, label)) > left
            if full:
                continue
            left -= cells((key, label))
        line.append(f"<{key}>", style="key").append(f"{label} ")
    return line


def tab_line(tabs: Sequence[tuple[str, str]], shown: int, width: int) -> Text:
    """The tables of a view, each a name and a count, and which one is in sight; `1 listeners[3]  2 routes[9]`.

    Where the line is too narrow, only the one in sight has its count.
    """
    for counted in (range(len(tabs)), (shown,)):
        line = Text(" ", no_wrap=True)
        for place, (name, count) in enumerate(tabs):
            label = f"{name}[{count}]" if place in counted else name
            line.append(f"{place + 1}", "key").append(" ")
            line.append(label, "title reverse" if place == shown else "").append("  ")
        if line.cell_len - 2 <= width:
            break
    return line
