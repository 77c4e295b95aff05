"""Two moments of a mesh, each read and diagnosed, and what changed between them: its facts, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from meshdoctor.guide.diagnosis import Diagnosis, Judgement
from meshdoctor.guide.examination import Examination
from meshdoctor.guide.walk import Reader
from meshdoctor.mesh.comparison import ADDED, CHANGED, REMOVED, Change, compare, wanted
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model.snapshot import Snapshot, SourceInfo

FINDING = "finding"


class Reading(NamedTuple):
    """The mesh at one moment; *diagnosis* is None where nobody walked the flowchart then."""

    name: str
    mesh: MeshIndex
    diagnosis: Diagnosis | None = None


def read_moment(name: str, read: Reader, info: SourceInfo) -> Reading:
    """Everything that is compared of the moment that *read* answers for."""
    examination = Examination(read, Snapshot(info, {}))
    mesh = examination.mesh
    mesh.extend(read(mesh.snapshot.lacks(wanted(mesh)), mesh.snapshot))
    for _ in examination.steps():
        pass
    return Reading(name, mesh, examination.diagnosis())


def compare_readings(before: Reading, after: Reading) -> tuple[Change, ...]:
    """Every difference, what is wrong first; it is left out where one of the two was not diagnosed."""
    found = findings(before.diagnosis, after.diagnosis) if before.diagnosis and after.diagnosis else ()
    return (*found, *compare(before.mesh, after.mesh))


def findings(before: Diagnosis, after: Diagnosis) -> Iterator[Change]:
    """Which verdicts came, went, and changed; whether requests fail."""
    if before.now != after.now:
        yield Change(FINDING, CHANGED, "requests", "", (f"now: {before.now} -> {after.now}",))
    old, new = _verdicts(before), _verdicts(after)
    for key in dict.fromkeys((*new, *old)):
        one, other = old.get(key), new.get(key)
        if one is None and other is not None:
            yield Change(FINDING, ADDED, *key, (other.summary, f"state: {other.state}"))
        elif other is None and one is not None:
            yield Change(FINDING, REMOVED, *key, (one.summary, f"state: {one.state}"))
        elif one is not None and other is not None and one.state != other.state:
            yield Change(FINDING, CHANGED, *key, (f"state: {one.state} -> {other.state}", other.summary))


def _verdicts(diagnosis: Diagnosis) -> dict[tuple[str, str], Judgement]:
    """By cause and object, as a diagnosis merges them; that nothing is wrong is no finding."""
    return {
        (one.cause, str(one.resources[0]) if one.resources else ""): one
        for one in diagnosis.verdicts
        if one.cause != "healthy"
    }


def verdict_sides(before: Reading, after: Reading, change: Change) -> tuple[Judgement | None, Judgement | None]:
    """The verdict that a change of area `finding` is about, at both moments."""
    one, other = (
        _verdicts(reading.diagnosis).get((change.subject, change.name)) if reading.diagnosis else None
        for reading in (before, after)
    )
    return one, other
