"""Opens whatever a person has of a mesh: a recording, a bundle, or files that other tools wrote, one or many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import msgspec

from meshdoctor.errors import RecordingError, UsageError
from meshdoctor.recording.archive import Files, read_files, shown, starts_as_zip
from meshdoctor.recording.raw import Manifest, Partial, RawRecording, below_root, is_raw, raw_recording

_HOLDS = "expected a recording, a bundle, or what kubectl, istioctl or Envoy's admin port answered"


def open_any(paths: Sequence[Path], at: str | None = None) -> RawRecording:
    """What is at *paths*, as one recording at its last moment or the last one not after *at* (RFC 3339).

    Raises `RecordingError` when nothing of it can be used, is cut short, hostile, or has a newer major format, and
    `UsageError` when *at* is before its first moment.
    """
    if not paths:
        raise UsageError("no file is named", "give a recording, or files of other tools")
    if len(paths) == 1:
        return _open(paths[0], at)
    together: Files = {}
    foreign: Files = {}
    moments: tuple[str, ...] = ()
    manifest = Manifest()
    partial: dict[str, Partial] = {}
    problems: list[str] = []
    for path in paths:
        found = _read(path, at)
        if isinstance(found, RawRecording):
            together.update(found.files)
            partial = {file: part for file, part in partial.items() if file not in found.files}
            partial |= {part.file: part for part in found.manifest.partial}
            problems += found.problems
            moments, manifest = (found.moments or moments), found.manifest
        else:
            foreign.update({_together(name, path, foreign, found): body for name, body in found.items()})
    imported = _imported(foreign, ", ".join(shown(path) for path in paths), bool(together))
    name = Path(f"{paths[0]} and {len(paths) - 1} more")
    files = {**imported.files, **together}
    parts = (*(part for part in imported.manifest.partial if part.file not in together), *partial.values())
    manifest = msgspec.structs.replace(manifest, partial=parts)
    return RawRecording(name, files, manifest, moments, (*problems, *imported.problems))


def _open(path: Path, at: str | None) -> RawRecording:
    found = _read(path, at)
    return found if isinstance(found, RawRecording) else _imported(found, shown(path), False, path)


def _read(path: Path, at: str | None) -> RawRecording | Files:
    if starts_as_zip(path):
        from meshdoctor.recording.bundle.reader import open_bundle

        return open_bundle(path, at)
    files = below_root(read_files(path))
    return raw_recording(path, files, at) if is_raw(files) else files


def _imported(files: Files, what: str, optional: bool, path: Path | None = None) -> RawRecording:
    from meshdoctor.recording.importing.gather import import_files

    imported = import_files(files)
    if not imported.files and not optional:
        why = f" ({imported.problems[0]})" if imported.problems else ""
        raise RecordingError(f"{what}: nothing in it is known{why}", _HOLDS)
    note = f"imported from {imported.tool}" if imported.tool else "imported"
    return RawRecording(
        path or Path(what),
        imported.files,
        Manifest(started_at=imported.read_at, finished_at=imported.read_at, note=note, partial=imported.partial),
        (),
        imported.problems,
    )


def _together(name: str, path: Path, taken: Files, own: Files) -> str:
    """The name of a file among those of several paths: files side by side stay so, folders and archives keep apart."""
    inside = name if len(own) == 1 else str(PurePosixPath(path.name) / name)
    number = 2
    while inside in taken:
        inside, number = f"{number}/{name}", number + 1
    return inside
