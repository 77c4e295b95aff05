"""Records into a bundle: moments of a recording, or of anything that gives the bytes of files by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.moment import unix
from meshdoctor.recording.bundle.format import FAILED, SKIPPED, SPARED, TRUNCATED, UNREADABLE
from meshdoctor.recording.bundle.writer import BundleWriter, SnapshotWriter
from meshdoctor.recording.raw import RawRecording
from meshdoctor.recording.redaction.answers import kept

_STATUSES = (UNREADABLE, FAILED, SKIPPED, TRUNCATED, SPARED)


def record_recording(
    writer: BundleWriter, recording: RawRecording, limit: Callable[[RawRecording], RawRecording] | None = None
) -> None:
    """Every moment of *recording*, oldest first; *limit* takes out of each what is not wanted."""
    for moment in recording.moments or ("",):
        one = recording.at(moment) if moment else recording
        one = limit(one) if limit else one
        manifest = one.manifest
        name = moment if unix(moment) is not None else ""
        begun = manifest.started_at or manifest.finished_at or unix(moment)
        snapshot = writer.snapshot(begun, name, writer.redactor.text(manifest.note))
        add_files(snapshot, one)
        snapshot.finish(manifest.finished_at or unix(moment))


def add_files(snapshot: SnapshotWriter, recording: RawRecording) -> None:
    """The files of one moment of *recording*, and what it says that could not be read."""
    for file in sorted(recording.files):
        if file == "manifest.json":
            continue
        if not kept(file):
            snapshot.missing(file, "no question is asked of it, so it is not kept", SKIPPED)
            continue
        try:
            snapshot.add(file, recording.files[file]())
        except UnreadableError as error:
            snapshot.missing(file, str(error), UNREADABLE)
        except OSError as error:
            snapshot.missing(file, error.strerror or "it cannot be read")
    for part in recording.manifest.partial:
        snapshot.partial(part.file, part.namespaces, part.why)
    add_errors(snapshot, recording.manifest.errors)


def add_errors(snapshot: SnapshotWriter, errors: Iterable[Mapping[str, object]]) -> None:
    """What could not be read, as a manifest lists it."""
    for error in errors:
        file = error.get("file")
        if isinstance(file, str) and file:
            # A bundle's own status stands before its reason (`bundle.reader`).
            status, colon, why = str(error.get("error", "")).partition(": ")
            known = bool(colon) and status in _STATUSES
            snapshot.missing(file, why if known else str(error.get("error", "")), status if known else FAILED)
