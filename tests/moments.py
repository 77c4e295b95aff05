"""The clock of recordings that tests build."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

START = datetime(2026, 3, 3, 9, 0, tzinfo=UTC).timestamp()
"""Second 0 of every recording that is built here."""


def when(seconds: float) -> str:
    """RFC 3339 to the second, as the API server writes it."""
    return datetime.fromtimestamp(START + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
