"""The shell in a real pseudo-terminal: what only the real driver shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.terminal.ptyterminal import PATIENCE, ROOT, SHELL, PtyTerminal

Open = Callable[..., PtyTerminal]
READY = "pods[63]"


def restored(raw: bytes) -> bool:
    """Whether the alternate screen was left, the cursor shown and every mouse mode left."""
    left = raw.rfind(b"\x1b[?1049l") > raw.rfind(b"\x1b[?1049h") >= 0
    cursor = raw.rfind(b"\x1b[?25h") > raw.rfind(b"\x1b[?25l") >= 0
    mouse = all(raw.rfind(b"\x1b[?%dl" % m) >= raw.rfind(b"\x1b[?%dh" % m) for m in (1000, 1002, 1003, 1006, 1015))
    return left and cursor and mouse


def test_first_view_and_leaving(terminal: Open) -> None:
    t = terminal()
    t.wait("<enter>open")
    assert READY in t.text
    t.keys(":q\r")
    assert t.wait_end() == 0
    assert restored(t.raw)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_restore_the_terminal(terminal: Open, number: signal.Signals, status: int) -> None:
    t = terminal((*SHELL, "--mouse"))
    t.wait(READY)
    assert b"\x1b[?1003h" in t.raw
    t.process.send_signal(number)
    assert t.wait_end() == status
    assert restored(t.raw)
    assert b"Traceback" not in t.raw


def test_a_signal_before_the_first_paint_restores_the_terminal(terminal: Open) -> None:
    t = terminal()
    while b"\x1b[?1049h" not in t.raw:
        assert t.pump(20)
    t.process.send_signal(signal.SIGTERM)
    assert t.wait_end() == 143
    assert restored(t.raw)


def test_a_lost_connection_ends_the_program(terminal: Open) -> None:
    t = terminal()
    t.wait(READY)
    t.hang_up()
    assert t.process.wait(timeout=20) in {129, -signal.SIGHUP}


def test_ctrl_c_leaves(terminal: Open) -> None:
    t = terminal()
    t.wait(READY)
    t.keys("\x03")
    assert t.wait_end() == 0
    assert restored(t.raw)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.mistaken
def test_a_crash_is_one_line(terminal: Open, debug: bool, no_mistake: Path) -> None:
    t = terminal((*SHELL, "broken", "--debug") if debug else (*SHELL, "broken"))
    assert t.wait_end() == 2
    assert restored(t.raw)
    said = t.raw[t.raw.rfind(b"\x1b[?1049l") :]
    assert b"ValueError: broken on purpose" in said
    assert (b"Traceback" in said) is debug
    (file,) = no_mistake.glob("crash-*.txt")
    assert (file.name.encode() in b"".join(said.split())) is not debug
    assert b"a value of the cluster" not in t.raw


@pytest.mark.mistaken
def test_a_view_that_fails_is_one_line_and_the_others_stay(terminal: Open) -> None:
    t = terminal()
    t.wait(READY)
    t.keys(":broken\r")
    t.wait("a mistake, see ")
    t.keys("j\r")
    t.wait("line 0 of")
    assert b"Traceback" not in t.raw
    t.keys(":q\r")
    assert t.wait_end() == 0


@pytest.mark.parametrize(
    ("burst", "seen"),
    [
        ("/reviews\r", "pods[1 of 63]  /reviews"),
        ("/한글\x15결제\r", "pods[1 of 63]  /결제"),
        ("jj\rG", "line 39 of reviews-v3-7d9c9f-x2x9q"),
        (":pod rev\t\r\x7fj\r", "line 0 of 정산-배치-6c9d7-k8s2m"),
        ("?qjj\r", "line 0 of reviews-v3-7d9c9f-x2x9q"),
        ("/load-05\rjj\r", "line 0 of load-052"),
        (":help\r:pods\r/nack\r\r", "line 0 of reviews-v3-7d9c9f-x2x9q"),
    ],
)
def test_keys_typed_ahead_act_in_order(terminal: Open, burst: str, seen: str) -> None:
    t = terminal()
    t.wait(READY)
    t.keys(burst)
    t.wait(seen)


def test_hangul_columns_stand_in_line(terminal: Open) -> None:
    t = terminal()
    t.wait(READY)
    t.settle()
    cells = [[t.screen.buffer[y][x].data for x in range(80)] for y in (3, 4, 5)]
    assert [line[21] for line in cells] == ["p", "정", "r"]


def test_no_color_sends_no_colour(terminal: Open) -> None:
    t = terminal(NO_COLOR="1")
    t.wait(READY)
    t.keys("jj/nack\r?")
    t.settle()
    assert not re.search(rb"\x1b\[[0-9;]*\b(3[0-7]|4[0-7]|9[0-7]|10[0-7]|38|48)\b[0-9;]*m", t.raw)
    assert re.search(rb"\x1b\[0;(1;)?7[;m]", t.raw)  # the cursor row is reversed


def test_an_empty_no_color_means_nothing(terminal: Open) -> None:
    t = terminal(NO_COLOR="")
    t.wait("<enter>open")
    assert b"38;2;0;175;255" in t.raw


@pytest.mark.parametrize(("term", "forbidden"), [("linux", rb"[34]8;[25]"), ("xterm-256color", rb"[34]8;2")])
def test_only_colours_that_the_terminal_has(terminal: Open, term: str, forbidden: bytes) -> None:
    t = terminal(TERM=term, COLORTERM="")
    t.wait(READY)
    t.settle()
    assert not re.search(forbidden, t.raw)


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1", "synchronised": True}])
def test_differences_show_what_whole_frames_show(terminal: Open, environment: dict[str, object]) -> None:
    """The same keys with and without the cell differences end in the same screen, cell by cell, style by style."""
    both = [terminal(**environment), terminal(MESHDOCTOR_FULL_FRAMES="1", **environment)]
    for t in both:
        t.wait(READY)
        t.settle()
    sent = [0, 0]
    for keys in (
        "j",
        "\x1b[6~",
        "\x1b[6~",
        "G",
        "g",
        "/결",
        "\r",
        "\x17",
        "\x1b",
        "?",
        "\x06",
        "q",
        "S",
        "\x05",
        "\x1a",
        ":pod",
    ):
        for t in both:
            t.keys(keys)
        end = time.monotonic() + PATIENCE
        while True:
            sent = [total + t.settle(0.2) for total, t in zip(sent, both, strict=True)]
            screens = [[[t.screen.buffer[y][x] for x in range(80)] for y in range(24)] for t in both]
            if screens[0] == screens[1] or time.monotonic() > end:
                break
        assert screens[0] == screens[1], keys
    assert sent[0] < 0.6 * sent[1]


def test_a_resize_is_drawn_whole(terminal: Open) -> None:
    t = terminal()
    t.wait(READY)
    t.settle()
    for columns, lines in ((60, 15), (100, 30), (80, 24)):
        t.screen.reset()
        t.resize(columns, lines)
        t.settle()
        assert READY in t.screen.display[1]
        assert "<enter>open" in t.screen.display[lines - 1]


def test_a_resize_to_the_same_size_is_drawn_whole(terminal: Open) -> None:
    """A terminal that was smaller for a moment (tmux) has lost what was on it."""
    t = terminal(COLUMNS="132", LINES="50")
    t.wait(READY)
    t.settle()
    t.screen.reset()
    t.resize(80, 24)
    t.settle()
    assert READY in t.screen.display[1]
    assert "<enter>open" in t.screen.display[23]


def test_bytes_are_few(terminal: Open) -> None:
    """Budgets at 80x24: they keep the program pleasant over a slow SSH link."""
    t = terminal()
    t.wait(READY)
    t.settle()
    t.keys("j")
    assert t.settle() <= 400
    t.keys("\x1b[6~")
    assert t.settle() <= 2000
    assert t.settle(1.0) == 0  # idle


@pytest.mark.parametrize(("environment", "says"), [({"TERM": "dumb"}, "TERM=dumb"), ({}, "no terminal")])
def test_no_full_screen_where_none_can_be(environment: dict[str, str], says: str) -> None:
    tty = os.openpty() if environment else None
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.tui.shell"],
            stdin=tty[1] if tty else subprocess.DEVNULL,
            stdout=tty[1] if tty else subprocess.DEVNULL,
            stderr=tty[1] if tty else subprocess.PIPE,
            env=os.environ | environment,
            cwd=ROOT,
            timeout=30,
            check=False,
        )
        said = os.read(tty[0], 4096) if tty else done.stderr
    finally:
        for each in tty or ():
            os.close(each)
    assert done.returncode == 2
    assert says.encode() in said
    assert b"\x1b" not in said
