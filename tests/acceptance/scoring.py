"""What every scorer of a corpus returns."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

# The corpora lie beside the checkout; a machine without them skips, visibly.
SHARED = Path(__file__).resolve().parents[2].parent / "shared"


class Score(NamedTuple):
    """How many of a corpus' questions were answered right; `misses` says which were not, one line each."""

    name: str
    right: int
    total: int
    misses: list[str]
