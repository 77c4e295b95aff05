"""How a file is cut, so that what it shares with others is found: values that always differ are taken out, and the
rest is cut where its own content says so, never at an offset that an insertion would move."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

AVERAGE, AVERAGE_OF_LOGS = 24 * 2**10, 4 * 2**10
"""Bytes of a part, on average. A log only grows, so that its parts should be small: the last one is new every time."""
LARGEST = 512 * 2**10
_MARK = b"\x01"
"""No JSON text holds it raw, so that it can stand where a value was."""
# What differs between two proxies, or two moments of one, that are otherwise the same (Envoy's and istiod's own keys).
_HOLES = re.compile(
    rb'("(?:last_updated|version_info|uptime_current_epoch|uptime_all_epochs|resourceVersion)":")([^"\\\x01\n]*)'
    rb'|("(?:value|days_until_expiration)":)(\d+)'
)
_METRIC = re.compile(rb"^([^\n]* )([-+.\deEINa-z]+)$()()", re.MULTILINE)


def hoisted(file: str, body: bytes) -> tuple[bytes, bytes]:
    """*body* with marks instead of its ever-changing values, and these, a line each; (*body*, nothing) without any."""
    pattern = _HOLES if file.endswith(".json") else _METRIC if file.endswith(".prom") else None
    if pattern is None or _MARK in body:
        return body, b""
    pieces = pattern.split(body)  # text, then key and value of either alternative, then text again, and so on
    if len(pieces) == 1:
        return body, b""
    texts = [
        text + (one or other or b"") for text, one, other in zip(pieces[::5], pieces[1::5], pieces[3::5], strict=False)
    ]
    values = [(one or other or b"") + b"\n" for one, other in zip(pieces[2::5], pieces[4::5], strict=True)]
    return _MARK.join([*texts, pieces[-1]]), b"".join(values)


def filled(body: bytes, values: bytes) -> bytes:
    """The inverse of `hoisted`; raises ValueError when the two do not fit."""
    texts = body.split(_MARK)
    holes = values.split(b"\n")  # each ends with a newline, so that the last of these is empty
    if len(texts) != len(holes) or holes[-1]:
        raise ValueError("its values do not fit its text")
    return b"".join(part for pair in zip(texts, holes, strict=True) for part in pair)


def parts(file: str, body: bytes) -> Iterator[bytes]:
    """*body* cut at ends of JSON objects or of lines whose own hash says so; joined they are *body* again."""
    separator = b"},{" if file.endswith(".json") else b"\n"
    average = AVERAGE if file.endswith(".json") else AVERAGE_OF_LOGS
    start = at = 0
    while True:
        found = body.find(separator, at)
        if found < 0:
            break
        end = found + len(separator)
        unit = body[at:end]
        large = end - start >= LARGEST
        if large or zlib.crc32(unit) < min(len(unit) / average, 1.0) * 2**32:
            yield body[start:end]
            start = end
        at = end
    if start < len(body) or not body:
        yield body[start:]
