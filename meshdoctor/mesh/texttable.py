"""A table as istioctl prints it: a header, rows of as many cells, and the blanks between columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Cells = tuple[str, ...]


class TextTable(NamedTuple):
    """Rows of equally many cells; *padding* is text/tabwriter's: blanks after the widest cell of a column."""

    header: Cells
    rows: Sequence[Cells]
    padding: int = 5
