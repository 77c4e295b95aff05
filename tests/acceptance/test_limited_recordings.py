"""Recordings of some namespaces: no verdict is wrong, and a fault whose both ends were recorded is still found."""

from __future__ import annotations

import pytest

from meshdoctor.errors import NothingMatches
from meshdoctor.model import wants as ask
from meshdoctor.model.istiod import MeshConfig
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.snapshot import Missing
from meshdoctor.recording.limited import limited
from meshdoctor.recording.raw import RawRecording, open_recording
from meshdoctor.sources.recording import RecordingSource
from meshdoctor.sources.scope import scope
from tests.acceptance.incidents import Case, diagnose, false_culprits, incidents, question_of
from tests.acceptance.scoring import SHARED
from tests.acceptance.test_missing_facts import SAMPLE

INCIDENTS = SHARED / "incidents"


@pytest.fixture(scope="module")
def recordings() -> dict[str, tuple[Case, RawRecording]]:
    if not INCIDENTS.is_dir():
        pytest.skip(f"the incidents are not beside this checkout ({SHARED})")
    return {case["id"]: (case, open_recording(path)) for case, path in incidents(INCIDENTS) if case["id"] in SAMPLE}


def of_namespaces(recording: RawRecording, named: tuple[str, ...]) -> RecordingSource:
    """What `record --namespaces` keeps of it."""
    snapshot = RecordingSource(recording).read([ask.Mesh(), ask.Objects("Pod")])
    pods = [pod for pod in snapshot.value(ask.Objects("Pod")) or () if isinstance(pod, Pod)]
    namespaces = scope(named, pods, snapshot.value(ask.Mesh()) or MeshConfig())
    return RecordingSource(limited(recording, namespaces, "--namespaces"))


def others(recording: RawRecording) -> list[str]:
    """The namespaces of applications."""
    pods = RecordingSource(recording).read([ask.Objects("Pod")]).get(ask.Objects("Pod"))
    assert not isinstance(pods, Missing)
    return sorted({pod.namespace for pod in pods.value} - {"istio-system"})


def test_no_verdict_becomes_wrong(recordings: dict[str, tuple[Case, RawRecording]]) -> None:
    assert len(recordings) >= len(SAMPLE) - 2, "incidents were renamed: choose a new sample"
    accused: list[str] = []
    lost: list[str] = []
    asked = 0
    for name, (case, recording) in recordings.items():
        known = others(recording)
        for named in (*((one,) for one in known), *(tuple(one for one in known if one != left) for left in known)):
            source = of_namespaces(recording, named)
            for question in dict.fromkeys((question_of(case), None)):
                try:
                    diagnosis = diagnose(source, question)
                except NothingMatches:
                    continue  # the question names somebody of another namespace
                wrong = false_culprits(case["expected"], diagnosis)
                if wrong:
                    accused.append(f"{name} of {named} {'blind' if question is None else 'asked'}: {wrong}")
                if question is not None and _both_ends(case, named):
                    asked += 1
                    first = diagnosis.verdicts[0].cause if diagnosis.verdicts else ""
                    if first not in case["expected"]["causes"]:
                        lost.append(f"{name} of {named}: {first or 'nothing'}")
    assert not accused, "\n".join(accused)
    assert not lost, "a fault between two recorded namespaces is found:\n" + "\n".join(lost)
    assert asked > 30


def _both_ends(case: Case, named: tuple[str, ...]) -> bool:
    """Whether the caller and the Service that it calls (`NAME.NAMESPACE…:PORT`) are of these namespaces."""
    client = case["question"]["from"].partition("/")[0]
    host = case["question"]["to"].partition(":")[0].split(".")
    return client in named and len(host) > 1 and host[1] in named
