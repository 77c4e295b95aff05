"""A program in a real pseudo-terminal, its bytes fed to a terminal emulator (pyte)."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

import pyte
from rich.cells import cell_len

ROOT = Path(__file__).resolve().parents[2]
SHELL = (sys.executable, "-m", "tests.tui.shell")

# pyte prints the kitty keyboard and DECRQM sequences as text.
UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[(\?[0-9;]*[hl]|\?[0-9]+\$p|[<>=][0-9;]*u)")
SYNC_QUESTION = b"\x1b[?2026$p"
PATIENCE = 20.0
"""Seconds to wait for what must come; nothing is asserted about speed."""


class PtyTerminal:
    """A child process in a terminal of its own; `close` ends it."""

    def __init__(
        self,
        command: Sequence[str] = SHELL,
        *,
        columns: int = 80,
        lines: int = 24,
        synchronised: bool = False,
        **environment: str,
    ) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._synchronised = synchronised
        self.raw = b""
        kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LD_LIBRARY_PATH", "XDG_STATE_HOME"}}
        base = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
        self.master, slave = pty.openpty()
        self.resize(columns, lines)

        def take_terminal() -> None:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=kept | base | environment,
            cwd=ROOT,
            preexec_fn=take_terminal,
        )
        os.close(slave)

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size and tell the program."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)
        if process := getattr(self, "process", None):
            process.send_signal(signal.SIGWINCH)

    def keys(self, text: str) -> None:
        """Type *text* in one write, as a fast typist on a slow link."""
        os.write(self.master, text.encode())

    def pump(self, seconds: float) -> bool:
        """Read what arrives within *seconds*; False at the end of the terminal or of the time."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 1 << 16)
        except OSError:  # the last process closed its side
            return False
        if not data:
            return False
        self.raw += data
        if SYNC_QUESTION in data and self._synchronised:
            os.write(self.master, b"\x1b[?2026;2$y")
        self._stream.feed(UNKNOWN_TO_PYTE.sub(b"", data))
        return True

    def settle(self, quiet: float = 0.4) -> int:
        """Read until nothing came for *quiet* seconds; returns how many bytes came."""
        before = len(self.raw)
        while self.pump(quiet):
            pass
        return len(self.raw) - before

    @property
    def text(self) -> str:
        """The screen.

        What is left of a wide letter whose first half was overwritten is a blank, as terminals show it; pyte's own
        `display` fails there.
        """
        return "\n".join(map(self._line, range(self.screen.lines)))

    def _line(self, y: int) -> str:
        text, wide = "", False
        for x in range(self.screen.columns):
            letter = "" if wide else self.screen.buffer[y][x].data or " "
            wide = cell_len(letter) == 2
            text += letter
        return text

    def wait(self, needle: str) -> None:
        """Read until *needle* is on the screen.

        Raises:
            AssertionError: it did not come.
        """
        end = time.monotonic() + PATIENCE
        while needle not in self.text:
            if not self.pump(0.1) and (time.monotonic() > end or self.process.poll() is not None):
                raise AssertionError(f"{needle!r} is not on the screen:\n{self.text}")

    def wait_end(self) -> int:
        """Read until the program ended; its exit status as a shell shows it."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            self.pump(0.1)
        self.settle(0.1)
        status = self.process.wait(timeout=1)
        return status if status >= 0 else 128 - status

    def hang_up(self) -> None:
        """Close the terminal under the program, as a lost SSH connection does."""
        os.close(self.master)
        self.master = -1

    def close(self) -> None:
        """End the program."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.master >= 0:
            os.close(self.master)
