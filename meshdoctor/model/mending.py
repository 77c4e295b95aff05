"""What can be read of a message of which a field is of another type than its struct says (a newer Envoy, a typo).

For tables only: what could not be read is missing from the value, and nothing may be concluded from that.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec

T = TypeVar("T")

_DEEPEST = 40
"""Levels of messages; what is deeper is left out."""


class _NamelessError(Exception):
    """A message's name cannot be read."""


def mended(raw: msgspec.Raw | bytes, kind: type[T]) -> T | None:
    """*raw* as *kind*, a struct whose fields have defaults, without the fields and list entries that cannot be decoded.

    None when it is no JSON object, or has a name that cannot be read: nobody could tell what it is.
    """
    try:
        found = _value(bytes(raw), kind, 0)
    except _NamelessError:
        return None
    return found if isinstance(found, kind) else None


def _value(raw: bytes, kind: Any, depth: int) -> Any:
    """The value, or None when nothing of it can be read."""
    try:
        return msgspec.json.decode(raw, type=kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if depth >= _DEEPEST:
            return None
    struct = _struct(kind)
    if struct is not None:
        return _fields(raw, struct, depth + 1)
    entry = _entry(kind)
    return _entries(raw, entry, depth + 1) if entry is not None else None


def _fields(raw: bytes, kind: type[Any], depth: int) -> Any:
    try:
        given = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    found = {}
    for field in msgspec.structs.fields(kind):
        if field.encode_name in given:
            value = _value(bytes(given[field.encode_name]), field.type, depth)
            if value is not None:
                found[field.name] = value
            elif field.encode_name == "name":
                raise _NamelessError
    try:
        return kind(**found)
    except TypeError:  # a field without a default could not be read
        return None


def _entries(raw: bytes, kind: Any, depth: int) -> Any:
    try:
        given = msgspec.json.decode(raw, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    found = []
    for entry in given:
        try:
            value = _value(bytes(entry), kind, depth)
        except _NamelessError:
            continue
        if value is not None:
            found.append(value)
    return found


def _choices(kind: Any) -> Sequence[Any]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _struct(kind: Any) -> type[Any] | None:
    return next((one for one in _choices(kind) if isinstance(one, type) and issubclass(one, msgspec.Struct)), None)


def _entry(kind: Any) -> Any:
    """What a list holds; None for what is no list."""
    return next((get_args(one)[0] for one in _choices(kind) if get_origin(one) is list and get_args(one)), None)
