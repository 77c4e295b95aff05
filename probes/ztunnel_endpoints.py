"""ztunnel found no healthy endpoint behind the Service: why is there none?"""

from __future__ import annotations

from meshdoctor.mesh.backends import Backend, NoPods, why_no_pods
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Finding, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, logged, remedy
from meshdoctor.mesh.tunnel_failures import NO_UPSTREAM, ended, explained, failures


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = failures(case, NO_UPSTREAM)
    if not lines:
        return not_applicable("ztunnel found an endpoint for every connection")
    said = lines_say(lines, logged(lines[-1]))
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    if service is None:
        return inconclusive(f"{case.destination} has no healthy endpoint, and it is no Service that was read", said)
    if not mesh.known("Pod") or not mesh.known("EndpointSlice"):
        return inconclusive(f"{service.key} has no healthy endpoint; pods or endpoints could not be read", said)
    why = why_no_pods(mesh, Backend(service, case.destination.port), lines, ended(case, lines))
    if not isinstance(why, NoPods):
        return inconclusive(why, said)
    evidence = (said, *why.evidence)
    told = explained(case, lines)
    return culprit(Verdict(why.cause, why.confidence, why.summary, why.resources, evidence, remedy(why.fix), told))


PROBE = Probe(
    "ztunnel-endpoints",
    "Why does ztunnel find no endpoint?",
    ("no-endpoints", "endpoints-not-ready", "no-ready-pod-in-rollout", "app-crashed"),
    examine,
)
