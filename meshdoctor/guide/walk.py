"""Walks the flowchart for a case, one step at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from meshdoctor.guide.flowchart import Branch, branches, probe
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Finding, Verdict
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model.snapshot import Snapshot, Want

SURE = 0.85
"""From this confidence on, the lines that a verdict explains are settled and no later probe sees them."""

Reader = Callable[[Iterable[Want[Any]], Snapshot], Snapshot]


class Step(NamedTuple):
    """One probe that ran for one case, and how long it took in seconds."""

    branch: Branch
    probe: str
    case: Case
    finding: Finding
    seconds: float


def walk(case: Case, mesh: MeshIndex, read: Reader) -> Iterator[Step]:
    """The steps for *case*: in every branch that its failures lead to, every probe that still has something to explain.

    *read* fetches what the next probe wants (a source's `read`); nothing else is fetched.
    """
    done: set[str] = set()
    open_case = case
    for branch in branches():
        if not branch.entered(open_case.signature):
            continue
        for name in branch.probes:
            if name in done or (case.failures and not open_case.failures):
                continue
            done.add(name)
            step = _step(branch, name, open_case, mesh, read)
            yield step
            open_case = open_case.without(settled(open_case, step.finding.verdicts))


def _step(branch: Branch, name: str, case: Case, mesh: MeshIndex, read: Reader) -> Step:
    began = time.perf_counter()
    found = probe(name)
    lacking = mesh.snapshot.lacks(found.needs(case, mesh))
    if lacking:
        mesh.extend(read(lacking, mesh.snapshot))
    finding = found.examine(case, mesh)
    return Step(branch, name, case, finding, time.perf_counter() - began)


def settled(case: Case, verdicts: Iterable[Verdict]) -> list[Any]:
    """The failing lines, of both sides, that sure verdicts explain."""
    return [seen for verdict in verdicts if verdict.confidence >= SURE for seen in case.together(verdict.lines)]
