"""What every source can do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from meshdoctor.model.snapshot import Snapshot, SourceInfo, Want


class Source(Protocol):
    """Answers wants with facts, or with the reason why not; never raises for a single fact."""

    @property
    def info(self) -> SourceInfo: ...

    def read(self, wants: Iterable[Want[Any]], known: Snapshot | None = None) -> Snapshot:
        """*known* (or an empty snapshot) with the answers to those *wants* that it lacks."""
        ...
