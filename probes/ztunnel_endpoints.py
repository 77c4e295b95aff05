"""ztunnel found no healthy endpoint behind the Service: why is there none?"""

from __future__ import annotations

from meshdoctor.mesh.backends import Backend, why_no_pods
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Finding, Verdict, cleared, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.interruptions import NoPods
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, logged, remedy
from meshdoctor.mesh.ztunnel.failures import NO_UPSTREAM, UNLOGGED, ended, explained, failures, unlogged
from meshdoctor.model.pods import is_ready


def examine(case: Case, mesh: MeshIndex) -> Finding:
    logged_by_ztunnel = failures(case, NO_UPSTREAM)
    lines = logged_by_ztunnel or unlogged(case, mesh)
    if not lines:
        return not_applicable("ztunnel found an endpoint for every connection")
    said = lines_say(lines, logged(lines[-1]))
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    if service is None:
        return inconclusive(f"{case.destination} has no healthy endpoint, and it is no Service that was read", said)
    if not all(mesh.complete(kind, service.namespace) for kind in ("Pod", "EndpointSlice")):
        return inconclusive(f"{service.key} has no healthy endpoint; pods or endpoints could not be read", said)
    if not logged_by_ztunnel and any(is_ready(pod) for pod in mesh.selected_pods(service)):
        return cleared(f"{service.key} has a Ready pod")
    why = why_no_pods(mesh, Backend(service, case.destination.port), lines, ended(case, lines))
    if not isinstance(why, NoPods):
        return inconclusive(why, said)
    evidence = (said, *why.evidence)
    told = explained(case, lines) if logged_by_ztunnel else lines
    confidence = why.confidence if logged_by_ztunnel else min(why.confidence, UNLOGGED)
    return culprit(Verdict(why.cause, confidence, why.summary, why.resources, evidence, remedy(why.fix), told))


PROBE = Probe(
    "ztunnel-endpoints",
    "Why does ztunnel find no endpoint?",
    ("no-endpoints", "endpoints-not-ready", "no-ready-pod-in-rollout", "app-crashed"),
    examine,
)
