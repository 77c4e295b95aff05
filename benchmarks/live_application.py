"""The application on a large mesh that changes: 5,000 sidecars, a rollout of 100 watch events a second, 80x24.

The API server, two istiods and every proxy's admin port (one in 25 hangs) are a process of their own (`busy_mesh`);
`meshdoctor` runs in a pseudo-terminal, its bytes fed to a terminal emulator (pyte). Printed for a quiet mesh and for
rollouts: CPU and memory of `meshdoctor`, bytes to the terminal (the same with `MESHDOCTOR_FULL_FRAMES=1`, as Textual
would send them, for comparison), requests to the API server, and how soon a key is on the screen. Times stand beside
others of the same machine: the first rows beside one list of all pods through `json.loads`, keys in a rollout beside
keys in the quiet mesh.

    python -m benchmarks.live_application [PODS [SECONDS]]
"""

from __future__ import annotations

import base64
import json
import os
import random
import ssl
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.busy_mesh import PODS
from benchmarks.busy_process import BusyMesh, running_busy_mesh
from benchmarks.large_tables import percentile, pump, wait
from tests.terminal.ptyterminal import PtyTerminal

TICKS = os.sysconf("SC_CLK_TCK")
RATES = (0, 100, 200)
"""Watch events a second."""
KEYS_FROM, KEYS_TO = 5, 17
"""The lines of the screen between which the cursor is moved."""


class Used(NamedTuple):
    """What a process has used: seconds of CPU, and memory in MB now and at most."""

    cpu: float
    memory: float
    peak: float


def used(pid: int) -> Used:
    """Of a process, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Vm")
    )
    memory, peak = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return Used((int(fields[11]) + int(fields[12])) / TICKS, memory, peak)


@contextmanager
def application(kubeconfig: Path, *words: str, **environment: str) -> Iterator[PtyTerminal]:
    """`meshdoctor` on the mesh, in a terminal."""
    command = (sys.executable, "-m", "meshdoctor", "open", "--kubeconfig", str(kubeconfig), *words)
    terminal = PtyTerminal(command, columns=80, lines=24, synchronised=False, **environment)
    try:
        yield terminal
    finally:
        terminal.close()


def cursor_line(terminal: PtyTerminal) -> int:
    """The line of the screen that the table's cursor is on; 0 for none."""
    return next((y for y in range(3, 22) if terminal.screen.buffer[y][12].reverse), 0)


def press_keys(terminal: PtyTerminal, seconds: float, draw: random.Random) -> list[float]:
    """Move the cursor for so long; milliseconds from each key to its paint."""
    found = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        until = time.perf_counter() + draw.uniform(0.1, 0.4)
        while (left := until - time.perf_counter()) > 0:
            pump(terminal, left)
        line = cursor_line(terminal)
        down = line < KEYS_FROM or (line < KEYS_TO and draw.random() < 0.5)
        begun = time.perf_counter()
        terminal.keys("j" if down else "k")
        arrived = begun
        while cursor_line(terminal) == line and arrived < begun + 20:
            arrived = pump(terminal, 1.0)
        found.append((arrived - begun) * 1000)
    return found


def list_alone(kubeconfig: dict[str, Any]) -> float:
    """Seconds that one list of all pods takes, with `json.loads` and nothing else."""
    server, token = kubeconfig["clusters"][0]["cluster"], kubeconfig["users"][0]["user"]["token"]
    authority = base64.b64decode(server.get("certificate-authority-data", "")).decode()
    context = ssl.create_default_context(cadata=authority) if authority else None
    request = urllib.request.Request(f"{server['server']}{PODS}", headers={"Authorization": f"Bearer {token}"})
    begun = time.perf_counter()
    with urllib.request.urlopen(request, context=context) as answer:
        json.loads(answer.read())
    return time.perf_counter() - begun


