"""Times and durations as the APIs write them, in seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_GO_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_UNIT = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def unix(text: str | None) -> float | None:
    """An RFC 3339 time as Unix seconds; None when it is not one. Of the fraction digits (Go writes nine) six count."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def rfc3339(seconds: float) -> str:
    """Unix *seconds* as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(seconds: float) -> str:
    """Unix *seconds* as a UTC time of day, for sentences."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def duration(text: str | None) -> float | None:
    """A protobuf (`0.5s`) or Go (`1m30s`) duration in seconds; None when absent or not one."""
    if not text:
        return None
    single = _GO_PART.fullmatch(text)
    if single is not None:
        return float(single[1]) * _UNIT[single[2]]
    parts = _GO_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNIT[unit] for number, unit in parts)
