"""An object or an answer as lines of text: Kubernetes objects as YAML, Envoy's and istiod's answers as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.text import Text

from meshdoctor.mesh.places import Place
from meshdoctor.model.text import visible
from meshdoctor.present.datatext import yaml_text
from meshdoctor.present.table import Cell
from meshdoctor.present.words import Words

MOST_LINES = 50_000
"""A view holds so many lines; what is more is said."""


def comment(text: str) -> Text:
    """A line that is not part of the object."""
    return Text(f"# {text}", style="quiet")


def document_lines(title: str, places: Iterable[Place], words: Words) -> list[Cell]:
    """Every object in *places* under a line with its name."""
    lines: list[Cell] = [comment(title)]
    places = list(places)
    for place in places:
        if place.name and len(places) > 1:
            lines += ["", comment(place.name)]
        lines += object_lines(place.value, words)
    return capped(lines, words)


def object_lines(value: Any, words: Words) -> list[Cell]:
    """One object; Envoy's have metadata, too, and a type that Kubernetes' have not."""
    if _is_kubernetes(value):
        metadata = {key: entry for key, entry in value["metadata"].items() if key != "managedFields"}
        left_out = [comment(words("document.managed_fields"))] if len(metadata) < len(value["metadata"]) else []
        return [*left_out, *visible(yaml_text({**value, "metadata": metadata})).splitlines()]
    return list(visible(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()).splitlines())


def _is_kubernetes(value: Any) -> bool:
    metadata = value.get("metadata") if isinstance(value, dict) and "@type" not in value else None
    return isinstance(metadata, dict) and "filter_metadata" not in metadata


def capped(lines: list[Cell], words: Words) -> list[Cell]:
    """*lines*, or the first of them and how many there are more."""
    if len(lines) <= MOST_LINES:
        return lines
    return [*lines[:MOST_LINES], comment(words("document.more", count=f"{len(lines) - MOST_LINES:,}"))]


def folded(lines: Iterable[Cell], width: int) -> Iterator[Cell]:
    """*lines* with those that are too long continued on the next ones: nothing is cut off at the edge."""
    for line in lines:
        if not isinstance(line, str) or cell_len(line) <= width:
            yield line
            continue
        indent = " " * min(len(line) - len(line.lstrip()) + 2, max(0, width - 2) // 2)
        rest, first = line, True
        while rest:
            room = width if first else width - len(indent)
            taken = _fitting(rest, room)
            yield rest[:taken] if first else indent + rest[:taken]
            rest, first = rest[taken:], False


def _fitting(text: str, room: int) -> int:
    """How many characters of *text* fit in *room* cells, at least one."""
    used = 0
    for index, character in enumerate(text):
        used += cell_len(character)
        if used > room:
            return max(1, index)
    return len(text)
