"""The flowchart of the book as data (flowchart.toml): branches in order, when each is entered, and its probes."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import NamedTuple

from meshdoctor.mesh.probe import Probe


class Branch(NamedTuple):
    """A branch is entered when the case's signature has one of *when*, or always when *when* is empty."""

    id: str
    title: str
    title_ko: str
    when: frozenset[str]
    probes: tuple[str, ...]

    def entered(self, signature: frozenset[str]) -> bool:
        return not self.when or bool(self.when & signature)


@cache
def branches() -> tuple[Branch, ...]:
    text = files("meshdoctor.guide").joinpath("flowchart.toml").read_text("utf-8")
    return tuple(
        Branch(entry["id"], entry["title"], entry["title_ko"], frozenset(entry["when"]), tuple(entry["probes"]))
        for entry in tomllib.loads(text)["branch"]
    )


@cache
def probe(name: str) -> Probe:
    """The probe of that name: `probes/<name>.py` with dashes as underscores, loaded when it is first asked for."""
    module = import_module(f"meshdoctor.probes.{name.replace('-', '_')}")
    found: Probe = module.PROBE
    return found


def all_probes() -> tuple[str, ...]:
    """Every probe that some branch names, in the flowchart's order."""
    return tuple(dict.fromkeys(name for branch in branches() for name in branch.probes))
