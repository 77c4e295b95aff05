"""Answers of a live cluster, decoded by the recording's own code so that live and recorded facts cannot differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from meshdoctor.model.snapshot import Fact, Missing, Want
from meshdoctor.recording.archive import Files
from meshdoctor.recording.raw import Manifest, Partial, RawRecording
from meshdoctor.sources.live_files import Kept, KeptFiles
from meshdoctor.sources.live_lists import Capture
from meshdoctor.sources.recording import RecordingSource


class LiveDecoder:
    """Decodes what was read just now, keeps it for whoever follows evidence to it, and hands it to *capture*."""

    def __init__(self, server: str, capture: Capture | None, clock: Callable[[], float]) -> None:
        # What is captured is kept elsewhere, and nobody follows evidence while recording.
        self.kept = KeptFiles() if capture is None else KeptFiles(0)
        self._server = server
        self._capture = capture
        self._clock = clock

    def keep(self, file: str, body: bytes, cut: str = "") -> Kept:
        """The answer with its time; *cut*: why it is only the newest lines of a log."""
        if self._capture is not None:
            self._capture(file, body)
        kept = Kept(body, self._clock(), cut)
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
        partial_files = (Partial(file, (), kept.cut),) if kept.cut else ()
        manifest = Manifest(started_at=kept.read_at, finished_at=kept.read_at, partial=partial_files)
        return RecordingSource(RawRecording(Path(self._server), files, manifest)).read([want]).get(want)
