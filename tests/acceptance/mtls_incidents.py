"""Scores the named disagreements of mTLS on recorded incidents: where the fault is one of mTLS, and only there.

Two points an incident whose cause lies in the branch `mtls` of the vocabulary: a disagreement is active, and an active
one names a resource of the answer. One point every other incident: none is active. Left out are the causes of other
branches whose calls are refused for want of mTLS too (an init container, a call by address, TLS on a port for HTTP).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.mtls.findings import findings
from meshdoctor.mesh.mtls.patterns import Disagreement
from meshdoctor.mesh.mtls.view import MtlsView, object_wants, proxy_wants
from meshdoctor.sources.recording import RecordingSource
from tests.acceptance.scoring import Score

CAUSES = Path(__file__).resolve().parents[2] / "meshdoctor" / "guide" / "causes.yaml"
_REFUSED_AS_WELL = {
    "init-container-needs-network",
    "sidecar-start-race",
    "headless-or-pod-ip-call",
    "injection-missing",
    "wrong-protocol-on-http-port",
    "proxy-stale",
}


def score(incidents: Path) -> Score:
    """One recording after the other; whatever it could not read makes a miss, not an error."""
    causes = yaml.safe_load(CAUSES.read_text(encoding="utf-8"))["causes"]
    ours = {cause["id"] for cause in causes if cause["branch"] == "mtls"}
    right = total = 0
    misses: list[str] = []
    for case in sorted(incidents.glob("*/case.json")):
        expected: dict[str, Any] = json.loads(case.read_text(encoding="utf-8"))["expected"]
        named = set(expected["causes"])
        if named & _REFUSED_AS_WELL:
            continue
        active = [entry for entry in _disagreements(case.with_name("recording.tar.xz")) if entry.seen]
        answers = [bool(active) == bool(named & ours)]
        if named & ours:
            answers.append(any(_names(entry, expected["resources"]) for entry in active))
        right += sum(answers)
        total += len(answers)
        if not all(answers):
            found = sorted({entry.pattern.name for entry in active})
            misses.append(f"{case.parent.name} {', '.join(expected['causes'])}: {', '.join(found) or 'nothing'}")
    return Score("mtls_incidents", right, total, misses)


def _disagreements(recording: Path) -> tuple[Disagreement, ...]:
    source = RecordingSource.open(recording)
    snapshot = source.read(object_wants())
    snapshot = source.read(proxy_wants(MeshIndex(snapshot)), snapshot)
    view = MtlsView(MeshIndex(snapshot))
    return findings(view, view.matrix())


def _names(found: Disagreement, resources: list[str]) -> bool:
    """A pod stands for the workload whose name it begins with."""
    for resource in resources:
        kind, _, name = resource.partition(" ")
        if resource in found.objects:
            return True
        if kind in ("Deployment", "StatefulSet", "DaemonSet"):
            pods = (text.partition(" ")[2] for text in found.objects if text.startswith("Pod "))
            if any(pod.startswith(f"{name}-") for pod in pods):
                return True
    return False
