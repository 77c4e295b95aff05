"""From an endpoint's JSON bytes to typed facts; control characters become visible, and a bad body becomes a reason."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class UnreadableError(ValueError):
    """A body could not be decoded; the message is the reason in one line, for the missing fact."""


# Raw C0 bytes are not allowed inside JSON strings, so a hostile character arrives as an escape (`\\u001b`) or, from
# U+007F on, as UTF-8. An even number of backslashes before the escape means that it is one; the odd case is a literal.
_ESCAPED = re.compile(
    rb"(?<!\\)((?:\\\\)*)\\u(00(?:0[0-8bcefBCEF]|1[0-9a-fA-F]|7[fF]|[89][0-9a-fA-F])"
    rb"|20(?:0[b-fB-F]|2[a-eA-E]|6[0-9a-fA-F])|[fF][eE][fF][fF])"
)
_RAW = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf")


def scrub(body: bytes) -> bytes:
    """*body* with control, bidirectional and zero-width characters of its JSON strings replaced by visible symbols.

    Newline and tab stay: they belong to messages and are drawn by whoever shows the text.
    """
    if b"\\u" in body:
        body = _ESCAPED.sub(lambda match: match[1] + _symbol(int(match[2], 16)), body)
    if body.isascii() and b"\x7f" not in body:
        return body  # most dumps, and a search of 70 MB for what is not there takes a while
    return _RAW.sub(lambda match: _symbol(ord(match[0].decode())), body)


def _symbol(code: int) -> bytes:
    if code < 0x20:
        return chr(0x2400 + code).encode()
    return "␡".encode() if code == 0x7F else f"<U+{code:04X}>".encode()


def decode_json(body: bytes, kind: type[T]) -> T:
    """*body* as *kind* (any type msgspec knows); raises `UnreadableError` with one line that says why it is not."""
    if not body.strip():
        raise UnreadableError("the body is empty")
    try:
        return msgspec.json.decode(scrub(body.removeprefix(b"\xef\xbb\xbf")), type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"unexpected shape: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"not valid JSON: {_one_line(error)}") from None


def decode_raw(raw: msgspec.Raw | bytes, kind: type[T]) -> T:
    """A fragment that was already scrubbed with its file, as *kind*; raises `UnreadableError`."""
    try:
        return msgspec.json.decode(raw, type=kind, strict=False)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableError(f"unexpected shape: {_one_line(error)}") from None


def convert(value: Any, kind: type[T]) -> T:
    """An already parsed value (YAML, say) as *kind*; raises `UnreadableError`."""
    try:
        return msgspec.convert(value, type=kind, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UnreadableError(f"unexpected shape: {_one_line(error)}") from None


def _one_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
