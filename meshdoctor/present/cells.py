"""How much of a text fits into so many terminal cells; a Korean letter takes two."""

from __future__ import annotations

from rich.cells import cell_len


def cells_from_start(text: str, room: int) -> int:
    """How many characters from the start of *text* fit in *room* cells."""
    used = 0
    for index, character in enumerate(text):
        used += cell_len(character)
        if used > room:
            return index
    return len(text)


def fitting(text: str, room: int) -> int:
    """The same, but at least one: where a text is broken, every line takes something of it."""
    return max(1, cells_from_start(text, room))
