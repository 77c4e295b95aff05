"""How much later than an empty Textual app this application first paints.

Both run in a pseudo-terminal of their own, 80x24, alternating in one run so that a busy machine slows both alike.
Measured from the start of the process to the first bytes of text after the alternate screen was entered. Goal: at most
100 ms more.

    python -m benchmarks.first_paint [rounds]
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

MARK = b"FIRST-PAINT"
PATIENCE = 30.0

EMPTY_TEXTUAL = f"""
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("{MARK.decode()}")
Empty().run(mouse=False)
"""

EMPTY_SESSION = f"""
import sys
from meshdoctor.tui.glance import Glance
from meshdoctor.tui.launch import launch
sys.exit(launch(Glance("{MARK.decode()}", "recording", "help", asked=False)))
"""

INCIDENT = Path(__file__).resolve().parents[1] / "fixtures" / "pine.tar.xz"
OPENED = f"""
import sys
from pathlib import Path
from meshdoctor.commands.tui import recording_session
from meshdoctor.tui.launch import launch
sys.exit(launch(recording_session(Path({str(INCIDENT)!r}), title="{MARK.decode()}")))
"""
VERDICT = b"CULPRIT"


def first_paint(program: str, mark: bytes = MARK) -> float:
    """Milliseconds from starting *program* to *mark* on the terminal.

    Raises:
        TimeoutError: the mark did not come.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "TMUX", "TEXTUAL"}}
    environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
        start_new_session=True,
    )
    os.close(slave)
    seen = b""
    try:
        while mark not in seen:
            left = started + PATIENCE - time.perf_counter()
            if left <= 0 or not select.select([master], [], [], left)[0]:
                raise TimeoutError(f"no first paint within {PATIENCE} s; last bytes: {seen[-200:]!r}")
            seen += os.read(master, 1 << 16)
        return (time.perf_counter() - started) * 1000
    finally:
        process.kill()
        process.wait()
        os.close(master)


def main() -> int:
    """Print the medians and their difference."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for program in (EMPTY_TEXTUAL, EMPTY_SESSION, OPENED):  # the first start compiles and fills the disk cache
        first_paint(program)
    empty, ours, opened, verdict = [], [], [], []
    for _ in range(rounds):
        empty.append(first_paint(EMPTY_TEXTUAL))
        ours.append(first_paint(EMPTY_SESSION))
        opened.append(first_paint(OPENED))
        verdict.append(first_paint(OPENED, VERDICT))
    base, own = statistics.median(empty), statistics.median(ours)
    print(f"empty Textual app   {base:6.0f} ms   (best {min(empty):.0f}, worst {max(empty):.0f}, {rounds} rounds)")
    print(f"MeshDoctor          {own:6.0f} ms   (best {min(ours):.0f}, worst {max(ours):.0f})")
    incident = statistics.median(opened)
    print(f"on an incident      {incident:6.0f} ms   (difference {incident - base:+.0f} ms, goal: at most +100)")
    print(f"its first verdict   {statistics.median(verdict):6.0f} ms")
    print(f"difference          {own - base:+6.0f} ms   (goal: at most +100)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
