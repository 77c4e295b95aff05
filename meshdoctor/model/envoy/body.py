"""An answer of the admin port as it lies in a file: whatever a shell or an editor did to its encoding is undone."""

from __future__ import annotations

import codecs
import mmap
import re

from meshdoctor.model.text import visible_line

Body = bytes | mmap.mmap

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SHOWN = 60


def utf8(body: Body) -> Body:
    """*body* as UTF-8 without a byte order mark: PowerShell's `>` writes UTF-16. What is UTF-8 is not copied."""
    head = bytes(body[:4])
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return bytes(body).decode(encoding, errors="replace").encode(errors="replace")
    if head.startswith(codecs.BOM_UTF8):
        return bytes(body[len(codecs.BOM_UTF8) :])
    # JSON begins with ASCII: a zero beside its first character tells UTF-16 without a mark.
    if len(head) == 4 and (head[0] == 0) != (head[1] == 0):
        encoding = "utf-16-be" if head[0] == 0 else "utf-16-le"
        return bytes(body).decode(encoding, errors="replace").encode(errors="replace")
    return body


_HALF = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


def without_halves(raw: bytes | memoryview) -> bytes | None:
    """JSON with its halves of UTF-16 pairs (which no text can hold) as replacement characters; None without any."""
    return _HALF.sub(rb"\\ufffd", raw) if _HALF.search(raw) else None


def beginning(body: Body) -> str:
    """The first line of what is no JSON, for a message: an error of kubectl, a page of a proxy."""
    lines = bytes(body[:4096]).decode(errors="replace").split("\n")
    line = visible_line(next((line.strip() for line in lines if line.strip()), ""))
    return f"{line[:_SHOWN]}…" if len(line) > _SHOWN else line
