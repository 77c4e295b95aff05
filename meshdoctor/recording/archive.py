"""The files of a folder, a tar archive (plain, gzip, xz, zstd, bzip2) or a single file, never unpacked to disk."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from meshdoctor.errors import RecordingError
from meshdoctor.model.text import visible_line
from meshdoctor.recording.body import FileBody, PackedBody
from meshdoctor.recording.limits import CHUNK, MAX_MEMBERS, MAX_NAME, MAX_WINDOW, BoundedReader

Files = dict[str, Callable[[], bytes]]
"""Every file by its path inside the recording, with a function that gives its bytes."""

_MAGIC = (
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
)
ZIP = b"PK\x03\x04"
_ENDINGS = (".gz", ".xz", ".zst", ".bz2")
_CUT_SHORT = "copy it again: it is not complete"
_MAX_HEADER = 2**20
"""Bytes of a tar header's extension (a long name, attributes), which tarfile reads into memory at once."""


def read_files(path: Path) -> Files:
    """The files of the folder or archive at *path*; a file that is no archive is the only one, by its own name.

    Raises `RecordingError` when there is nothing at *path*, or when the archive is cut short, hostile (a bomb, a path
    that leaves it, a name twice) or cannot be read.
    """
    if not path.exists():
        raise RecordingError(f"{shown(path)}: no such file", "give the path of a recording, a folder or a .tar archive")
    try:
        return _folder(path) if path.is_dir() else _file(path)
    except PermissionError as error:
        raise RecordingError(
            f"{shown(path)}: permission denied", f"make {visible_line(str(error.filename or path))} readable"
        ) from None


def shown(path: object) -> str:
    """A path or a file's name as one line of visible symbols."""
    return visible_line(str(path))


def is_packed_answer(path: Path) -> bool:
    """Whether *path* is one compressed file and no archive: an answer of an admin port that somebody packed.

    False when it cannot be read.
    """
    try:
        with path.open("rb") as packed:
            kind = _kind(packed)
            return kind not in ("", "zip") and not _is_tar(_unpacked(packed, path, kind).read(tarfile.BLOCKSIZE))
    except _damages():
        return False


