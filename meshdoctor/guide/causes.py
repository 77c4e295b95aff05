"""The vocabulary of a verdict: causes.yaml, the one list of names that a diagnosis uses."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import yaml


class Cause(NamedTuple):
    """One entry of causes.yaml; *layer* says who has to act, *branch* which branch of the flowchart leads there."""

    id: str
    branch: str
    layer: str
    title: str


@cache
def causes() -> dict[str, Cause]:
    """Every cause by its id, in the order of the file."""
    text = files("meshdoctor.guide").joinpath("causes.yaml").read_bytes()
    entries = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["causes"]
    return {entry["id"]: Cause(entry["id"], entry["branch"], entry["layer"], entry["title"]) for entry in entries}
