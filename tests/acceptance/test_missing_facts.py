"""What could not be read never becomes an accusation, nor a crash: real incidents with whole rooms of files gone."""

from __future__ import annotations

import re

import msgspec
import pytest

from meshdoctor.errors import NothingMatches
from meshdoctor.recording.raw import RawRecording, open_recording
from meshdoctor.sources.recording import RecordingSource
from tests.acceptance.incidents import Case, diagnose, false_culprits, incidents, question_of
from tests.acceptance.scoring import SHARED

INCIDENTS = SHARED / "incidents"

# What a person without enough rights, or a recorder that was cut off, does not bring home.
CATEGORIES = {
    "application logs": r"logs/[^/]+/[^/]+/(?!istio-proxy|discovery)[^/]*\.log",
    "proxy logs": r"logs/[^/]+/[^/]+/istio-proxy\.log",
    "events": r"kube/.*/events\.json",
    "cluster statuses": r"envoy/.*/clusters\.json",
    "proxy configurations": r"(envoy|ztunnel)/.*/config_dump\.json",
    "certificates": r"envoy/.*/certs\.json",
    "server info": r"envoy/.*/server_info\.json",
    "everything of Envoy": r"envoy/",
    "pods": r"kube/core/v1/pods\.json",
    "services": r"kube/core/v1/services\.json",
    "namespaces": r"kube/core/v1/namespaces\.json",
    "endpoint slices": r"kube/discovery",
    "workload objects": r"kube/apps/",
    "network policies": r"kube/networking\.k8s\.io/",
    "networking objects": r"kube/networking\.istio\.io/",
    "security objects": r"kube/security\.istio\.io/",
    "everything of Kubernetes": r"kube/",
    "istiod": r"istiod/",
}
# One incident of every kind of trouble: TLS, policy, routes, endpoints, stops, starts, limits, protocols, ambient.
SAMPLE = (
    "ambient-1363", "case-1298", "case-1863", "case-2119", "case-2592", "case-3153", "case-3448", "case-3556",
    "case-3701", "case-3753", "case-4153", "case-4703", "case-5348", "case-5649", "case-6158", "case-6215",
    "case-6251", "case-7116", "case-7163", "case-7401", "case-7581", "case-7698", "case-7929", "case-8607",
    "case-8603", "case-9229", "case-9424",
)  # fmt: skip


@pytest.fixture(scope="module")
def recordings() -> dict[str, tuple[Case, RawRecording]]:
    if not INCIDENTS.is_dir():
        pytest.skip(f"the incidents are not beside this checkout ({SHARED})")
    return {case["id"]: (case, open_recording(path)) for case, path in incidents(INCIDENTS) if case["id"] in SAMPLE}


@pytest.mark.parametrize("category", CATEGORIES)
def test_without(category: str, recordings: dict[str, tuple[Case, RawRecording]]) -> None:
    assert len(recordings) >= len(SAMPLE) - 2, "incidents were renamed: choose a new sample"
    accused = []
    for name, (case, recording) in recordings.items():
        kept = {file: read for file, read in recording.files.items() if not re.match(CATEGORIES[category], file)}
        source = RecordingSource(msgspec.structs.replace(recording, files=kept))
        for question in dict.fromkeys((question_of(case), None)):
            try:
                diagnosis = diagnose(source, question)
            except NothingMatches:
                continue  # without the list of pods or Services the question names nothing: said so, not guessed
            wrong = false_culprits(case["expected"], diagnosis)
            if wrong:
                accused.append(f"{name} {'blind' if question is None else 'asked'}: {wrong}")
    assert not accused, "\n".join(accused)
