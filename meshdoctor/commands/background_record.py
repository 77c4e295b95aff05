"""`R` in the application: `meshdoctor record` in the background, on a connection of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path

from meshdoctor.commands.recorded_moment import record_moment
from meshdoctor.errors import MeshDoctorError, RecordingError
from meshdoctor.model.moment import rfc3339
from meshdoctor.recording.bundle.reader import open_written
from meshdoctor.recording.bundle.writer import BundleWriter
from meshdoctor.sources.live import LiveSource
from meshdoctor.sources.live_lists import Capture
from meshdoctor.sources.recording import RecordingSource

EVERY = 30.0
"""Seconds between two moments."""


class BackgroundRecording:
    """Moments of a cluster in one bundle, until `stop`; what was finished is kept whatever happens.

    *connect* makes a source that gives what it reads to a capture. Raises `RecordingError` where no file can be made.
    """

    def __init__(self, connect: Callable[[Capture], LiveSource], folder: Path, *, every: float = EVERY) -> None:
        stamp = rfc3339(time.time()).replace(":", "").replace("-", "")
        self.file = folder / f"meshdoctor-{stamp}.mdb"
        self.moments = 0
        self.problem = ""
        """Why it ended by itself."""
        self._read: list[tuple[str, bytes]] = []
        self._every = every
        self._source = connect(lambda file, body: self._read.append((file, body)))
        self._stopping = threading.Event()
        try:
            self._writer = BundleWriter(self.file, now=time.time, source=self._source.info.name)
        except MeshDoctorError:
            self._source.close()
            raise
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @property
    def names(self) -> tuple[str, ...]:
        """The moments that are finished, oldest first."""
        return self._writer.finished

    def source(self) -> RecordingSource:
        """The finished moments, also while more are written. Raises RecordingError when they cannot be read."""
        try:
            return RecordingSource(open_written(self._writer.part, self._writer.written()))
        except RecordingError:
            return RecordingSource.open(self.file)  # it got its own name

    @property
    def is_running(self) -> bool:
        """Whether more moments will come."""
        return self._thread.is_alive()

    def stop(self, *, at_once: bool = False) -> None:
        """End after the moment that is being recorded, or *at_once* without it; the file is complete then."""
        self._stopping.set()
        if at_once:
            self._source.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._source as source, self._writer as writer:
                while not self._stopping.is_set():
                    begun = time.monotonic()
                    if not self._moment(source, writer) or writer.full:
                        break
                    self._stopping.wait(max(0.0, self._every - (time.monotonic() - begun)))
        except MeshDoctorError as error:
            self.problem = str(error)

    def _moment(self, source: LiveSource, writer: BundleWriter) -> bool:
        snapshot = writer.snapshot(time.time())
        try:
            record_moment(source, snapshot, self._read, (), time.time())
        except CancelledError:
            return False  # the application ends; the moments before this one are whole
        snapshot.finish(time.time())
        self.moments += 1
        return True
