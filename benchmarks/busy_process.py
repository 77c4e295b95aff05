"""The large mesh that changes (`busy_mesh`) as a child process, for whoever measures a client of it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.stub_cluster import ROOT


class BusyMesh:
    """The process, from outside."""

    def __init__(self, process: subprocess.Popen[str], kubeconfig: dict[str, Any]) -> None:
        self._process = process
        self.kubeconfig = kubeconfig

    def order(self, do: str, **more: Any) -> Any:
        """Tell it something; what it answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextlib.contextmanager
def running_busy_mesh(count: int, kept_changes: int = 5_000) -> Iterator[BusyMesh]:
    """Start `busy_mesh` as a child; watches can look back to *kept_changes*."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.busy_mesh", str(count), str(kept_changes)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield BusyMesh(process, json.loads(process.stdout.readline()))
    finally:
        process.communicate(timeout=60)
