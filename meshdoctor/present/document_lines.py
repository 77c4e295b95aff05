"""An object or an answer as lines of text: Kubernetes objects as YAML, Envoy's and istiod's answers as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.text import Text

from meshdoctor.mesh.places import Place
from meshdoctor.model.text import visible
from meshdoctor.present.cells import fitting
from meshdoctor.present.datatext import yaml_text
from meshdoctor.present.table import Cell
from meshdoctor.present.words import Words

MANAGED_FIELDS, LAST_APPLIED = "managedFields", "kubectl.kubernetes.io/last-applied-configuration"
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
        metadata, left_out = _without_copies(value["metadata"])
        said = [comment(words("document.left_out", names=", ".join(left_out)))] if left_out else []
        return [*said, *visible(yaml_text({**value, "metadata": metadata})).splitlines()]
    return list(visible(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()).splitlines())


def _without_copies(metadata: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """*metadata* without what repeats the object and would push it out of sight, and the names of what that was."""
    left_out = [MANAGED_FIELDS] if MANAGED_FIELDS in metadata else []
    kept = {key: entry for key, entry in metadata.items() if key != MANAGED_FIELDS}
    annotations = kept.get("annotations")
    if isinstance(annotations, dict) and LAST_APPLIED in annotations:
        left_out.append(LAST_APPLIED.partition("/")[2])
        kept["annotations"] = {key: entry for key, entry in annotations.items() if key != LAST_APPLIED}
        if not kept["annotations"]:
            del kept["annotations"]
    return kept, left_out


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
            taken = fitting(rest, room)
            yield rest[:taken] if first else indent + rest[:taken]
            rest, first = rest[taken:], False
