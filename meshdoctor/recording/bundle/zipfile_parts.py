"""The little of the zip format that a bundle needs: entries stored one after another, and a directory at the end.

Python's zipfile goes back to fix a header after it wrote an entry; here the header is right from the start, so that a
file that was cut off anywhere can be read up to there (APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, NamedTuple

from meshdoctor.recording.limits import CHUNK

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_UTF8 = 0x800
_DATE = (1 << 5) | 1  # 1 January 1980: a moment's time is in its index
_MOST_NAME = 256


class Stored(NamedTuple):
    """An entry: its *name*, where its header is, its checksum and size."""

    name: str
    offset: int
    crc: int
    size: int


def write_entry(file: IO[bytes], name: str, data: bytes) -> Stored:
    """Appends one entry at the file's position."""
    stored = Stored(name, file.tell(), zlib.crc32(data), len(data))
    file.write(_header(stored) + data)
    return stored


def write_directory(file: IO[bytes], entries: Sequence[Stored]) -> None:
    """Appends the central directory; the file is a whole zip then."""
    file.write(_directory(entries, file.tell()))


def flaw(file: IO[bytes], entries: Iterable[Stored]) -> str:
    """What of a whole zip is not as these functions write it with *entries*; "" when every byte is."""
    ordered = sorted(entries, key=lambda entry: entry.offset)
    at = 0
    for entry in ordered:
        header = _header(entry)
        file.seek(at)
        if entry.offset != at or file.read(len(header)) != header:
            return f"{entry.name}: its header is not as it was written"
        if checksum(file, entry.size) != entry.crc:
            return f"{entry.name}: its checksum is wrong"
        at += len(header) + entry.size
    file.seek(at)
    directory = _directory(ordered, at)
    return "" if file.read(len(directory) + 1) == directory else "the list of its parts is not as it was written"


def checksum(file: IO[bytes], size: int) -> int:
    """The checksum of the next *size* bytes."""
    found = 0
    for begin in range(0, size, CHUNK):
        found = zlib.crc32(file.read(min(CHUNK, size - begin)), found)
    return found


def _header(entry: Stored) -> bytes:
    encoded = entry.name.encode()
    return _LOCAL.pack(
        b"PK\x03\x04", 20, _UTF8, 0, 0, _DATE, entry.crc, entry.size, entry.size, len(encoded), 0
    ) + encoded  # fmt: skip


def _directory(entries: Sequence[Stored], begins: int) -> bytes:
    found = bytearray()
    for entry in entries:
        encoded = entry.name.encode()
        found += _CENTRAL.pack(
            b"PK\x01\x02", (3 << 8) | 20, 20, _UTF8, 0, 0, _DATE, entry.crc, entry.size, entry.size,
            len(encoded), 0, 0, 0, 0, 0o600 << 16, entry.offset,
        )  # fmt: skip
        found += encoded
    length, count = len(found), len(entries)
    if count > 0xFFFE:
        found += _END64.pack(b"PK\x06\x06", 44, (3 << 8) | 45, 45, 0, 0, count, count, length, begins)
        found += _LOCATOR64.pack(b"PK\x06\x07", 0, begins + length, 1)
    few = min(count, 0xFFFF)
    return bytes(found + _END.pack(b"PK\x05\x06", 0, 0, few, few, length, begins, 0))


def scan(file: IO[bytes], most: int) -> Iterator[tuple[str, int, int, int]]:
    """Name, position, size and checksum of the data of each whole entry from the file's begin, directory or not.

    Ends at the first that is not whole, is compressed by the zip, or is larger than *most* bytes.
    """
    file.seek(0, 2)
    whole = file.tell()
    at = 0
    while at + _LOCAL.size <= whole:
        file.seek(at)
        fields = _LOCAL.unpack(file.read(_LOCAL.size))
        signature, _, flags, method, _, _, crc, packed, size, length, extra = fields
        begins = at + _LOCAL.size + length + extra
        if signature != b"PK\x03\x04" or flags & ~_UTF8 or method or packed != size or length > _MOST_NAME:
            return
        if size > most or begins + size > whole:
            return
        name = file.read(length).decode("utf-8", "replace")
        yield name, begins, size, crc
        at = begins + size
