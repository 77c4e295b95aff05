"""Send only the cells that changed: what a slow SSH link pays for a key press or a refresh.

Textual's compositor sends every cell of every region that was touched, whether it looks different or not. This mix-in
keeps what the terminal shows, cell by cell, and sends the runs that differ. It also never queues frames behind a
terminal that does not read (a stalled SSH link blocks the writer's bounded queue, and with it the event loop): such a
frame is skipped, and one whole comparison repairs the screen later, since what was *sent* is known.

`MESHDOCTOR_FULL_FRAMES=1` leaves the output to Textual.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, RenderableType
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.screen import Screen
from textual.strip import Strip

GAP = 7
"""Sending up to so many unchanged cells again is shorter than moving the cursor over them."""

BEHIND = 2
"""With so many frames unsent the terminal is behind and a new frame is skipped."""

CATCH_UP = 0.05
"""Seconds until a skipped frame is made good."""

WIDE_TAIL = ""
"""What the second cell of a wide character holds."""


class ShownCells:
    """What the terminal shows: a character and a style per cell, None where it is not known."""

    def __init__(self, width: int, height: int, colours: ColorSystem) -> None:
        self.width = width
        self.height = height
        self._colours = colours
        self._characters: list[list[str | None]] = [[None] * width for _ in range(height)]
        self._styles: list[list[int]] = [[-1] * width for _ in range(height)]
        self._ids: dict[Style | None, int] = {}
        self._codes: list[str] = []
        self._pen = -1

    def frame(self, pieces: Iterable[tuple[int, int, Strip]]) -> str:
        """What makes the terminal show *pieces*, (line, column, strip) each; empty when it does already."""
        self._pen = -1
        out: list[str] = []
        for y, x, strip in pieces:
            if 0 <= y < self.height and 0 <= x < self.width:
                self._compare(out, y, x, strip)
        return "".join(out)

    def _style_id(self, style: Style | None) -> int:
        known = self._ids.get(style)
        if known is None:
            known = self._ids[style] = len(self._codes)
            self._codes.append(Strip.render_ansi(style, self._colours) if style is not None else "")
        return known

    def _cells(self, segments: Iterable[Segment]) -> tuple[list[str | None], list[int]]:
        """The characters and styles of *segments*, cell by cell; combining characters join the cell before them."""
        characters: list[str | None] = []
        styles: list[int] = []
        for text, style, control in segments:
            if control:
                continue
            style_id = self._style_id(style)
            if text.isascii():
                characters.extend(text)
                styles.extend([style_id] * len(text))
                continue
            for character in text:
                width = cell_len(character)
                if width == 0:
                    if characters:
                        last = -2 if characters[-1] == WIDE_TAIL and len(characters) > 1 else -1
                        characters[last] = (characters[last] or "") + character
                    continue
                characters.append(character)
                styles.append(style_id)
                if width == 2:
                    characters.append(WIDE_TAIL)
                    styles.append(style_id)
        return characters, styles

    def _compare(self, out: list[str], y: int, x: int, strip: Strip) -> None:
        new_characters, new_styles = self._cells(strip._segments)
        room = self.width - x
        if len(new_characters) > room:
            if new_characters[room] == WIDE_TAIL:  # half a wide character would wrap to the next line
                new_characters[room - 1] = " "
            del new_characters[room:], new_styles[room:]
        end = x + len(new_characters)
        old_characters, old_styles = self._characters[y][x:end], self._styles[y][x:end]
        if old_characters == new_characters and old_styles == new_styles:
            return
        differ = [
            i
            for i in range(len(new_characters))
            if old_characters[i] != new_characters[i] or old_styles[i] != new_styles[i]
        ]
        for first, last in _runs(differ):
            while first > 0 and new_characters[first] == WIDE_TAIL:
                first -= 1
            while last < len(new_characters) and new_characters[last] == WIDE_TAIL:
                last += 1
            out.append(f"\x1b[{y + 1};{x + first + 1}H")
            self._write(out, new_characters, new_styles, first, last)
        self._characters[y][x:end] = new_characters
        self._styles[y][x:end] = new_styles

    def _write(self, out: list[str], characters: list[str | None], styles: list[int], at: int, end: int) -> None:
        while at < end:
            style = styles[at]
            stop = at
            while stop < end and styles[stop] == style:
                stop += 1
            if style != self._pen:
                code = self._codes[style]
                out.append(f"\x1b[0;{code}m" if code else "\x1b[0m")
                self._pen = style
            out.append("".join(character or "" for character in characters[at:stop]))
            at = stop


def _runs(differ: list[int]) -> Iterator[tuple[int, int]]:
    """[first, last) runs of the indices in *differ*, joined over short gaps."""
    first = previous = -1
    for index in differ:
        if first < 0:
            first = index
        elif index - previous > GAP:
            yield first, previous + 1
            first = index
        previous = index
    if first >= 0:
        yield first, previous + 1


def frame_pieces(update: ChopsUpdate | LayoutUpdate) -> Iterator[tuple[int, int, Strip]]:
    """The strips of a compositor's update with their places: (line, column, strip)."""
    if isinstance(update, LayoutUpdate):
        for y, line in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in line:
                yield y, x, strip
                x += strip.cell_length
        return
    for y, x1, x2 in update.spans:
        for end, (x, piece) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if piece is None or x > x2 or end <= x1:
                continue
            whole = x2 > x >= x1 and end <= x2
            yield y, x, piece if whole else piece.crop(0, min(end, x2) - x)


class DiffDisplay(App[None]):
    """An App that sends differences (mix it in before anything else that draws)."""

    frames_skipped = 0
    """Frames that were not sent because the terminal was behind."""

    _shown: ShownCells | None = None
    _catching_up = False
    _full_frames = bool(os.environ.get("MESHDOCTOR_FULL_FRAMES"))

    def forget_shown(self) -> None:
        """Something else wrote on the terminal: the next frame is sent whole."""
        self._shown = None

    def _catch_up(self) -> None:
        self._catching_up = False
        self.screen.refresh()

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        driver = self._driver
        if (
            self._full_frames
            or driver is None
            or driver.is_inline
            or self.is_headless
            or self._batch_count
            or self._closed
            or not self._running
            or not isinstance(renderable, (ChopsUpdate, LayoutUpdate))
        ):
            if renderable is not None and not isinstance(renderable, CompositorUpdate):
                self.forget_shown()
            super()._display(screen, renderable)
            return
        writer = getattr(driver, "_writer_thread", None)
        if writer is not None and writer._queue.qsize() >= BEHIND:
            self.frames_skipped += 1
            if not self._catching_up:
                self._catching_up = True
                self.set_timer(CATCH_UP, self._catch_up)
            self.post_display_hook()
            return
        width, height = self.size
        if self._shown is None or (self._shown.width, self._shown.height) != (width, height):
            self._shown = ShownCells(width, height, COLOR_SYSTEMS[self.console.color_system or "standard"])
        try:
            changes = self._shown.frame(frame_pieces(renderable))
        except Exception as error:  # noqa: BLE001 - a widget failed to draw itself: Textual's own way of reporting that
            self._handle_exception(error)
            return
        caret = self.screen.outer_size.clamp_offset(self.cursor_position)
        if changes or caret != self._previous_cursor_position:
            self._previous_cursor_position = caret
            frame = f"{changes}\x1b[0m\x1b[{caret.y + 1};{caret.x + 1}H"
            driver.write(f"\x1b[?2026h{frame}\x1b[?2026l" if self._sync_available else frame)
            driver.flush()
        self.post_display_hook()
