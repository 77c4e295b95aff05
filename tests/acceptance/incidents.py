"""Scores the diagnosis on recorded incidents of a real mesh, each asked twice: with its question, and with none at all.

A point when the first verdict is the expected cause and names an expected object, every expected cause is among the
verdicts, and no verdict above 0.6 is a false one. (`judge` reads `case.json`, the program never does.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meshdoctor.errors import MeshDoctorError
from meshdoctor.guide.diagnosis import Diagnosis, Judgement
from meshdoctor.guide.examination import Examination
from meshdoctor.mesh.finding import CONFIGURATION_ONLY
from meshdoctor.mesh.question import Question, parse_question
from meshdoctor.model.snapshot import Snapshot
from meshdoctor.sources.recording import RecordingSource
from tests.acceptance.scoring import Score

Case = dict[str, Any]


def score(corpus: Path) -> Score:
    """Every incident of *corpus* with its question, then all of them blind."""
    right = total = 0
    misses: list[str] = []
    for case, recording in incidents(corpus):
        for asked in (True, False):
            total += 1
            wrong = _run(case, recording, asked)
            right += not wrong
            if wrong:
                misses.append(f"{case['id']}{'' if asked else ' (blind)'}: {wrong}")
    return Score("incidents", right, total, misses)


def incidents(corpus: Path) -> Iterator[tuple[Case, Path]]:
    """Every case with its recording, in the order of their names."""
    for file in sorted(corpus.glob("*/case.json")):
        yield json.loads(file.read_text("utf-8")), next(iter(sorted(file.parent.glob("recording.*"))), file.parent)


def question_of(case: Case) -> Question | None:
    """What a person would ask in the case; None when the program has to find the failing traffic by itself."""
    asked = case.get("question")
    return parse_question(asked.get("from", ""), asked.get("to", "")) if asked else None


def diagnose(source: RecordingSource, question: Question | None) -> Diagnosis:
    """What `meshdoctor diagnose` says, in this process."""
    examination = Examination(source.read, Snapshot(source.info, {}), question)
    for _ in examination.steps():
        continue
    return examination.diagnosis()


def _run(case: Case, recording: Path, asked: bool) -> str:
    try:
        diagnosis = diagnose(RecordingSource.open(recording), question_of(case) if asked else None)
    except MeshDoctorError as error:
        return f"no diagnosis: {error}"
    return judge(case["expected"], diagnosis)


def sure(diagnosis: Diagnosis) -> list[Judgement]:
    """The verdicts that claim more than a fault in configuration alone may."""
    return [verdict for verdict in diagnosis.verdicts if verdict.confidence > CONFIGURATION_ONLY]


def false_culprits(expected: dict[str, list[str]], diagnosis: Diagnosis) -> list[str]:
    """The worst thing that can happen: sure verdicts that are neither expected nor allowed beside the expected ones."""
    allowed = {*expected["causes"], *expected.get("or_first", []), *expected.get("may_also_name", [])}
    return [verdict.cause for verdict in sure(diagnosis) if verdict.cause not in allowed]


def judge(expected: dict[str, list[str]], diagnosis: Diagnosis) -> str:
    """What is wrong with a diagnosis in a few words; "" when it is right."""
    found = sure(diagnosis)
    said = " ".join(f"{verdict.cause}:{verdict.confidence}" for verdict in diagnosis.verdicts[:4]) or "nothing"
    wrong = false_culprits(expected, diagnosis)
    if wrong:
        return f"accuses falsely {', '.join(wrong)} (it is {expected['causes']})"
    if not found or found[0].cause not in {expected["causes"][0], *expected.get("or_first", [])}:
        return f"first should be {expected['causes'][0]}, said {said}"
    missing = set(expected["causes"]) - {verdict.cause for verdict in diagnosis.verdicts}
    if missing:
        return f"does not name {', '.join(sorted(missing))}, said {said}"
    named = {str(resource) for resource in found[0].resources}
    if expected.get("resources") and not named & set(expected["resources"]):
        return f"names {', '.join(sorted(named))}, not {', '.join(expected['resources'])}"
    return ""
