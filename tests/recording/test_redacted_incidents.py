"""A bundle of a recorded incident says what the recording says: redaction takes nothing that a verdict needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdoctor.mesh.question import Question
from meshdoctor.recording.bundle.recorder import record_recording
from meshdoctor.recording.bundle.writer import BundleWriter
from meshdoctor.recording.opening import open_any
from meshdoctor.sources.recording import RecordingSource
from tests.acceptance.incidents import Case, diagnose, incidents, question_of
from tests.acceptance.scoring import SHARED
from tests.acceptance.test_missing_facts import SAMPLE
from tests.acceptance.trace_incidents import follow

CASES = [
    found
    for found in (incidents(SHARED / "incidents") if (SHARED / "incidents").is_dir() else ())
    if found[0]["id"] in SAMPLE or found[0]["id"].startswith("ambient-")
]


def said(recording: Path, question: Question | None) -> list[tuple[str, float, list[str]]]:
    verdicts = diagnose(RecordingSource.open(recording), question).verdicts
    return [(found.cause, found.confidence, sorted(str(one) for one in found.resources)) for found in verdicts]


@pytest.mark.skipif(not CASES, reason=f"the incidents are not beside this checkout ({SHARED})")
@pytest.mark.parametrize(("case", "recording"), CASES, ids=[case["id"] for case, _ in CASES])
def test_verdicts_and_trace_are_those_of_the_recording(case: Case, recording: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "incident.mdb"
    with BundleWriter(bundle, now=lambda: 1_770_000_000.0) as writer:
        record_recording(writer, open_any([recording]))
    for question in dict.fromkeys((question_of(case), None)):
        assert said(bundle, question) == said(recording, question)
    if case["question"]:
        before, after = follow(recording, case["question"]), follow(bundle, case["question"])
        assert (after.failing, str(after.outcome.why)) == (before.failing, str(before.outcome.why))
