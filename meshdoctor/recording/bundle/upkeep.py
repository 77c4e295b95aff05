"""`verify` reads everything that a bundle claims to hold; `repair` saves what a killed recorder or a bad copy left."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from meshdoctor import __version__
from meshdoctor.errors import RecordingError, UsageError
from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.recording.archive import shown
from meshdoctor.recording.body import unpacked_zstd
from meshdoctor.recording.bundle.format import (
    DICTIONARIES,
    FORMAT,
    HELD,
    MAX_BLOB,
    MAX_INDEX,
    MIMETYPE,
    NAME,
    PLAIN,
    VERSION,
    BundleManifest,
    Entry,
    Index,
    SnapshotRef,
    blob_name,
    sealed,
)
from meshdoctor.recording.bundle.reader import Bundle
from meshdoctor.recording.bundle.zipfile_parts import Stored, checksum, scan, write_directory, write_entry


def verify(path: Path) -> list[str]:
    """What is wrong with the bundle at *path*, one line each; raises `RecordingError` when it cannot be opened."""
    wrong: list[str] = []
    with Bundle(path) as bundle:
        if bundle.manifest.root != bundle.root:
            wrong.append("manifest.json: its root is not that of what it says")
        checked: set[tuple[str, str]] = set()
        for reference in bundle.manifest.snapshots:
            try:
                index = bundle.index(reference.id)
            except RecordingError as error:
                wrong.append(error.what)
                continue
            for entry in index.entries:
                if entry.status not in HELD or (entry.body, entry.holes) in checked:
                    continue
                checked.add((entry.body, entry.holes))
                try:
                    bundle.body(entry)
                except UnreadableError as error:
                    wrong.append(f"{shown(reference.name)}: {shown(entry.file)}: {error}")
        if not wrong and bundle.flaw:  # it holds everything, but not in the bytes that were written
            wrong.append(bundle.flaw)
    return wrong


class Repaired(NamedTuple):
    """How many moments were saved, how many were not, and where they are."""

    saved: int
    lost: int
    path: Path


def repair(path: Path, output: Path) -> Repaired:
    """Makes a whole bundle of every finished moment found in *path*, at *output*.

    Raises `UsageError` when *output* exists, `RecordingError` when *path* is no bundle or nothing can be saved.
    """
    if output.exists():
        raise UsageError(f"{shown(output)} exists", "give another name with -o")
    try:
        file = path.open("rb")
    except OSError as error:
        raise RecordingError(f"{shown(path)}: {error.strerror}", "give the path of a bundle") from None
    with file:
        if MIMETYPE not in file.read(128):
            raise RecordingError(f"{shown(path)}: not a bundle", "give what meshdoctor record wrote")
        places = {name: (at, size) for name, at, size, crc in scan(file, MAX_BLOB) if _whole(file, name, at, size, crc)}
        found = [(name, _index(_read(file, places[name]))) for name in sorted(places) if name.startswith("snapshots/")]
        kept = [(name, index) for name, index in found if index and _complete(file, index, places)]
        if not kept:
            raise RecordingError(f"{shown(path)}: no finished moment is in it", "there is nothing to save")
        _write(file, output, places, kept)
    return Repaired(len(kept), len(found) - len(kept), output)


def _whole(file: IO[bytes], name: str, at: int, size: int, crc: int) -> bool:
    if not NAME.fullmatch(name):
        return False
    back = file.tell()
    file.seek(at)
    found = checksum(file, size)
    file.seek(back)
    return found == crc


def _read(file: IO[bytes], place: tuple[int, int]) -> bytes:
    file.seek(place[0])
    return file.read(place[1])


def _index(packed: bytes) -> tuple[Index, str] | None:
    try:
        body = unpacked_zstd(packed, MAX_INDEX)
        return decode_json(body, Index), hashlib.sha256(body).hexdigest()
    except UnreadableError:
        return None


def _complete(file: IO[bytes], found: tuple[Index, str], places: dict[str, tuple[int, int]]) -> bool:
    """Whether every blob that a moment needs is there."""
    return all(_blobs_there(file, entry, places) for entry in found[0].entries if entry.status in HELD)


def _blobs_there(file: IO[bytes], entry: Entry, places: dict[str, tuple[int, int]]) -> bool:
    """Whether the blobs of *entry* are among *places*."""
    needed = {entry.body, *([entry.holes] if entry.holes else [])}
    if entry.listed:
        try:
            needed |= set(_listed(file, entry.body, places).decode("ascii", "replace").split("\n"))
        except UnreadableError:
            return False
    return all(_packing(sha, places) for sha in needed)


def _packing(sha: str, places: dict[str, tuple[int, int]]) -> str:
    """How a blob is packed; "" when it, or its dictionary, is not there."""
    if blob_name(sha) in places:
        return PLAIN
    kinds = (kind for kind, name in DICTIONARIES.items() if name in places and blob_name(sha, kind) in places)
    return next(kinds, "")


def _listed(file: IO[bytes], sha: str, places: dict[str, tuple[int, int]]) -> bytes:
    """The blob that lists a file's parts, which no dictionary packs."""
    if blob_name(sha) not in places:
        raise UnreadableError("a part of it is missing")
    return unpacked_zstd(_read(file, places[blob_name(sha)]), MAX_BLOB)


def _write(
    file: IO[bytes], output: Path, places: dict[str, tuple[int, int]], kept: list[tuple[str, tuple[Index, str]]]
) -> None:
    stored: list[Stored] = []
    snapshots = [SnapshotRef(index.id, index.name, sha) for _, (index, sha) in kept]
    names = {name for name, _ in kept}
    manifest = sealed(
        BundleManifest(
            format=FORMAT,
            version=VERSION,
            tool=f"meshdoctor {__version__}",
            snapshots=snapshots,
            note="repaired: the recorder did not finish it",
        )
    )
    with os.fdopen(os.open(output, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as written:
        stored.append(write_entry(written, "mimetype", MIMETYPE))
        for name, place in places.items():
            if name.startswith("blobs/") or name in DICTIONARIES.values() or name in names:
                stored.append(write_entry(written, name, _read(file, place)))
        body = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        stored.append(write_entry(written, "manifest.json", body))
        write_directory(written, stored)
        written.flush()
        os.fsync(written.fileno())
