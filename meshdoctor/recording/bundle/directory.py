"""The entries of a bundle, as its zip lists them: nothing is believed that no bundle of ours has."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import IO

from meshdoctor.errors import RecordingError
from meshdoctor.recording.archive import ZIP, shown
from meshdoctor.recording.bundle.format import MAX_ENTRIES, MIMETYPE, NAME
from meshdoctor.recording.bundle.zipfile_parts import Stored

NOT_TRUSTED = "do not trust it; ask for a new one"
REPAIR = "it was cut short: try meshdoctor bundle repair"
_END = struct.Struct("<4s4H2IH")


def entries_of(file: IO[bytes], path: Path) -> dict[str, Stored]:
    """The entries by name; raises `RecordingError` for anything that no bundle of ours has."""

    def refuse(why: str, next_step: str = NOT_TRUSTED) -> RecordingError:
        return RecordingError(f"{shown(path)}: {why}", next_step)

    size = path.stat().st_size
    file.seek(0)
    begins = file.read(128)
    if not begins.startswith(ZIP):
        raise refuse("not a bundle", "give what meshdoctor record wrote")
    if MIMETYPE not in begins:
        raise refuse("a zip archive, but no bundle", "unpack it, and open the folder")
    if _declared(file, size) > MAX_ENTRIES:
        raise refuse(f"more than {MAX_ENTRIES} entries")
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, struct.error, OSError, ValueError, NotImplementedError):
        raise refuse("the bundle is cut short or damaged", REPAIR) from None
    if len(infos) > MAX_ENTRIES:
        raise refuse(f"more than {MAX_ENTRIES} entries")
    places: dict[str, Stored] = {}
    for info in infos:
        if not NAME.fullmatch(info.filename):
            raise refuse(f"{shown(info.filename)[:100]!r} belongs in no bundle")
        if info.filename in places:
            raise refuse(f"it holds {info.filename} twice")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
            raise refuse(f"{info.filename} is packed as no bundle packs it")
        if info.header_offset < 0 or info.header_offset + info.file_size > size:
            raise refuse(f"{info.filename} lies outside of the file")
        places[info.filename] = Stored(info.filename, info.header_offset, info.CRC, info.file_size)
    if sum(entry.size for entry in places.values()) > size:
        raise refuse("its entries overlap")
    return places


def _declared(file: IO[bytes], size: int) -> int:
    """How many entries the end of the directory declares, before a line of it is read; 0 when there is none."""
    file.seek(max(size - 66_000, 0))
    tail = file.read(66_000)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        return 0
    count = int(_END.unpack_from(tail, at)[4])
    if count == 0xFFFF and (far := tail.rfind(b"PK\x06\x06")) >= 0 and far + 40 <= len(tail):
        return int.from_bytes(tail[far + 32 : far + 40], "little")
    return count
