"""Reads a bundle: somebody else's file, so every name, size and hash is checked before it is believed."""

from __future__ import annotations

import hashlib
import os
import weakref
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from meshdoctor.errors import RecordingError
from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.model.text import visible_line
from meshdoctor.recording.archive import shown
from meshdoctor.recording.body import too_large, unpacked_zstd
from meshdoctor.recording.bundle.directory import NOT_TRUSTED, REPAIR, entries_of
from meshdoctor.recording.bundle.format import (
    DICTIONARIES,
    FORMAT,
    HELD,
    MAX_BLOB,
    MAX_DICTIONARY,
    MAX_ENTRIES,
    MAX_INDEX,
    MAX_MANIFEST,
    MAX_SNAPSHOTS,
    PARTIAL,
    PLAIN,
    SEALED,
    SHA,
    SKIPPED,
    VERSION,
    BundleManifest,
    Entry,
    Index,
    Written,
    blob_name,
    index_name,
    root_of,
    root_of_moments,
)
from meshdoctor.recording.bundle.parts import filled
from meshdoctor.recording.bundle.zipfile_parts import flaw
from meshdoctor.recording.limits import MAX_FILE, MAX_NAME
from meshdoctor.recording.raw import FORMAT as RAW_FORMAT
from meshdoctor.recording.raw import MAJOR, RawRecording, raw_recording


class Bundle:
    """An open bundle; raises `RecordingError` when it is none, is damaged or hostile. To be closed.

    *written*: what its writer, in this process, says of a file that has no directory yet.
    """

    def __init__(self, path: Path, written: Written | None = None) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self.places = written.places if written else entries_of(file, path)
                # A descriptor of its own: bodies are read for as long as somebody holds a file of the recording.
                descriptor = os.dup(file.fileno())
        except OSError as error:
            raise RecordingError(f"{shown(path)}: {error.strerror}", "give the path of a bundle") from None
        self._descriptor = descriptor
        self._dictionaries: dict[str, Any] = {}
        self.close = weakref.finalize(self, os.close, descriptor)
        self.manifest = written.manifest if written else self._manifest()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def names(self) -> frozenset[str]:
        """The names of all entries."""
        return frozenset(self.places)

    def index(self, number: int) -> Index:
        """One moment; raises `RecordingError` when it is missing or damaged."""
        reference = next(ref for ref in self.manifest.snapshots if ref.id == number)
        try:
            body = unpacked_zstd(self._stored(index_name(number)), MAX_INDEX + 1)
            if len(body) > MAX_INDEX:
                raise UnreadableError("it is far too large")
            if hashlib.sha256(body).hexdigest() != reference.index_sha256:
                raise UnreadableError("it is not what the manifest says")
            index = decode_json(body, Index)
            if (index.id, index.name) != (reference.id, reference.name):
                raise UnreadableError(f"its own name is {shown(index.name)[:64]}")
        except UnreadableError as error:
            raise RecordingError(
                f"{shown(self.path)}: moment {shown(reference.name)} is damaged ({error})", NOT_TRUSTED
            ) from None
        if len(index.entries) > MAX_ENTRIES or any(not _is_file(entry.file) for entry in index.entries):
            raise RecordingError(f"{shown(self.path)}: a moment names files that no recording has", NOT_TRUSTED)
        return index

    @property
    def root(self) -> str:
        """The root that the manifest must have by what it says."""
        if self.manifest.version < SEALED:
            return root_of_moments(self.manifest.snapshots)
        return root_of(decode_json(self._stored("manifest.json"), dict[str, Any]))

    @property
    def flaw(self) -> str:
        """What of the file's own order is not as it was written; "" when all is."""
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            return flaw(file, self.places.values())

    def body(self, entry: Entry) -> bytes:
        """What an entry holds; raises `UnreadableError` when a blob is missing, damaged, or not what its name says."""
        if entry.size > MAX_FILE:
            raise too_large(entry.size)
        limit = entry.size + 1
        if entry.listed:
            text = self._blob(entry.body, MAX_BLOB)
            found = bytearray()
            for sha in text.decode("ascii", "replace").split("\n"):
                found += self._blob(sha, limit - len(found))
            body = bytes(found)
        else:
            body = self._blob(entry.body, limit)
        if entry.holes:
            try:
                body = filled(body, self._blob(entry.holes, limit + 1))
            except ValueError as error:
                raise UnreadableError(str(error)) from None
        if len(body) != entry.size:
            raise UnreadableError(f"it has {len(body)} bytes instead of {entry.size}")
        return body

    def blob(self, sha: str) -> bytes:
        """One blob, checked against its name; raises `UnreadableError`."""
        return self._blob(sha, MAX_BLOB)

    def _blob(self, sha: str, limit: int) -> bytes:
        if not SHA.fullmatch(sha):
            raise UnreadableError("it names a part by no hash")
        most = max(min(limit, MAX_BLOB), 0) + 1
        packing = next((kind for kind in DICTIONARIES if blob_name(sha, kind) in self.places), PLAIN)
        dictionary = self._dictionary(packing) if packing != PLAIN else None
        body = unpacked_zstd(self._stored(blob_name(sha, packing)), most, dictionary)
        if len(body) > limit or len(body) > MAX_BLOB:
            raise UnreadableError("a part of it is larger than it may be")
        if hashlib.sha256(body).hexdigest() != sha:
            raise UnreadableError("a part of it is not what its hash says")
        return body

    def _dictionary(self, packing: str) -> Any:
        if packing not in self._dictionaries:
            import zstandard

            sample = unpacked_zstd(self._stored(DICTIONARIES[packing]), MAX_DICTIONARY)
            self._dictionaries[packing] = zstandard.ZstdCompressionDict(sample, zstandard.DICT_TYPE_RAWCONTENT)
        return self._dictionaries[packing]

    def _stored(self, name: str) -> bytes:
        place = self.places.get(name)
        if place is None:
            raise UnreadableError("a part of it is missing")
        header = os.pread(self._descriptor, 30, place.offset)
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise UnreadableError("a part of it is damaged")
        begins = place.offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        return os.pread(self._descriptor, place.size, begins)

    def _manifest(self) -> BundleManifest:
        if "manifest.json" not in self.places:
            raise RecordingError(f"{shown(self.path)}: the bundle has no manifest", REPAIR)
        try:
            if self.places["manifest.json"].size > MAX_MANIFEST:
                raise UnreadableError("it is far too large")
            body = self._stored("manifest.json")
            if zlib.crc32(body) != self.places["manifest.json"].crc:
                raise UnreadableError("its checksum is wrong")
            manifest = decode_json(body, BundleManifest)
        except UnreadableError as error:
            raise RecordingError(
                f"{shown(self.path)}: the bundle's manifest cannot be read ({error})", REPAIR
            ) from None
        if manifest.format != FORMAT:
            raise RecordingError(
                f"{shown(self.path)}: format {shown(manifest.format)[:60]!r} is not known", NOT_TRUSTED
            )
        if manifest.version[0] > VERSION[0]:
            raise RecordingError(
                f"{shown(self.path)}: recorded by a newer MeshDoctor (bundle format {manifest.version[0]}.x,"
                f" by {shown(manifest.tool)[:40] or 'unknown'})",
                "upgrade meshdoctor to open it",
            )
        if len(manifest.snapshots) > MAX_SNAPSHOTS:
            raise RecordingError(f"{shown(self.path)}: more than {MAX_SNAPSHOTS} moments", NOT_TRUSTED)
        if len({ref.id for ref in manifest.snapshots}) < len(manifest.snapshots):
            raise RecordingError(f"{shown(self.path)}: two moments are one", NOT_TRUSTED)
        if any("/" in ref.name or not ref.name or len(ref.name) > 64 for ref in manifest.snapshots):
            raise RecordingError(f"{shown(self.path)}: a moment's name is no time", NOT_TRUSTED)
        return manifest


