"""The contract of a probe: what it wants to read, and what it concludes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Finding
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model.snapshot import Want


class Probe(NamedTuple):
    """One question of the flowchart.

    *causes* are the ids of causes.yaml that it can name; *needs* the wants of a case beyond the traffic itself;
    *examine* a pure function of the case and the facts.
    """

    id: str
    question: str
    causes: tuple[str, ...]
    examine: Callable[[Case, MeshIndex], Finding]
    needs: Callable[[Case, MeshIndex], Iterable[Want[Any]]] = lambda case, mesh: ()
