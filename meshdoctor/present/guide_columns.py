"""The columns of the guide, apart from its rows: the first paint needs these alone, and nothing that knows a mesh."""

from __future__ import annotations

from meshdoctor.present.table import Column

WORD_WIDTH = 8
COLUMNS = (
    Column("state", "OUTCOME", WORD_WIDTH, priority=0),
    Column("what", "WHAT WAS FOUND", 30, flex=1, priority=0),
)
RUNNING = "running"
"""The key of the row that stands for the step which runs now."""