def steady(mesh: BusyMesh, terminal: PtyTerminal, rate: int, seconds: float, quiet_key: float) -> tuple[float, str]:
    """*seconds* at *rate* events a second, half of it with keys: milliseconds from key to paint, and what to print.

    *quiet_key*: the same of the quiet mesh, 0 where it is not known yet.
    """
    mesh.order("rate", events=rate)
    for _ in range(20):
        pump(terminal, 0.25)
    pid = terminal.process.pid
    mesh.order("told")
    begun, before, sent = time.perf_counter(), used(pid), len(terminal.raw)
    while time.perf_counter() < begun + seconds / 2:
        pump(terminal, 0.2)
    quiet = time.perf_counter() - begun
    cpu, bytes_sent = used(pid).cpu - before.cpu, len(terminal.raw) - sent
    keys = press_keys(terminal, seconds / 2, random.Random(7))
    lasted = time.perf_counter() - begun
    told = mesh.order("told")
    asked = Counter(told["requests"])
    after = used(pid)
    most = ", ".join(f"{count / lasted * 60:.0f} {name}" for name, count in asked.most_common(5))
    key = statistics.median(keys)
    return key, (
        f"{rate:4} events/s: CPU {cpu / quiet:4.0%}, {bytes_sent / quiet:6.0f} bytes/s, memory {after.memory:.0f} MB "
        f"(peak {after.peak:.0f}), key to paint p50 {key:.0f} ms p95 {percentile(keys, 95):.0f} "
        f"p99 {percentile(keys, 99):.0f} of {len(keys)}\n"
        f"               {key / (quiet_key or key):.1f}x the key to paint of the quiet mesh\n"
        f"               {sum(asked.values()) / lasted * 60:.0f} requests/min ({most})"
    )


def sent_by(terminal: PtyTerminal, seconds: float) -> float:
    """Bytes a second that come without a key."""
    before, begun = len(terminal.raw), time.perf_counter()
    while time.perf_counter() < begun + seconds:
        pump(terminal, 0.2)
    return (len(terminal.raw) - before) / (time.perf_counter() - begun)


def main() -> int:
    """Print all figures."""
    pods = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    with running_busy_mesh(pods) as mesh, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kubeconfig"
        path.write_text(json.dumps(mesh.kubeconfig))
        alone = min(list_alone(mesh.kubeconfig) for _ in range(3))
        mesh.order("told")
        begun = time.perf_counter()
        with application(path, "--view", "mesh") as terminal:
            frame = wait(terminal, "mesh") - begun
            first = wait(terminal, "team-") - begun
            spent = used(terminal.process.pid)
            print(
                f"{pods} pods: the frame after {frame:.2f} s, the first rows after {first:.2f} s, "
                f"{first / alone:.1f}x one list of the pods ({spent.cpu:.2f} s of CPU, {spent.memory:.0f} MB)"
            )
            wait(terminal, "s ago")
            settled = time.perf_counter() - begun
            told = Counter(mesh.order("told")["requests"])
            asked = ", ".join(f"{count} {name}" for name, count in told.most_common(6))
            print(f"complete after {settled:.1f} s, with {sum(told.values())} requests ({asked})")
            quiet_key = 0.0
            for rate in RATES:
                key, line = steady(mesh, terminal, rate, seconds, quiet_key)
                quiet_key = quiet_key or key
                print(line, flush=True)
            per_second = sent_by(terminal, seconds / 2)
        with application(path, "--view", "mesh", MESHDOCTOR_FULL_FRAMES="1") as terminal:
            wait(terminal, "s ago")
            whole = sent_by(terminal, seconds / 2)
            mesh.order("rate", events=0)
        print(f"at {RATES[-1]} events/s {per_second:.0f} bytes/s, as Textual sends it {whole:.0f}", end=": ")
        print(f"{whole / max(1.0, per_second):.1f} times less")
    return 0


if __name__ == "__main__":
    sys.exit(main())
