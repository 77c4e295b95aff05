"""From an endpoint's JSON bytes to typed facts; control characters become visible, and a bad body becomes a reason."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class UnreadableError(ValueError):
    """A body could not be decoded; the message is the reason in one line, for the missing fact."""


# The same characters as `text.visible` shows, in the two ways in which a JSON string holds them. Raw C0 bytes are not
# allowed there, so such a one arrives as an escape (`\\u001b`, `\\r`) or, from U+007F on, as UTF-8 too. Escapes are
# taken one by one from the left, an escaped backslash among them, so that it begins none. Above U+FFFF an escape is a
# pair. The pattern begins with the backslash itself: that search is fast (70 MB in 20 ms; with a look-behind, 5 s).
_ESCAPED = re.compile(
    rb"\\(?:([bfr])|u("
    rb"00(?:0[0-8b-fB-F]|1[0-9a-fA-F]|7[fF]|[89][0-9a-fA-F]|[aA][dD])|06(?i:1c)|11(?:5[fF]|60)|18(?i:0e)"
    rb"|20(?:0[b-fB-F]|2[89a-eA-E]|6[0-9a-fA-F])|3164|[fF][eE][fF][fF]|[fF][fF](?:[aA]0|[fF][9aAbB])"
    rb"|[dD][bB]4[0-3]\\u[dD][c-fC-F][0-9a-fA-F]{2})|[^bfr])",
    re.DOTALL,
)
_RAW = re.compile(
    rb"\x7f|\xc2[\x80-\x9f\xad]|\xd8\x9c|\xe1(?:\x85[\x9f\xa0]|\xa0\x8e)|\xe2(?:\x80[\x8b-\x8f\xa8-\xae]|\x81[\xa0-\xaf])"
    rb"|\xe3\x85\xa4|\xef(?:\xbb\xbf|\xbe\xa0|\xbf[\xb9-\xbb])|\xf3\xa0[\x80-\xbf]{2}"
)
_ANY_ESCAPE = re.compile(rb"\\[ubfr]")
_SHORT = {b"b": 0x08, b"f": 0x0C, b"r": 0x0D}


def scrub(body: bytes) -> bytes:
    """*body* with control, bidirectional and invisible characters of its JSON strings replaced by visible symbols.

    Newline and tab stay: they belong to messages and are drawn by whoever shows the text.
    """
    if _ANY_ESCAPE.search(body):
        body = _ESCAPED.sub(_shown_escape, body)
    if body.isascii() and b"\x7f" not in body:
        return body  # most dumps, and a search of 70 MB for what is not there takes a while
    return _RAW.sub(lambda match: _symbol(ord(match[0].decode())), body)


def _shown_escape(match: re.Match[bytes]) -> bytes:
    short, code = match.groups()
    if short:
        return _symbol(_SHORT[short])
    if not code:
        return match[0]
    high, _, low = code.partition(rb"\u")
    number = int(high, 16)
    return _symbol(0x10000 + ((number - 0xD800) << 10) + int(low, 16) - 0xDC00 if low else number)


def _symbol(code: int) -> bytes:
    if code < 0x20:
        return chr(0x2400 + code).encode()
    return "␡".encode() if code == 0x7F else f"<U+{code:04X}>".encode()


def decode_json(body: bytes, kind: type[T]) -> T:
    """*body* as *kind* (any type msgspec knows); raises `UnreadableError` with one line that says why it is not."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    if not body.strip():
        raise UnreadableError("the body is empty")
    try:
        return msgspec.json.decode(scrub(body), type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"unexpected shape: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"not valid JSON: {_one_line(error)}") from None


def decode_raw(raw: msgspec.Raw | bytes, kind: type[T]) -> T:
    """A fragment that was already scrubbed with its file, as *kind*; raises `UnreadableError`."""
    try:
        return msgspec.json.decode(raw, type=kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"unexpected shape: {_one_line(error)}") from None


def convert(value: Any, kind: type[T]) -> T:
    """An already parsed value (YAML, say) as *kind*; raises `UnreadableError`."""
    try:
        return msgspec.convert(value, type=kind, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UnreadableError(f"unexpected shape: {_one_line(error)}") from None


def _one_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
