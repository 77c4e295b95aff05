"""The bundle's format, `meshdoctor.bundle` 1.2: a zip container whose entries are stored, not compressed, by the zip.

    mimetype                      first, so that the file tells what it is
    dictionary-d.zst              what most configurations of the mesh's proxies have in common; -l: what most logs have
    blobs/ab/<sha256>.zst         a part of a file; its name is the sha256 of what is in it (.zsd, .zsl: by dictionary)
    snapshots/000001.json.zst     one moment: which files it has, of which blobs, or why not
    manifest.json                 last; only a finished bundle has one

A file is cut into parts where its content says so (see `parts`), so that what two proxies or two moments have in common
is held once. What follows a file's last part belongs to it too: a bundle that was cut short keeps its finished moments.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from meshdoctor.recording.bundle.zipfile_parts import Stored

MIMETYPE = b"application/vnd.meshdoctor.bundle+zip"
FORMAT = "meshdoctor.bundle"
VERSION = (1, 2)
"""1.1: the statuses `partial` and `not asked for`, which a reader of 1.0 takes for a file that could not be read.
1.2: the root is over the whole manifest, not over its moments only."""
SEALED = (1, 2)

MAX_BLOB = 64 * 2**20
MAX_DICTIONARY = 2**20
MAX_INDEX = 64 * 2**20
MAX_MANIFEST = 8 * 2**20
MAX_ENTRIES = 100_000
MAX_SNAPSHOTS = 10_000
DEFAULT_LIMIT = 256 * 2**20
"""Bytes of a bundle, unless another limit is set."""

NAME = re.compile(
    r"mimetype|manifest\.json|snapshots/\d{6}\.json\.zst|blobs/(?P<two>[0-9a-f]{2})/(?P=two)[0-9a-f]{62}\.zs[tdl]|dictionary-[dl]\.zst"
)
SHA = re.compile(r"[0-9a-f]{64}")

OK, PARTIAL = "ok", "partial"
UNREADABLE, FAILED, SKIPPED, TRUNCATED, SPARED = "unreadable", "failed", "skipped", "truncated", "not asked for"
HELD = (OK, PARTIAL)
"""The statuses of entries that have a body."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file of a moment. *status*: ok; partial (a list of the objects of *namespaces* only, or the newest lines of
    a log; *error* says why);
    unreadable (did not decode, so nothing was kept), failed (could not be read), skipped (no rule keeps such files),
    truncated (the bundle was full), not asked for (to spare who would have answered)."""

    file: str
    body: str = ""
    """The blob that holds it, or that lists its parts when *listed*."""
    listed: bool = False
    holes: str = ""
    """The blob with the values that were taken out of it (see `parts.hoisted`)."""
    size: int = 0
    status: str = OK
    error: str = ""
    namespaces: list[str] = []


class Index(msgspec.Struct, frozen=True, omit_defaults=True):
    """One moment by *name* (RFC 3339); times in Unix seconds."""

    id: int
    name: str
    entries: list[Entry]
    started_at: float | None = None
    finished_at: float | None = None
    note: str = ""


class SnapshotRef(msgspec.Struct, frozen=True):
    id: int
    name: str
    index_sha256: str


class BundleManifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """`manifest.json` of a bundle."""

    format: str
    version: tuple[int, int]
    tool: str = ""
    created: str = ""
    source: str = ""
    snapshots: list[SnapshotRef] = []
    redaction: dict[str, int] = {}
    """How often each rule was applied."""
    limit: int = 0
    blobs: dict[str, int] = {}
    root: str = ""
    """sha256 over everything else in the manifest, and thereby over all moments, for the incident's ticket."""
    note: str = ""


def sealed(manifest: BundleManifest) -> BundleManifest:
    """*manifest* with its root."""
    return msgspec.structs.replace(manifest, root=root_of(msgspec.to_builtins(manifest)))


def root_of(told: Mapping[str, Any]) -> str:
    """The root that a manifest of 1.2 must have, by all that it says, also by what only a later reader knows."""
    rest = {name: value for name, value in told.items() if name != "root"}
    return hashlib.sha256(msgspec.json.encode(rest, order="sorted")).hexdigest()


def root_of_moments(snapshots: Iterable[SnapshotRef]) -> str:
    """The root of 1.0 and 1.1: over the hashes of the indexes, in order."""
    return hashlib.sha256("\n".join(ref.index_sha256 for ref in snapshots).encode()).hexdigest()


class Written(NamedTuple):
    """What stands in a bundle that is not finished: its entries by name."""

    places: Mapping[str, Stored]
    manifest: BundleManifest


PLAIN, BY_DUMP, BY_LOG = "t", "d", "l"
"""The last letter of a blob's name: by which dictionary it is packed."""
DICTIONARIES = {BY_DUMP: "dictionary-d.zst", BY_LOG: "dictionary-l.zst"}


def blob_name(sha: str, packing: str = PLAIN) -> str:
    return f"blobs/{sha[:2]}/{sha}.zs{packing}"


def index_name(number: int) -> str:
    return f"snapshots/{number:06}.json.zst"
