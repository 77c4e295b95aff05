"""A client that is made to speak mutual TLS to a server that answers in plain text."""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.finding import Evidence, Finding, Verdict, culprit, inconclusive
from meshdoctor.mesh.handshake.failure import FailedHandshake
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.mtls.peer_authentication import DISABLE
from meshdoctor.mesh.peer_policy import decider, server_policy
from meshdoctor.mesh.quoting import remedy
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.pods import has_sidecar

_INCLUDED, _EXCLUDED = (
    "traffic.sidecar.istio.io/includeInboundPorts",
    "traffic.sidecar.istio.io/excludeInboundPorts",
)


def _is_excluded(server: k8s.Pod, port: int) -> bool:
    """Whether connections to *port* of a pod go past its sidecar (istio-init's annotations; `*` or nothing: every)."""
    marks = server.metadata.annotations
    included = [one.strip() for one in marks.get(_INCLUDED, "*").split(",")]
    excluded = [one.strip() for one in marks.get(_EXCLUDED, "").split(",")]
    return str(port) in excluded or ("*" not in included and str(port) not in included)


def plaintext_server(mesh: MeshIndex, failed: FailedHandshake) -> Finding:
    """Who forces TLS on the client, and why the server speaks none: no sidecar, or a policy with mode DISABLE."""
    owner, server, said = failed.rule(mesh), failed.server, failed.said
    if server is None:
        return inconclusive("the server answers in plain text, and it is no pod that was recorded", said)
    ref = server.ref
    if not has_sidecar(server):
        shown = Evidence(f"{ref} has no sidecar", mesh.file("Pod"), str(ref))
        resources = tuple(one for one in (owner, blame.of_workload(mesh.workload(ref))) if one)
    elif _is_excluded(server, failed.port):
        shown = Evidence(
            f"annotations keep port {failed.port} of {ref} away from its sidecar", mesh.file("Pod"), str(ref)
        )
        workload = blame.of_workload(mesh.workload(ref), "spec.template.metadata.annotations")
        resources = tuple(one for one in (owner, workload) if one)
    else:
        policy, port = server_policy(mesh, server), failed.port
        if policy.for_port(port) != DISABLE:
            return inconclusive(f"{ref} answers in plain text, though its policy is {policy.for_port(port)}", said)
        peer = decider(policy, port)
        shown = Evidence(policy.reason_for(port), mesh.file("PeerAuthentication"), str(peer or ""))
        resources = tuple(one for one in (owner, peer) if one)
    if not resources:
        return inconclusive("the server answers in plain text, and no object forces TLS on the caller", said)
    return culprit(
        Verdict(
            "mtls-to-plaintext-server",
            0.96,
            f"{resources[0]} forces mutual TLS towards {ref}, which only speaks plain text",
            resources,
            (said, shown),
            remedy(f"Remove the tls block of {resources[0]} (auto mTLS then chooses), or make the server accept mTLS."),
            failed.lines,
        )
    )
