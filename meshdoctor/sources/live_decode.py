"""Answers of a live cluster, decoded by the recording's own code so that live and recorded facts cannot differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from meshdoctor.model.snapshot import Fact, Missing, Want
from meshdoctor.recording.archive import Files
from meshdoctor.recording.raw import Manifest, RawRecording
from meshdoctor.sources.live_files import Kept, KeptFiles
from meshdoctor.sources.live_lists import Capture
from meshdoctor.sources.recording import RecordingSource


class LiveDecoder:
    """Decodes what was read just now, keeps it for whoever follows evidence to it, and hands it to *capture*."""

    def __init__(self, server: str, capture: Capture | None, clock: Callable[[], float]) -> None:
        self.kept = KeptFiles()
        self._server = server
        self._capture = capture
        self._clock = clock

    def keep(self, file: str, body: bytes) -> Kept:
        """The answer with its time."""
        if self._capture is not None:
            self._capture(file, body)
        kept = Kept(body, self._clock())
        self.kept.put(file, kept)
        return kept

    def decode(self, want: Want[Any], file: str, body: bytes) -> Fact[Any] | Missing:
        """What a recording with this file, read just now, would answer."""
        return self.recorded(want, file, self.keep(file, body))

    def recorded(
        self, want: Want[Any], file: str, kept: Kept, extra: Mapping[str, bytes] | None = None
    ) -> Fact[Any] | Missing:
        """The same of what was *kept*; *extra* are files beside it, by name."""
        files: Files = {name: partial(bytes, held) for name, held in {**(extra or {}), file: kept.body}.items()}
        manifest = Manifest(started_at=kept.read_at, finished_at=kept.read_at)
        return RecordingSource(RawRecording(Path(self._server), files, manifest)).read([want]).get(want)
