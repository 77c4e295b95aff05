"""The raw layout of a recording: its manifest, its moments, and which file answers which question."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from meshdoctor.errors import RecordingError, UsageError
from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.model.moment import rfc3339, unix
from meshdoctor.model.text import visible_line
from meshdoctor.recording.archive import Files, read_files, shown

FORMAT = "meshdoctor-raw"
MAJOR = 1
_ROOMS = ("kube/", "istiod/", "envoy/", "ztunnel/", "logs/", "snapshots/")
_LAYOUT = re.compile(
    r"(?:snapshots/[^/]+/)?(?:kube/.+\.json|istiod/[^/]+/(?:config_dump/[^/]+/)?[^/]+|(?:envoy|ztunnel)/[^/]+/[^/]+/[^/]+"
    r"|logs/[^/]+/[^/]+/[^/]+\.log(?:\.previous)?)"
)


class Partial(msgspec.Struct, frozen=True):
    """A *file* that holds the objects of *namespaces* only, or a log's newest lines only, and *why*."""

    file: str
    namespaces: tuple[str, ...]
    why: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """`manifest.json`: times in Unix seconds; *errors* say which file could not be read, and why."""

    format: str = f"{FORMAT}/{MAJOR}"
    started_at: float | None = None
    finished_at: float | None = None
    note: str = ""
    errors: list[dict[str, Any]] = []
    partial: tuple[Partial, ...] = ()
    """Lists that are not of every namespace, and logs without their older lines: what is not in them may well exist."""


class RawRecording(msgspec.Struct, frozen=True):
    """One moment of a recording: its *files* by path, its *manifest*, and the names of all *moments* (oldest first)."""

    path: Path
    files: Files
    manifest: Manifest
    moments: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    """What of the given files could not be used, one line each."""
    moment: str = ""
    """Which of the moments this is."""
    whole: Files = {}
    """The files of all moments, to go to another one."""

    def at(self, moment: str) -> RawRecording:
        """The same recording at another moment (RFC 3339); raises `UsageError` when it is before the first."""
        if not self.whole:
            return self
        found = raw_recording(self.path, self.whole, moment)
        return msgspec.structs.replace(found, problems=self.problems)

    def partial(self, file: str) -> Partial | None:
        """Of which namespaces the objects in *file* are, or why a log lacks its older lines; None: it is whole."""
        return next((entry for entry in self.manifest.partial if entry.file == file), None)

    def error(self, file: str) -> str:
        """Why *file* could not be recorded, in the recorder's words; "" when it says nothing of it."""
        return next((str(entry.get("error", "")) for entry in self.manifest.errors if entry.get("file") == file), "")


def open_recording(path: Path, at: str | None = None) -> RawRecording:
    """The recording at *path*, as `raw_recording` gives it.

    Raises `RecordingError` also when the file is no recording, is cut short or hostile.
    """
    files = below_root(read_files(path))
    if not is_raw(files):
        raise RecordingError(f"{shown(path)}: not a recording", "it holds no kube/, envoy/, istiod/ or logs/ folder")
    return raw_recording(path, files, at)


def is_raw(files: Files) -> bool:
    """Whether *files* are laid out as a recording."""
    return any(_LAYOUT.fullmatch(name) for name in files)


def raw_recording(path: Path, files: Files, at: str | None = None) -> RawRecording:
    """The recording that *files* are, at its last moment or the last one not after *at* (RFC 3339).

    Raises `RecordingError` when it has a newer major format, and `UsageError` when *at* is before its first moment.
    """
    manifest = _manifest(files, path)
    moments = tuple(sorted({name.split("/")[1] for name in files if name.startswith("snapshots/")}))
    if not moments:
        if at is not None:
            choose_moment((rfc3339(manifest.started_at),) if manifest.started_at else (), at)
        return RawRecording(path, files, manifest)
    moment = choose_moment(moments, at)
    prefix = f"snapshots/{moment}/"
    inner = {name.removeprefix(prefix): read for name, read in files.items() if name.startswith(prefix)}
    # One manifest stands above the moments; a moment may have its own.
    own = _manifest(inner, path) if "manifest.json" in inner else manifest
    return RawRecording(path, inner, own, moments, moment=moment, whole=files)


def choose_moment(moments: tuple[str, ...], at: str | None) -> str:
    """The last of *moments*, or the last one not after *at*; "" where there are none. Raises `UsageError`."""
    if at is None:
        return moments[-1]
    limit = unix(at)
    if limit is None:
        raise UsageError(
            f"--at {visible_line(at)!r} is no time", f"write it as {moments[-1] if moments else '2026-01-31T18:30:00Z'}"
        )
    if not moments:
        return ""
    before = [moment for moment in moments if (unix(moment) or 0.0) <= limit]
    if not before:
        raise UsageError(f"the recording begins at {moments[0]}", "choose a later --at")
    return before[-1]


def below_root(files: Files) -> Files:
    """The files below the one folder that an archive was packed with, if there is one."""
    tops = {name.partition("/")[0] for name in files}
    while len(tops) == 1 and not any(f"{top}/" in _ROOMS for top in tops):
        (top,) = tops
        if any("/" not in name for name in files):
            break
        files = {name.removeprefix(f"{top}/"): read for name, read in files.items()}
        tops = {name.partition("/")[0] for name in files}
    return files


def _manifest(files: Files, path: Path) -> Manifest:
    if "manifest.json" not in files:
        return Manifest()
    try:
        manifest = decode_json(files["manifest.json"](), Manifest)
    except UnreadableError:
        # Everything else can still be read; only what the recorder said about itself is lost.
        return Manifest(note="its manifest.json cannot be read")
    match = re.fullmatch(rf"{FORMAT}/(\d+)(?:\.\d+)?", manifest.format)
    if not match:
        raise RecordingError(
            f"{shown(path)}: format {shown(manifest.format)[:60]!r} is not known", f"expected {FORMAT}/{MAJOR}"
        )
    if int(match[1]) > MAJOR:
        raise RecordingError(
            f"{shown(path)}: recorded by a newer MeshDoctor (format {match[1]})", "upgrade meshdoctor to open it"
        )
    return manifest
