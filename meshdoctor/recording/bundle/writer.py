"""Writes a bundle: moment after moment, each on the disk before the next begins, redacted before it gets here or never.

The file grows as `NAME.part` and gets its name when it is whole. What a killed recorder leaves is `NAME.part`, of which
`repair` makes a bundle with every finished moment.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import zstandard

from meshdoctor import __version__
from meshdoctor.errors import RecordingError, UsageError
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.moment import rfc3339
from meshdoctor.model.text import visible_line
from meshdoctor.recording.archive import shown
from meshdoctor.recording.bundle.format import (
    BY_DUMP,
    BY_LOG,
    DEFAULT_LIMIT,
    DICTIONARIES,
    FAILED,
    FORMAT,
    MAX_DICTIONARY,
    MIMETYPE,
    OK,
    PARTIAL,
    PLAIN,
    SKIPPED,
    TRUNCATED,
    UNREADABLE,
    VERSION,
    BundleManifest,
    Entry,
    Index,
    SnapshotRef,
    Written,
    blob_name,
    index_name,
    sealed,
)
from meshdoctor.recording.bundle.parts import hoisted, parts
from meshdoctor.recording.bundle.zipfile_parts import Stored, write_directory, write_entry
from meshdoctor.recording.redaction.answers import redacted
from meshdoctor.recording.redaction.text import Redactor, leaks

_LEVEL = 6
_ENOUGH_TO_LEARN = 16 * 2**10
"""Bytes. A shorter file teaches too little."""
_RESERVE = 2**20
"""Bytes of the limit that are kept for the indexes and the directory."""


class BundleWriter:
    """A bundle that is being written; use it as a context: an error leaves the `.part` file for `repair`,
    unless no moment of it is finished.

    *limit*: bytes. *now* gives Unix seconds. Raises `UsageError` when the file exists, `RecordingError` when the disk
    does not take it.
    """

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], float],
        limit: int = DEFAULT_LIMIT,
        source: str = "",
        redactor: Redactor | None = None,
    ) -> None:
        self.path = path
        self.part = path.with_name(f"{path.name}.part")
        self.limit = limit
        self.full = False
        """Whether the limit was reached: what came after is listed as truncated."""
        self.redactor = redactor or Redactor()
        self.snapshots: list[SnapshotRef] = []
        self._now = now
        self._source = self.redactor.url(source)  # a server's address may have a user and a password in it
        self._stored: list[Stored] = []
        self._blobs: set[str] = set()
        self._raw = 0
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._by_dictionary: dict[str, zstandard.ZstdCompressor] = {}
        for taken in (path, self.part):
            if taken.exists():
                raise UsageError(f"{shown(taken)} exists", "give another name, or move it away")
        try:
            # Whoever may read the bundle may read what the mesh says: only the person who records it, at first.
            self._file = os.fdopen(os.open(self.part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b")
        except OSError as error:
            raise RecordingError(f"{shown(self.part)}: {error.strerror}", "choose another place with -o") from None
        self._append("mimetype", MIMETYPE)

    def __enter__(self) -> BundleWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None or (kind is KeyboardInterrupt and self.snapshots):
            self.close()
            return
        self._file.close()
        if not self.snapshots:
            self.part.unlink(missing_ok=True)  # no moment is whole, so that nothing of it could be repaired

    def snapshot(self, started_at: float | None, name: str = "", note: str = "") -> SnapshotWriter:
        """Begins a moment; *name* is its RFC 3339 time when it is not *started_at*."""
        return SnapshotWriter(self, name or rfc3339(started_at or self._now()), started_at, note)

    def close(self) -> BundleManifest:
        """Finishes the file under its own name."""
        manifest = sealed(
            BundleManifest(
                format=FORMAT,
                version=VERSION,
                tool=f"meshdoctor {__version__}",
                created=rfc3339(self._now()),
                source=self._source,
                snapshots=self.snapshots,
                redaction=dict(self.redactor.counts),
                limit=self.limit,
                blobs={"count": len(self._blobs), "raw": self._raw, "packed": self._file.tell()},
            )
        )
        self._append("manifest.json", msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        self._written(lambda: write_directory(self._file, self._stored))
        self._sync()
        self._file.close()
        self.part.rename(self.path)
        return manifest

    @property
    def finished(self) -> tuple[str, ...]:
        """The names of the moments that are whole, oldest first. For any thread."""
        return tuple(known.name for known in self.snapshots)

    def written(self) -> Written:
        """Where everything is that was written so far, for whoever reads the finished moments meanwhile."""
        places = {entry.name: entry for entry in tuple(self._stored)}
        return Written(places, BundleManifest(FORMAT, VERSION, source=self._source, snapshots=list(self.snapshots)))

    # -- what SnapshotWriter uses

    def put(self, data: bytes, kind: str = PLAIN) -> str | None:
        """The hash of the blob that holds *data*, packed by the dictionary of *kind*; None when there is no room."""
        sha = hashlib.sha256(data).hexdigest()
        if sha not in self._blobs:
            packed = self._by_dictionary.get(kind, self._compressor).compress(data)
            if self._file.tell() + len(packed) > self.limit - min(_RESERVE, self.limit // 16):
                self.full = True
                return None
            self._append(blob_name(sha, kind if kind in self._by_dictionary else PLAIN), packed)
            self._blobs.add(sha)
            self._raw += len(data)
        return sha

    def learn(self, kind: str, sample: bytes) -> None:
        """Takes the first file of a *kind* as what the others are compared with: their parts are small."""
        if kind in DICTIONARIES and kind not in self._by_dictionary and len(sample) >= _ENOUGH_TO_LEARN:
            found = zstandard.ZstdCompressionDict(sample[:MAX_DICTIONARY], zstandard.DICT_TYPE_RAWCONTENT)
            found.precompute_compress(level=_LEVEL)
            self._append(DICTIONARIES[kind], self._compressor.compress(sample[:MAX_DICTIONARY]))
            self._by_dictionary[kind] = zstandard.ZstdCompressor(level=_LEVEL, dict_data=found)

    def finish(self, index: Index) -> None:
        """Writes a moment's index; from here on the moment survives whatever happens."""
        body = msgspec.json.encode(index)
        self._append(index_name(index.id), self._compressor.compress(body))
        self._sync()
        self.snapshots.append(SnapshotRef(index.id, index.name, hashlib.sha256(body).hexdigest()))

    def _append(self, name: str, data: bytes) -> None:
        self._written(lambda: self._stored.append(write_entry(self._file, name, data)))

    def _written(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            saved = f"meshdoctor bundle repair {shown(self.part)}" if self.snapshots else "record again"
            raise RecordingError(f"{shown(self.part)}: {error.strerror}", f"make room, then: {saved}") from None

    def _sync(self) -> None:
        def sync() -> None:
            self._file.flush()
            os.fsync(self._file.fileno())

        self._written(sync)


class SnapshotWriter:
    """One moment that is being written; nothing of it counts before `finish`."""

    def __init__(self, bundle: BundleWriter, name: str, started_at: float | None, note: str) -> None:
        self._bundle = bundle
        self._name = name
        self._started_at = started_at
        self._note = note
        self._entries: dict[str, Entry] = {}

    def add(self, file: str, body: bytes) -> Entry:
        """Keeps *body* as *file*, redacted; or says why not."""
        self._entries[file] = entry = self._kept(file, body)
        return entry

    def missing(self, file: str, error: str, status: str = FAILED) -> None:
        """Says why *file* could not be read."""
        self._entries.setdefault(
            file, Entry(file, status=status, error=self._bundle.redactor.text(visible_line(error)))
        )

    def partial(self, file: str, namespaces: Sequence[str], why: str) -> None:
        """Says that *file*, which was added, holds the objects of *namespaces* only, or the newest lines of a log."""
        entry = self._entries.get(file)
        if entry is not None and entry.status == OK:
            told = self._bundle.redactor.text(visible_line(why))
            self._entries[file] = msgspec.structs.replace(
                entry, status=PARTIAL, namespaces=[visible_line(name) for name in namespaces], error=told
            )

    def finish(self, finished_at: float | None) -> None:
        """The moment is whole."""
        number = len(self._bundle.snapshots) + 1
        taken = {known.name for known in self._bundle.snapshots}
        name = self._name if self._name not in taken else f"{self._name.removesuffix('Z')}.{number:06}Z"
        entries = list(self._entries.values())
        self._bundle.finish(Index(number, name, entries, self._started_at, finished_at, self._note))

    def _kept(self, file: str, body: bytes) -> Entry:
        if self._bundle.full:
            return Entry(file, size=len(body), status=TRUNCATED, error="the bundle's size limit was reached")
        try:
            kept = redacted(file, body, self._bundle.redactor)
        except UnreadableError as error:
            sha = hashlib.sha256(body).hexdigest()
            return Entry(file, size=len(body), status=UNREADABLE, error=f"{error} (not kept; sha256 {sha})")
        if kept is not None and leaks(kept):
            # The rules missed something: better no file than one with a key in it.
            return Entry(
                file, size=len(body), status=UNREADABLE, error="it still held a key or a token, so it is not kept"
            )
        if kept is None:
            return Entry(file, size=len(body), status=SKIPPED, error="no question is asked of it, so it is not kept")
        return self._stored(file, kept)

    def _stored(self, file: str, body: bytes) -> Entry:
        skeleton, values = hoisted(file, body)
        kind = _packing(file)
        self._bundle.learn(kind, skeleton)
        shas = [self._bundle.put(part, kind) for part in parts(file, skeleton)]
        holes = self._bundle.put(values) if values else ""
        whole = [sha for sha in shas if sha is not None]
        listed = len(whole) > 1
        body_sha = self._bundle.put("\n".join(whole).encode()) if listed else next(iter(whole), None)
        if holes is None or len(whole) < len(shas) or body_sha is None:
            return Entry(file, size=len(body), status=TRUNCATED, error="the bundle's size limit was reached")
        return Entry(file, body_sha, listed, holes, len(body))


def _packing(file: str) -> str:
    """By which dictionary the parts of *file* are packed."""
    if file.startswith("envoy/"):
        return BY_DUMP if file.endswith("/config_dump.json") else PLAIN
    return BY_LOG if file.endswith("/istio-proxy.log") else PLAIN
