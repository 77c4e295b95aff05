"""The differences between two moments as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshdoctor.mesh.comparison import Change

_SHOWN = 8


def change_lines(changes: Iterable[Change]) -> Iterator[str]:
    """The changes, an area after the other, each with its first details."""
    area = ""
    for change in changes:
        if change.area != area:
            yield from ("",) if area else ()
            area = change.area
            yield area.upper()
        yield f"  {change.change:8} {change.subject} {change.name}".rstrip()
        for detail in change.details[:_SHOWN]:
            yield f"           {detail}"
        if len(change.details) > _SHOWN:
            yield f"           and {len(change.details) - _SHOWN} more"
    if not area:
        yield "Nothing changed in what was read at both moments."
