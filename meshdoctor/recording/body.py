"""The bytes of one file of a source: read when asked for, never beyond a limit, packed while they wait in memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from meshdoctor.model.decode import UnreadableError
from meshdoctor.recording.limits import CHUNK, MAX_FILE, MAX_WINDOW

_PACK_FROM = 32 * 2**10
"""Bytes. What is smaller is kept as it is: packing it would save less than it costs."""


def too_large(size: int) -> UnreadableError:
    return UnreadableError(f"larger than {MAX_FILE // 2**20} MiB ({size // 2**20} MiB), so it was not read")


class FileBody:
    """A file of a folder; calling it raises `UnreadableError` when it is too large, OSError when it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> bytes:
        size = self.path.stat().st_size
        if size > MAX_FILE:
            raise too_large(size)
        return self.path.read_bytes()

    def head(self, size: int) -> bytes:
        """The first *size* bytes."""
        with self.path.open("rb") as file:
            return file.read(size)


class PackedBody:
    """A file of an archive, kept compressed when it is large: an archive's whole content need not fit in memory."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.size = 0
        self._plain = b""
        self._packed: list[bytes] = []
        self._take(chunks)

    def _take(self, chunks: Iterable[bytes]) -> None:
        compressor = None
        for chunk in chunks:
            self.size += len(chunk)
            if compressor is None and self.size <= _PACK_FROM:
                self._plain += chunk
                continue
            if compressor is None:
                import zstandard

                compressor = zstandard.ZstdCompressor(level=1).compressobj()
                self._packed.append(compressor.compress(self._plain))
                self._plain = b""
            if self.size <= MAX_FILE:  # of what is too large to be read again, nothing is kept
                self._packed.append(compressor.compress(chunk))
            else:
                self._packed.clear()
        if compressor is not None and self.size <= MAX_FILE:
            self._packed = [b"".join([*self._packed, compressor.flush()])]

    def __call__(self) -> bytes:
        if self.size > MAX_FILE:
            raise too_large(self.size)
        return self._unpacked(self.size) if self._packed else self._plain

    def head(self, size: int) -> bytes:
        """The first *size* bytes; nothing of a file that is too large."""
        return self._unpacked(size) if self._packed else self._plain[:size]

    def _unpacked(self, size: int) -> bytes:
        return unpacked_zstd(self._packed[0], size)


def unpacked_zstd(packed: bytes, limit: int, dictionary: Any = None) -> bytes:
    """At most the first *limit* bytes of a zstd frame, whatever size it declares; raises `UnreadableError`.

    *dictionary*: a `zstandard.ZstdCompressionDict`.
    """
    import zstandard

    decompressor = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=MAX_WINDOW)
    reader = decompressor.stream_reader(packed, read_across_frames=True)
    found = bytearray()
    try:
        while len(found) < limit:
            chunk = reader.read(min(CHUNK, limit - len(found)))
            if not chunk:
                break
            found += chunk
    except zstandard.ZstdError as error:
        raise UnreadableError(f"its compression is damaged: {error}") from None
    return bytes(found)
