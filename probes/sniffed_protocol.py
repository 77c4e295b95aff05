"""A connection hangs, and no proxy says anything: does the sidecar wait for a client that never speaks first?

On a port whose protocol is not declared the caller's sidecar reads the first bytes before it connects anywhere
(http_inspector). Where the server speaks first (MySQL, SMTP, …) there are none, and both wait for each other.
"""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Lives
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.protocols import AUTO, of_service_port
from meshdoctor.mesh.quoting import lines_say, logged, object_says, remedy
from meshdoctor.mesh.traffic import CLIENT, GATEWAY, Seen
from meshdoctor.model.pods import has_sidecar

HTTP = ("http", "https", "grpc", "ws", "wss")
"""Whoever calls with these speaks first."""
ENOUGH = 3
HUNG_MS = 900.0
START_SECONDS = 5.0


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = tuple(seen for seen in case.calls if _hung(mesh, seen))
    if len(lines) < ENOUGH or len(lines) < len(case.calls) / 2:
        return not_applicable("no connection of a protocol other than HTTP hung")
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    port = next((one for one in service.spec.ports if one.port == case.destination.port), None) if service else None
    said = lines_say(lines, f"{logged(lines[-1])[:120]} after {lines[-1].duration or 0:.0f} ms, and no line of a proxy")
    if service is None or port is None:
        return inconclusive("connections hang; the port's declaration was not read", said)
    told = [seen for seen in case.seen if seen.side in (CLIENT, GATEWAY) and seen.access and seen.access.flags]
    if of_service_port(port) != AUTO or told or any(not seen.failed for seen in case.seen):
        return not_applicable("the port's protocol is declared, or a proxy tells why the connections fail")
    resource = blame.of_service(case.destination, "spec.ports[].name")
    assert resource is not None
    named = f"named {port.name}" if port.name else "without a name"
    return culprit(
        Verdict(
            "server-first-protocol-sniffed",
            0.87,
            f"Port {port.port} ({named}) of {resource} declares no protocol, so the sidecar waits for the client to "
            "speak first, and neither does",
            (resource,),
            (
                said,
                object_says(mesh, "Service", service, f"port {port.port} is {named}: its protocol is detected"),
                Evidence("the caller's sidecar was ready, and connected nowhere for these calls"),
            ),
            remedy(f"Declare the protocol in {resource}: appProtocol: tcp (or mysql, …), or a port name tcp-…"),
            lines,
        )
    )


def _hung(mesh: MeshIndex, seen: Seen) -> bool:
    """Whether a call ended without an answer after a while, in a pod whose sidecar was there."""
    call, pod = seen.call, mesh.pods.get(seen.pod)
    if call is None or call.status or pod is None or not has_sidecar(pod) or call.url.partition("://")[0] in HTTP:
        return False
    life = mesh.derived(Lives).by_ref.get(seen.pod)
    moment = seen.start or 0.0
    was_up = life is not None and life.ready is not None and moment > life.ready + START_SECONDS
    return was_up and life is not None and not life.is_stopping(moment) and (seen.duration or 0.0) >= HUNG_MS


PROBE = Probe(
    "sniffed-protocol",
    "Does the sidecar wait for a client that never speaks first?",
    ("server-first-protocol-sniffed",),
    examine,
)