def starts_as_zip(path: Path) -> bool:
    """Whether the file at *path* begins as a zip archive does; False when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(ZIP)) == ZIP
    except OSError:
        return False


def _folder(root: Path) -> Files:
    files: Files = {}
    inside = root.resolve()
    for found in sorted(root.rglob("*")):
        # A link that leads out of the folder is not followed: it is not part of the recording.
        if found.is_file() and found.resolve().is_relative_to(inside):
            files[found.relative_to(root).as_posix()] = FileBody(found)
            if len(files) > MAX_MEMBERS:
                raise RecordingError(f"{shown(root)}: more than {MAX_MEMBERS} files", "it is no recording of a mesh")
    return files


def _file(path: Path) -> Files:
    try:
        with path.open("rb") as packed:
            kind = _kind(packed)
            if kind == "zip":
                raise RecordingError(f"{shown(path)}: a zip archive, but no bundle", "unpack it, and open the folder")
            begins = _unpacked(packed, path, kind).read(tarfile.BLOCKSIZE)
            packed.seek(0)
            if _is_tar(begins):
                return dict(_members(_unpacked(packed, path, kind), path))
            body = PackedBody(_chunks(_unpacked(packed, path, kind)))
            return {_own_name(path): body} if body.size else {}
    except _damages() as error:
        if isinstance(error, PermissionError):
            raise
        raise _unreadable(path, error) from None


def _damages() -> tuple[type[Exception], ...]:
    """What the decompressors and tarfile raise for a damaged file; evaluated only when something was raised."""
    import zstandard

    return (EOFError, lzma.LZMAError, zlib.error, OSError, tarfile.TarError, ValueError, zstandard.ZstdError)


def _own_name(path: Path) -> str:
    return path.stem if path.suffix in _ENDINGS else path.name


def _unreadable(path: Path, error: Exception) -> RecordingError:
    text = str(error).lower()
    if isinstance(error, EOFError) or "end of data" in text or "ended before" in text or "cut short" in text:
        return RecordingError(f"{shown(path)}: the archive is cut short", _CUT_SHORT)
    return RecordingError(f"{shown(path)}: the archive is damaged", "copy it again, or ask for a new one")


def _is_tar(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


class _Member(tarfile.TarInfo):
    """A header that refuses extensions made to fill the memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        extends = (*tarfile.GNU_TYPES, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        if self.type in extends and self.size > _MAX_HEADER:
            raise tarfile.ReadError("a header is far too large")
        return super()._proc_member(archive)  # type: ignore[misc, no-any-return]


def _members(stream: BoundedReader, path: Path) -> Iterator[tuple[str, PackedBody]]:
    count = 0
    names: set[str] = set()
    # Stream mode: a member is read once, in order, and the decompressed whole is never kept beside its parts.
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", tarinfo=_Member) as archive:
        for member in archive:
            count += 1
            if count > MAX_MEMBERS:
                raise RecordingError(f"{shown(path)}: more than {MAX_MEMBERS} files", "it is no recording of a mesh")
            name = _inside(member.name, path)
            if member.issym() or member.islnk():
                above = PurePosixPath(member.name).parent if member.issym() else PurePosixPath()
                _inside(str(above / member.linkname), path)
                continue
            if not member.isfile() or member.issparse():
                continue
            if name in names:
                raise RecordingError(f"{shown(path)}: it holds {shown(name)} twice", "do not trust it")
            names.add(name)
            content = archive.extractfile(member)
            body = PackedBody(_chunks(content) if content else ())
            if body.size < member.size:
                raise EOFError("cut short")
            yield name, body
    # tarfile takes the end of the file for the end of the archive; only the marker (a block of zeros) proves it.
    if stream.total < archive.offset + tarfile.BLOCKSIZE:
        raise EOFError("cut short")


def _chunks(stream: IO[bytes] | BoundedReader) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk


def _kind(packed: IO[bytes]) -> str:
    head = packed.read(8)
    packed.seek(0)
    if head.startswith(ZIP):
        return "zip"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def _unpacked(packed: IO[bytes], path: Path, kind: str) -> BoundedReader:
    return BoundedReader(_decompressed(packed, kind), path.stat().st_size, shown(path))


def _decompressed(packed: IO[bytes], kind: str) -> IO[bytes]:
    if kind == "xz":
        return cast("IO[bytes]", _XzStream(packed))
    if kind == "gzip":
        return cast("IO[bytes]", gzip.open(packed))
    if kind == "bzip2":
        return cast("IO[bytes]", bz2.open(packed))
    if kind == "zstd":
        import zstandard

        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        return cast("IO[bytes]", decompressor.stream_reader(packed, read_across_frames=True, closefd=False))
    return packed


class _XzStream:
    """An .xz file, one after another as `xz` reads them, whose dictionary may not ask for more memory than a limit."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._decompressor = lzma.LZMADecompressor(memlimit=MAX_WINDOW)
        self._rest = b""

    def read(self, size: int) -> bytes:
        while True:
            if self._decompressor.eof:
                self._rest = (self._decompressor.unused_data or self._packed.read(CHUNK)).lstrip(b"\0")
                if not self._rest:
                    return b""
                self._decompressor = lzma.LZMADecompressor(memlimit=MAX_WINDOW)
            elif self._decompressor.needs_input and not self._rest:
                self._rest = self._packed.read(CHUNK)
                if not self._rest:
                    raise EOFError("cut short")
            given, self._rest = self._rest, b""
            if found := self._decompressor.decompress(given, max_length=size):
                return found


def _inside(name: str, path: Path) -> str:
    """*name* without `./`; raises `RecordingError` when it is absolute, climbs out of the archive or has no end."""
    depth = 0
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part != "."]
    for part in parts:
        depth += -1 if part == ".." else 1
        if part == "/" or depth < 0 or ":" in part[1:2]:
            raise RecordingError(
                f"{shown(path)}: {shown(name)[:200]!r} leaves the archive", "do not trust it; ask for a new one"
            )
    if len(name) > MAX_NAME:
        raise RecordingError(f"{shown(path)}: a file's name has {len(name)} characters", "do not trust it")
    return "/".join(part for part in parts if part != "..")