def open_bundle(path: Path, at: str | None = None) -> RawRecording:
    """The bundle at *path* as a recording, at its last moment or the last one not after *at* (RFC 3339)."""
    return _recording(Bundle(path), path, at)


def open_written(path: Path, written: Written) -> RawRecording:
    """The finished moments of a bundle that this process is writing at *path*, at the last of them."""
    return _recording(Bundle(path, written), path, None)


def _recording(bundle: Bundle, path: Path, at: str | None) -> RawRecording:
    if not bundle.manifest.snapshots:
        bundle.close()
        raise RecordingError(f"{shown(path)}: the bundle holds no moment", "record again")
    return raw_recording(path, dict(_files(bundle)), at)


def _files(bundle: Bundle) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Every file of every moment, as the layout of a recording names it; a blob is read when its file is."""
    for reference in bundle.manifest.snapshots:
        index = bundle.index(reference.id)
        prefix = f"snapshots/{visible_line(reference.name)}/"
        for entry in index.entries:
            if entry.status in HELD:
                yield prefix + entry.file, lambda entry=entry: bundle.body(entry)  # type: ignore[misc]
        manifest = _raw_manifest(index, bundle.manifest)
        yield f"{prefix}manifest.json", lambda manifest=manifest: manifest  # type: ignore[misc]


def _raw_manifest(index: Index, manifest: BundleManifest) -> bytes:
    """What the bundle says of a moment, as a recording's own manifest says it."""
    unread = [
        {"file": entry.file, "error": f"{entry.status}: {entry.error}" if entry.error else entry.status}
        for entry in index.entries
        if entry.status not in (*HELD, SKIPPED)
    ]
    partial = [
        {"file": entry.file, "namespaces": entry.namespaces, "why": entry.error}
        for entry in index.entries
        if entry.status == PARTIAL
    ]
    return msgspec.json.encode(
        {
            "format": f"{RAW_FORMAT}/{MAJOR}",
            "started_at": index.started_at,
            "finished_at": index.finished_at,
            "note": index.note or manifest.note,
            "errors": unread,
            "partial": partial,
        }
    )


def _is_file(name: str) -> bool:
    parts = name.split("/")
    return len(name) <= MAX_NAME and all(parts) and not {".", ".."} & set(parts) and "\\" not in name
