"""Scores the request trace on recorded incidents: the question of each whose fault is one of configuration must end in
a failing hop, and one of a healthy mesh must not complain.

Left out are faults that no configuration shows: of applications, of timing, of one caller's bytes (a token, an old HTTP
version).
"""

from __future__ import annotations

import json
from pathlib import Path

from meshdoctor.mesh.trace.journey import journey
from meshdoctor.mesh.trace.outcome import Trace
from meshdoctor.mesh.trace.question import TraceQuestion, parse_target
from meshdoctor.model.snapshot import Snapshot
from meshdoctor.sources.recording import RecordingSource
from tests.acceptance.scoring import Score

_CAUSES = """
double-tls gateway-host-mismatch ca-mismatch mtls-plaintext-to-strict mtls-to-plaintext-server fault-injected
nothing-listens-on-target-port no-endpoints rate-limited missing-cluster connect-timeout-too-small
external-host-unresolved server-pool-overflow client-pool-overflow direct-response no-route subset-without-pods
san-mismatch all-endpoints-ejected endpoints-not-ready http-on-tcp-port packets-dropped authorization-denied
out-of-mesh-client-to-strict injection-missing wrong-protocol-on-http-port config-rejected gateway-tls-credential
host-outside-sidecar-scope route-timeout http2-http1-mismatch certificate-expired proxy-stale
l7-policy-at-ztunnel hbone-blocked ztunnel-down
"""
CONFIGURATION = frozenset(_CAUSES.split())


def score(corpus: Path) -> Score:
    """A point for each incident that ends as it must."""
    right = total = 0
    misses: list[str] = []
    for file in sorted(corpus.glob("*/case.json")):
        case = json.loads(file.read_bytes())
        cause = case["expected"]["causes"][0]
        healthy = cause == "healthy"
        if not case["question"] or not (healthy or cause in CONFIGURATION):
            continue
        found = follow(next(iter(sorted(file.parent.glob("recording.*"))), file.parent), case["question"])
        ends = found.failing and found.hops[-1].verdict in ("fails", "may fail")
        good = not found.failing if healthy else ends
        total += 1
        right += good
        if not good:
            misses.append(f"{file.parent.name} {cause}: {found.outcome.why}")
    return Score("trace_incidents", right, total, misses)


def follow(recording: Path, question: dict[str, str]) -> Trace:
    """The trace of an incident's question; a port that is HTTPS by convention is called with TLS."""
    source = RecordingSource.open(recording)
    namespace, _, client = question["from"].partition("/")
    target = parse_target(question["to"])
    tls = target.tls or target.port in (443, 8443)
    asked = TraceQuestion(namespace, client, target.host, target.port, target.path, tls=tls)
    snapshot = Snapshot(source.info, {})
    found, lacking = journey(snapshot, asked)
    for _ in range(20):
        if not lacking:
            break
        snapshot = source.read(lacking, snapshot)
        found, lacking = journey(snapshot, asked)
    return found
