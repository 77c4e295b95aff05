"""How soon a large proxy's clusters are on the screen, and how soon a key is while a large table is refreshed.

Both in a pseudo-terminal of their own, 80x24, the bytes fed to a terminal emulator (pyte); a moment is when the bytes
that paint it arrived. Goals: the first rows 0.5 s after the command, the 99th percentile from key to paint under 30 ms
while 1,000 of 10,000 rows change each second.

    python -m benchmarks.large_tables [RECORDING [NS/POD]]       (default: ../shared/corpus/large)
"""

from __future__ import annotations

import random
import re
import select
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.terminal.ptyterminal import PtyTerminal

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT.parent / "shared" / "corpus" / "large" / "recording.tar.xz"
OPENINGS = 5
KEYS = 400
PATIENCE = 120.0
UNFINISHED = re.compile(r"clusters \d*\.\.")
"""The line of tables while the clusters are not all there."""


def wait(terminal: PtyTerminal, needle: str) -> float:
    """The moment when *needle* came on the screen; raises `TimeoutError`."""
    end = time.perf_counter() + PATIENCE
    while time.perf_counter() < end:
        arrived = pump(terminal, 0.5)
        if needle in terminal.text:
            return arrived
    raise TimeoutError(f"{needle!r} did not come on the screen:\n{terminal.text}")


def pump(terminal: PtyTerminal, seconds: float) -> float:
    """Feed what arrives within *seconds* to the emulator; when it arrived, before it was fed."""
    select.select([terminal.master], [], [], seconds)
    arrived = time.perf_counter()
    terminal.pump(0)
    return arrived


def open_clusters(folder: Path, pod: str) -> tuple[float, float]:
    """Seconds to the first rows of *pod*'s clusters and to all of them, in a session that shows the mesh."""
    terminal = PtyTerminal((sys.executable, "-m", "meshdoctor", "open", str(folder), "mesh"))
    try:
        wait(terminal, pod.partition("/")[2][:12])
        terminal.settle(0.5)
        begun = time.perf_counter()
        terminal.keys(f":proxy {pod} clusters\r")
        first = wait(terminal, "EDS")
        everything = first
        while UNFINISHED.search(terminal.text):
            everything = pump(terminal, 0.5)
        return first - begun, everything - begun
    finally:
        terminal.close()


def refreshed_keys() -> list[float]:
    """Milliseconds from each key to its paint, while the table changes."""
    terminal = PtyTerminal((sys.executable, "-m", "benchmarks.refreshed_table"))
    draw = random.Random(7)
    found, cursor = [], 0
    try:
        wait(terminal, "row=0;")
        terminal.pump(1.0)
        for _ in range(KEYS):
            until = time.perf_counter() + draw.uniform(0.03, 0.2)
            while (left := until - time.perf_counter()) > 0:
                terminal.pump(left)
            cursor += 1 if cursor == 0 or draw.random() < 0.6 else -1
            begun = time.perf_counter()
            terminal.keys("j" if f"row={cursor - 1};" in terminal.text else "k")
            found.append((wait(terminal, f"row={cursor};") - begun) * 1000)
    finally:
        terminal.close()
    return found


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]


def main() -> int:
    """Print both figures."""
    keys = refreshed_keys()
    print(
        "key to paint, 10,000 rows, 1,000 changes/s: "
        f"p50 {statistics.median(keys):.1f} ms, p95 {percentile(keys, 95):.1f} ms, p99 {percentile(keys, 99):.1f} ms, "
        f"worst {max(keys):.1f} ms of {len(keys)} keys (goal: p99 under 30 ms)"
    )
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS
    if not given.exists():
        print(f"no recording {given}: the opening of a large dump is not measured")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if given.is_file():
            with tarfile.open(given) as archive:
                archive.extractall(folder, filter="data")
            given = Path(folder)
        pod = (
            sys.argv[2]
            if len(sys.argv) > 2
            else next(str(each.parent.relative_to(each.parents[2])) for each in given.rglob("config_dump.json"))
        )
        times = [open_clusters(given, pod) for _ in range(OPENINGS)]
    first, whole = ([entry[place] for entry in times] for place in (0, 1))
    print(
        f"clusters of {pod}: first rows after {statistics.median(first):.2f} s (best {min(first):.2f}, worst "
        f"{max(first):.2f}; goal: 0.5 s), all of them after {statistics.median(whole):.2f} s, {OPENINGS} openings"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
