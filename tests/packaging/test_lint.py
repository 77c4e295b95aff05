"""The linter looks at everything: its own settings could leave a room out without a word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("meshdoctor", "probes", "screens", "fixtures", "tests", "benchmarks")


def test_every_file_is_linted() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--show-files", "."],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    written = {str(path) for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert written - set(done.stdout.split("\n")) == set()
    assert len(written) > len(ROOMS)
