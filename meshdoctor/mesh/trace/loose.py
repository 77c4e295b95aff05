"""Values of a configuration that is read as plain JSON: of the right type, or empty. A recording may hold anything."""

from __future__ import annotations

from typing import Any


def message(value: Any) -> dict[str, Any]:
    """A message; {} for anything else."""
    return value if isinstance(value, dict) else {}


def messages(value: Any) -> list[dict[str, Any]]:
    """The messages of a repeated field; anything else in it is left out."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def number(value: Any, default: float = 0.0) -> float:
    """A number, also one that JSON writes as text (int64); *default* for anything else."""
    if isinstance(value, bool):
        return default
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return default
    return found if -1e18 < found < 1e18 else default


def whole(value: Any, default: int = 0) -> int:
    return int(number(value, default))


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""
