"""The cell differences: whatever two frames hold, sending the difference shows the second one."""

from __future__ import annotations

import pyte
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import set_cell_size
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from meshdoctor.tui.diffdisplay import ShownCells

WIDTH, HEIGHT = 12, 3
STYLES = (Style(), Style(bold=True), Style(color="red"), Style(reverse=True, bgcolor="#00afff"))

pieces = st.lists(st.tuples(st.text("ab 한글é", min_size=1, max_size=6), st.sampled_from(STYLES)), max_size=5)
frames = st.lists(st.lists(pieces, min_size=HEIGHT, max_size=HEIGHT), min_size=1, max_size=4)


def strip_of(parts: list[tuple[str, Style]]) -> Strip:
    strip = Strip([Segment(text, style) for text, style in parts])
    if strip.cell_length > WIDTH:
        strip = strip.crop(0, WIDTH)
    return strip.adjust_cell_length(WIDTH, Style())


def draw(screen: pyte.Screen, text: str) -> None:
    pyte.Stream(screen).feed(text)


@settings(deadline=None)
@given(frames)
def test_the_terminal_shows_the_last_frame(sequence: list[list[list[tuple[str, Style]]]]) -> None:
    screen = pyte.Screen(WIDTH, HEIGHT)
    screen.reset_mode(pyte.modes.DECAWM)
    shown = ShownCells(WIDTH, HEIGHT, ColorSystem.TRUECOLOR)
    for frame in sequence:
        strips = [strip_of(parts) for parts in frame]
        draw(screen, shown.frame((y, 0, strip) for y, strip in enumerate(strips)))
    whole = pyte.Screen(WIDTH, HEIGHT)
    whole.reset_mode(pyte.modes.DECAWM)
    fresh = ShownCells(WIDTH, HEIGHT, ColorSystem.TRUECOLOR)
    draw(whole, fresh.frame((y, 0, strip) for y, strip in enumerate(strips)))
    for y in range(HEIGHT):
        assert [screen.buffer[y][x] for x in range(WIDTH)] == [whole.buffer[y][x] for x in range(WIDTH)]


def test_nothing_is_sent_twice() -> None:
    shown = ShownCells(WIDTH, 1, ColorSystem.TRUECOLOR)
    line = Strip([Segment(set_cell_size("한글 abc", WIDTH))])
    assert shown.frame([(0, 0, line)])
    assert shown.frame([(0, 0, line)]) == ""
    changed = Strip([Segment(set_cell_size("한글 abd", WIDTH))])
    assert shown.frame([(0, 0, changed)]) == "\x1b[1;8H\x1b[0md"


def test_a_wide_character_is_not_cut_by_the_edge() -> None:
    shown = ShownCells(3, 1, ColorSystem.TRUECOLOR)
    assert shown.frame([(0, 0, Strip([Segment("한글")]))]).endswith("한 ")


def test_what_is_outside_is_not_sent() -> None:
    shown = ShownCells(3, 1, ColorSystem.TRUECOLOR)
    assert shown.frame([(1, 0, Strip([Segment("abc")])), (0, 3, Strip([Segment("abc")]))]) == ""
