"""The files of a raw recording, from a folder or a tar archive (plain, gzip, xz, zstd), never unpacked to disk."""

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
from meshdoctor.recording.limits import MAX_MEMBERS, BoundedReader

Files = dict[str, Callable[[], bytes]]
"""Every file by its path inside the recording, with a function that gives its bytes."""

_MAGIC = (
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
)
_CUT_SHORT = "copy it again: it is not complete"


def read_files(path: Path) -> Files:
    """The files of the folder or archive at *path*.

    Raises `RecordingError` when there is nothing at *path*, when it is no archive, or when the archive is cut short,
    hostile (a bomb, a path that leaves it) or cannot be read.
    """
    if not path.exists():
        raise RecordingError(f"{path}: no such file", "give the path of a recording, a folder or a .tar archive")
    try:
        return _folder(path) if path.is_dir() else _archive(path)
    except PermissionError as error:
        raise RecordingError(f"{path}: permission denied", f"make {error.filename or path} readable") from None


def _folder(root: Path) -> Files:
    files: Files = {}
    inside = root.resolve()
    for found in root.rglob("*"):
        # A link that leads out of the folder is not followed: it is not part of the recording.
        if found.is_file() and found.resolve().is_relative_to(inside):
            files[found.relative_to(root).as_posix()] = found.read_bytes
    return files


def _archive(path: Path) -> Files:
    files: Files = {}
    try:
        with path.open("rb") as packed:
            for name, body in _members(packed, path):
                files[name] = lambda body=body: body  # type: ignore[misc]
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, OSError, tarfile.ReadError) as error:
        if isinstance(error, PermissionError):
            raise
        raise _unreadable(path, error) from None
    if not files:
        raise RecordingError(f"{path}: not a recording", "it holds no files")
    return files


def _unreadable(path: Path, error: Exception) -> RecordingError:
    text = str(error).lower()
    if isinstance(error, EOFError) or "end of data" in text or "ended before" in text or "cut short" in text:
        return RecordingError(f"{path}: the archive is cut short", _CUT_SHORT)
    return RecordingError(f"{path}: not a recording", "expected a folder, or a .tar, .tar.gz, .tar.xz or .tar.zst file")


def _members(packed: IO[bytes], path: Path) -> Iterator[tuple[str, bytes]]:
    stream = BoundedReader(_decompressed(packed), path.stat().st_size, str(path))
    count = 0
    # Stream mode: a member is read once, in order, and the decompressed whole is never kept beside its parts.
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as archive:
        for member in archive:
            count += 1
            if count > MAX_MEMBERS:
                raise RecordingError(f"{path}: more than {MAX_MEMBERS} files", "it is no recording of a mesh")
            name = _inside(member.name, path)
            if member.issym() or member.islnk():
                above = PurePosixPath(member.name).parent if member.issym() else PurePosixPath()
                _inside(str(above / member.linkname), path)
                continue
            if not member.isfile():
                continue
            content = archive.extractfile(member)
            body = content.read() if content else b""
            if len(body) < member.size:
                raise EOFError("cut short")
            yield name, body
    # tarfile takes the end of the file for the end of the archive; only the marker (a block of zeros) proves it.
    if stream.total < archive.offset + tarfile.BLOCKSIZE:
        raise EOFError("cut short")


def _decompressed(packed: IO[bytes]) -> IO[bytes]:
    head = packed.read(8)
    packed.seek(0)
    kind = next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")
    if kind == "xz":
        return cast("IO[bytes]", lzma.open(packed))
    if kind == "gzip":
        return cast("IO[bytes]", gzip.open(packed))
    if kind == "bzip2":
        return cast("IO[bytes]", bz2.open(packed))
    if kind == "zstd":
        import zstandard

        decompressor = zstandard.ZstdDecompressor(max_window_size=2**27)
        return cast("IO[bytes]", decompressor.stream_reader(packed, read_across_frames=True))
    return packed


def _inside(name: str, path: Path) -> str:
    """*name* without `./`; raises `RecordingError` when it is absolute or climbs out of the archive."""
    depth = 0
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part != "."]
    for part in parts:
        depth += -1 if part == ".." else 1
        if part == "/" or depth < 0 or ":" in part[1:2]:
            raise RecordingError(f"{path}: {name!r} leaves the archive", "do not trust it; ask for a new one")
    return "/".join(part for part in parts if part != "..")
