"""The application for many hours, in minutes: its clock runs faster, and everything that can go wrong goes wrong.

The API server (a process of its own, `busy_mesh`) closes watches after seconds and answers 410, cuts every connection,
restarts its istiods, refuses for a while, takes another token (the client's token file is rewritten), while a rollout
replaces every pod again and again. Printed after each 250 refreshes: memory, Python objects, threads, open files and
tasks of `meshdoctor`. At the end its table is compared with what the server has; the status is 1 where they differ, or
where memory grew by more than GROWTH after the first 250.

    python -m benchmarks.long_hours [REFRESHES [PODS [SPEED]]]
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.busy_process import BusyMesh, running_busy_mesh
from benchmarks.stub_cluster import ROOT

EVENTS = 80
"""Watch events a second."""
EVERY = 1.5
"""Real seconds between two troubles."""
STEP = 250
GROWTH = 20.0
"""MB that memory may grow by once the application is warm."""


class Trouble:
    """One trouble after another."""

    def __init__(self, mesh: BusyMesh, token: Path) -> None:
        self._mesh = mesh
        self._token = token
        self._kinds = itertools.cycle(("drop", "expire", "restart", "token", "busy", "refuse", "istiod", "expire"))
        self._number = 0
        self.made = 0

    def make(self) -> None:
        """The next one."""
        self.made += 1
        kind = next(self._kinds)
        if kind == "token":
            self._number += 1
            self._token.write_text(f"token-{self._number}")
            self._mesh.order("disturb", what="token", token=f"token-{self._number}")
        elif kind in ("busy", "refuse", "istiod"):
            path, status, reason = {
                "busy": ("/", 503, "ServiceUnavailable"),
                "refuse": ("/api/v1/pods|/version", 500, "InternalError"),
                "istiod": ("/pods/istiod-.*/portforward", 500, "InternalError"),
            }[kind]
            self._mesh.order("disturb", what="fault", path=path, status=status, reason=reason, times=12)
        else:
            self._mesh.order("disturb", what=kind)


def ask(client: subprocess.Popen[str], order: str) -> dict[str, Any]:
    """What the client answers."""
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(order + "\n")
    client.stdin.flush()
    line = client.stdout.readline()
    if not line:
        raise SystemExit(f"the application ended with status {client.wait()}")
    found: dict[str, Any] = json.loads(line)
    return found


def told(state: dict[str, Any], trouble: Trouble, replaced: int) -> str:
    """One line."""
    tasks = ", ".join(f"{count} {name}" for name, count in sorted(state["tasks"].items()))
    passed = f"{state['refreshes']:6} refreshes, {state['hours']:5.1f} h, {trouble.made} troubles, {replaced} pods gone"
    used = f"{state['memory']:.0f} MB, {state['objects']} objects, {state['threads']} threads, {state['files']} files"
    return f"{passed}: {used}; {tasks}"


def main() -> int:
    """Run, print, compare."""
    refreshes = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    pods = sys.argv[2] if len(sys.argv) > 2 else "150"
    speed = sys.argv[3] if len(sys.argv) > 3 else "60"
    with running_busy_mesh(int(pods), 400) as mesh, tempfile.TemporaryDirectory() as folder:
        token, path = Path(folder) / "token", Path(folder) / "kubeconfig"
        token.write_text("test-token")
        config = mesh.kubeconfig
        config["users"][0]["user"] = {"tokenFile": str(token)}
        path.write_text(json.dumps(config))
        client = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.hours_client", str(path), speed],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        trouble = Trouble(mesh, token)
        mesh.order("rate", events=EVENTS)
        memory: list[float] = []
        try:
            while len(memory) <= refreshes // STEP:
                time.sleep(EVERY)
                trouble.make()
                state = ask(client, "measure")
                if state["refreshes"] >= len(memory) * STEP:
                    memory.append(state["memory"])
                    print(told(state, trouble, mesh.order("told")["replaced"]), flush=True)
            mesh.order("rate", events=0)
            mesh.order("disturb", what="fault", path="^$", status=500, reason="", times=1)
            time.sleep(4)
            shown, there = ask(client, "settle"), mesh.order("state")
            state = ask(client, "measure")
            print(told(state, trouble, mesh.order("told")["replaced"]))
            wrong = set(shown["rows"]) ^ set(there)
            grown = state["memory"] - memory[min(1, len(memory) - 1)]
            print(
                f"{len(there)} proxies, {shown['problems']} with a problem, {len(wrong)} rows wrong {sorted(wrong)[:5]}"
            )
            print(f"watches: {state['watches']}; trouble: {state['trouble'] or 'none'}; memory grew by {grown:.1f} MB")
            return int(bool(wrong) or grown > GROWTH)
        finally:
            assert client.stdin is not None
            client.stdin.write("end\n")
            client.communicate(timeout=30)


if __name__ == "__main__":
    sys.exit(main())
