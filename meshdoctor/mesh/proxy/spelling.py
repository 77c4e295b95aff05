"""What protobuf's JSON may spell in two ways, so that it is no difference between two dumps of one configuration.

istioctl compares messages, not text (istioctl/pkg/writer/compare). The same value may be written as `1s` or `1.000s`,
`80` or `"80"`, an enum's name or, by an Envoy that is older than its istiod, its number; a field that has its default
value may be left out (https://protobuf.dev/programming-guides/json). Envoy also puts `[redacted]` in the place of what
is secret (MessageUtil::redact), which istiod's answer may hold.
"""

from __future__ import annotations

import base64
import math
import re
from decimal import Decimal
from typing import Any

from meshdoctor.mesh.proxy.defaults import ENUM_DEFAULTS, EXPLICIT
from meshdoctor.model.envoy.camel import snake_name


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Any = _Absent()
"""The value of a field that a message does not have."""

_REDACTED = frozenset(("[redacted]", base64.b64encode(b"[redacted]").decode()))
_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{1,12})?(?:[eE][+-]?\d{1,3})?")
_DURATION = re.compile(r"(-?\d{1,12}(?:\.\d{1,9})?)s")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)")
_ENUM = re.compile(r"[A-Z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*")
_BYTES = ("inline_bytes", "raw_value")
_FLOAT = 1e-7
"""Relative: a float has 24 bits, and Go and C++ print it with as many digits as each holds for needed."""


def same_value(name: str, sent: Any, runs: Any) -> bool:
    """Whether two values of the field *name* (of a list: of its entries) are the same; `ABSENT` where there is none.

    Neither is a message or a list that the other side has, too.
    """
    if isinstance(sent, bool) or isinstance(runs, bool):
        if isinstance(sent, bool) and isinstance(runs, bool):
            return sent is runs
    elif sent == runs:
        return True
    if sent is ABSENT or runs is ABSENT:
        return _is_default(snake_name(name), runs if sent is ABSENT else sent)
    if isinstance(sent, str) and isinstance(runs, str):
        return _same_text(name, sent, runs)
    first, second = _number(sent), _number(runs)
    if first is not None and second is not None:
        whole = first == first.to_integral_value() and second == second.to_integral_value()
        return first == second or (not whole and math.isclose(first, second, rel_tol=_FLOAT))
    return _name_and_number(sent, runs) or _name_and_number(runs, sent)


def _is_default(name: str, value: Any) -> bool:
    """Whether a message without this field says the same. A message that is there, even an empty one, says more."""
    if value is None or value == [] or value == "":
        return True
    if value is False or (isinstance(value, int | float) and value == 0) or value == "0":
        return name not in EXPLICIT
    return isinstance(value, str) and value in ENUM_DEFAULTS.get(name, ())


def _same_text(name: str, sent: str, runs: str) -> bool:
    if sent in _REDACTED or runs in _REDACTED:
        return True
    for pattern, value in ((_DURATION, _seconds), (_TIME, _moment)):
        first, second = pattern.fullmatch(sent), pattern.fullmatch(runs)
        if first and second:
            return bool(value(first) == value(second))
    if snake_name(name) in _BYTES:
        return _standard_base64(sent) == _standard_base64(runs)
    return False


def _seconds(match: re.Match[str]) -> Decimal:
    return Decimal(match[1])


def _moment(match: re.Match[str]) -> tuple[str, str]:
    return match[1], (match[2] or "").rstrip("0")


def _standard_base64(text: str) -> str:
    """Both alphabets and missing padding are allowed where protobuf reads JSON."""
    return text.rstrip("=").translate(str.maketrans("-_", "+/"))


def _number(value: Any) -> Decimal | None:
    """A number, or one in a string, as 64-bit integers are written."""
    if isinstance(value, int):
        return None if isinstance(value, bool) else Decimal(value)
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else None
    return Decimal(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def _name_and_number(name: Any, number: Any) -> bool:
    """An enum's name, and its number from who does not know the name: without descriptors no difference can be told."""
    return (
        isinstance(name, str)
        and isinstance(number, int)
        and not isinstance(number, bool)
        and bool(_ENUM.fullmatch(name))
    )
