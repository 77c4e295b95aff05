"""The application on an incident that ships, whose source answers slowly: the guide still runs when a test acts."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from meshdoctor.model.snapshot import Snapshot, Want
from meshdoctor.sources.recording import RecordingSource
from meshdoctor.tui.examined import ExaminedSession
from meshdoctor.tui.launch import launch

FIXTURE = Path(__file__).resolve().parents[2] / "fixtures" / "pine.tar.xz"


class SlowSource:
    """A recording that takes two seconds for every read after the first ones, as a far cluster would."""

    def __init__(self) -> None:
        self._recording = RecordingSource.open(FIXTURE)
        self.info = self._recording.info
        self._reads = 0

    def read(self, wants: Iterable[Want[Any]], known: Snapshot | None = None) -> Snapshot:
        self._reads += 1
        if self._reads > 2:
            time.sleep(2.0)
        return self._recording.read(wants, known)


if __name__ == "__main__":
    sys.exit(launch(ExaminedSession("slow", SlowSource)))
