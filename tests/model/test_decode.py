"""JSON bytes to typed facts: hostile characters become visible, a bad body becomes one line of reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.model.decode import UnreadableError, convert, decode_json, decode_raw, scrub
from meshdoctor.model.text import visible


class Thing(msgspec.Struct, frozen=True):
    name: str = ""
    count: int = 0


def decoded(text: str, *, escaped: bool) -> str:
    """*text* after a trip through JSON, written with `\\u` escapes or as UTF-8."""
    return decode_json(json.dumps({"name": text}, ensure_ascii=escaped).encode(), Thing).name


@pytest.mark.parametrize("escaped", [True, False], ids=["escaped", "raw"])
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "␛[2Jgone"),
        ("a\x00b\x07", "a␀b␇"),
        ("\x7f", "␡"),
        ("\u202ereversed\u202c", "<U+202E>reversed<U+202C>"),
        ("zero\u200bwidth\ufeff", "zero<U+200B>width<U+FEFF>"),
        ("\u2066isolate\u2069", "<U+2066>isolate<U+2069>"),
        ("\x9bcsi", "<U+009B>csi"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("결제 서비스 é 🙂", "결제 서비스 é 🙂"),
    ],
)
def test_hostile_characters(text: str, shown: str, escaped: bool) -> None:
    assert decoded(text, escaped=escaped) == shown


HIDDEN = [chr(code) for code in (*range(0x10000), *range(0xE0000, 0xE1000)) if visible(chr(code)) != chr(code)]
PAIRED = [text for text in HIDDEN if not 0xD800 <= ord(text) <= 0xDFFF]


@pytest.mark.parametrize("escaped", [True, False], ids=["escaped", "raw"])
def test_every_character_that_is_hidden_elsewhere_is_hidden_here(escaped: bool) -> None:
    """One list of hostile characters for logs (text.visible) and for JSON."""
    trips = {text: decoded(text, escaped=escaped) for text in PAIRED}
    left = [f"{ord(text):04x}" for text, shown in trips.items() if shown != visible(text)]
    assert left == []


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.booleans())
def test_the_same_as_for_logs(text: str, escaped: bool) -> None:
    assert decoded(text, escaped=escaped) == visible(text)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (rb'{"name": "\\u001b"}', r"\u001b"),
        (rb'{"name": "\\\u001b"}', "\\␛"),
        (rb'{"name": "\\\\u001b"}', r"\\u001b"),
        (rb'{"name": "\\\\\u001B"}', "\\\\␛"),
        (rb'{"name": "\ud83d\ude42"}', "🙂"),
    ],
)
def test_a_backslash_before_an_escape_is_counted(body: bytes, name: str) -> None:
    assert decode_json(body, Thing).name == name


def test_scrubbing_leaves_plain_json_alone() -> None:
    body = json.dumps({"a": ['b\n\t"\\', 1.5, None, {"c": True}]}).encode()
    assert scrub(body) == body


TEXT = st.text(st.characters(codec="utf-8"))
PLAIN = st.none() | st.booleans() | st.integers() | TEXT
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)


def texts(value: Any) -> list[str]:
    """Every string of a JSON value, the keys too."""
    if isinstance(value, dict):
        return [*value, *(text for inner in value.values() for text in texts(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


def shape(value: Any) -> Any:
    """A JSON value without its texts; of an object no more than that it is one (two keys may become the same)."""
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value) if isinstance(value, str | dict) else value


@given(VALUES)
def test_scrubbed_json_is_still_json(value: Any) -> None:
    for ascii_only in (True, False):
        found = json.loads(scrub(json.dumps(value, ensure_ascii=ascii_only).encode()))
        assert shape(found) == shape(value)
        assert all(visible(text) == text for text in texts(found))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is empty"),
        (b" \r\n", "the body is empty"),
        (b"\xef\xbb\xbf", "the body is empty"),
        (b"{", "not valid JSON"),
        (b'{"name": "x"} trailing', "not valid JSON"),
        (b'{"name": "\xff"}', "not valid JSON"),
        (b'{"name": "\\ud800"}', "not valid JSON"),
        (b"upstream connect error", "not valid JSON"),
        (b'{"name": ["x"]}', "unexpected shape"),
        (b"[]", "unexpected shape"),
    ],
)
def test_a_bad_body_is_one_line_of_reason(body: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        decode_json(body, Thing)
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_error() -> None:
    assert decode_json(b'\xef\xbb\xbf{"name": "x"}', Thing).name == "x"


def test_numbers_as_text_are_read() -> None:
    """protojson writes 64-bit integers as strings."""
    assert decode_json(b'{"count": "41"}', Thing).count == 41


@pytest.mark.parametrize("decode", [decode_json, decode_raw])
@pytest.mark.parametrize("body", [b"[" * 200_000, b'["\xff"]'], ids=["deep", "no UTF-8"])
def test_what_msgspec_cannot_read_is_a_reason(decode: Callable[[bytes, type[list[Any]]], Any], body: bytes) -> None:
    with pytest.raises(UnreadableError):
        decode(body, list[Any])


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_unreadable(body: bytes) -> None:
    try:
        decode_json(body, dict[str, Any])
    except UnreadableError as error:
        assert "\n" not in str(error)


def test_converting_parsed_values() -> None:
    assert convert({"name": "x", "count": "3"}, Thing) == Thing("x", 3)
    with pytest.raises(UnreadableError, match="unexpected shape"):
        convert({"name": []}, Thing)
