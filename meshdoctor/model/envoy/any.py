"""google.protobuf.Any as Envoy prints it, with the wrappers that Istio uses around extension configs."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from meshdoctor.model.decode import UnreadableError, decode_raw

T = TypeVar("T")


class EnvoyFact(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of Envoy's structs: snake_case (camelCase dumps are converted first), unknown fields left out."""


class _Typed(EnvoyFact, frozen=True):
    type: str = msgspec.field(name="@type", default="")
    type_url: str = ""
    value: msgspec.Raw = msgspec.Raw()


# xds.type.v3.TypedStruct (and its older name) carries an extension as a plain struct beside its type.
_WRAPPERS = ("xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct")


def type_name(raw: msgspec.Raw | bytes) -> str:
    """The message name of an Any (`envoy.extensions…v3.TlsContext`), through a TypedStruct; "" when it has none."""
    return _unwrap(raw)[0]


def typed(raw: msgspec.Raw | bytes, kind: type[T], *names: str) -> T | None:
    """The Any as *kind* if its message name ends with one of *names*; None for another type or an unreadable one."""
    name, body = _unwrap(raw)
    if not name.endswith(names):
        return None
    try:
        return decode_raw(body, kind)
    except UnreadableError:
        return None


def _unwrap(raw: msgspec.Raw | bytes) -> tuple[str, msgspec.Raw | bytes]:
    if not bytes(raw):
        return "", b"{}"
    try:
        head = decode_raw(raw, _Typed)
    except UnreadableError:
        return "", b"{}"
    name = head.type.rpartition("/")[2]
    if name in _WRAPPERS:
        return head.type_url.rpartition("/")[2], head.value if bytes(head.value) else b"{}"
    return name, raw
