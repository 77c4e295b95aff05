"""Who sent plain text to a STRICT workload of the ambient mesh: a client that left the mesh, or one not captured?"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from meshdoctor.mesh import blame
from meshdoctor.mesh.ambient import NONE, is_captured, mode, should_be_captured
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Lives
from meshdoctor.mesh.mtls.peer_authentication import STRICT, MergedPolicy, PeerAuthentications
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, object_says, remedy
from meshdoctor.mesh.traffic import Seen
from meshdoctor.mesh.ztunnel.failures import PLAINTEXT, UNLOGGED, explained, failures, since, unlogged
from meshdoctor.mesh.ztunnel.tunnels import source_pod, target_pod
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.labels import DATAPLANE_MODE
from meshdoctor.model.moment import unix
from meshdoctor.model.pods import has_proxy, served_port


def examine(case: Case, mesh: MeshIndex) -> Finding:
    said_so = failures(case, PLAINTEXT)
    lines = said_so or unlogged(case, mesh)
    servers = _servers(case, mesh, lines)
    if not said_so:
        lines = since(lines, _strict_since(case, mesh, servers))
    if not lines:
        return not_applicable("no plain text was rejected by ztunnel")
    said = lines_say(lines, logged(lines[-1]))
    strict = _strict(mesh, servers)
    refs = dict.fromkeys(source_pod(mesh, seen.tunnel) if seen.tunnel else seen.pod for seen in lines)
    pods = [mesh.pods[ref] for ref in refs if ref and ref in mesh.pods]
    if not pods:
        # A client whose pods are all gone, or none: nothing tells why it spoke plain text.
        nobody = not any(refs)
        return _outsider(case, mesh, lines, said, strict) if nobody else inconclusive("the client is gone", said)
    free = [pod for pod in pods if not is_captured(pod) and not has_proxy(pod)]
    if not mesh.complete("Namespace") and any(DATAPLANE_MODE not in pod.metadata.labels for pod in free):
        return inconclusive("whether the client's namespace is in the mesh could not be read", said)
    outside = [pod for pod in free if not should_be_captured(mesh, pod)]
    missed = [pod for pod in free if should_be_captured(mesh, pod)]
    told = explained(case, lines) if said_so else lines
    if outside:
        return culprit(_out_of_mesh(mesh, outside, told, (said, *strict), 0.97 if said_so else UNLOGGED))
    if missed:
        return culprit(_not_captured(mesh, missed, told, (said, *strict), 0.93 if said_so else UNLOGGED - 0.05))
    if not said_so:
        return not_applicable("the client's pods are in the mesh")
    return inconclusive(f"{listed(pod.key for pod in pods)} is in the mesh and still sent plain text", said)


def _servers(case: Case, mesh: MeshIndex, lines: Sequence[Seen]) -> list[k8s.Pod]:
    """The pods that rejected the connections; all captured ones of the Service where ztunnel did not say."""
    refs = dict.fromkeys(ref for seen in lines if seen.tunnel and (ref := target_pod(mesh, seen.tunnel)))
    found = [mesh.pods[ref] for ref in refs if ref in mesh.pods]
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    if found or service is None:
        return found
    return [pod for pod in mesh.selected_pods(service) if is_captured(pod)]


def _strict_since(case: Case, mesh: MeshIndex, servers: Sequence[k8s.Pod]) -> float:
    """Since when every server wants mTLS on the port that is called, in Unix seconds; infinity when one does not."""
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    born = [0.0]
    for pod in servers if service else ():
        port = served_port(service, case.destination.port, pod) if service else 0
        merged = _merged(mesh, pod)
        if merged.for_port(port) != STRICT:
            return inf
        deciding = merged.port_policy if port in merged.ports else merged.winner
        born.append((unix(deciding.metadata.creation_timestamp) if deciding else None) or 0.0)
    return max(born) if len(born) > 1 else inf


def _merged(mesh: MeshIndex, pod: k8s.Pod) -> MergedPolicy:
    return mesh.derived(_peer_authentications).for_workload(pod.namespace, pod.metadata.labels)


def _peer_authentications(mesh: MeshIndex) -> PeerAuthentications:
    found = mesh.objects("PeerAuthentication", istio.PeerAuthentication)
    return PeerAuthentications(found, mesh.mesh_config.root_namespace)


def _strict(mesh: MeshIndex, servers: Sequence[k8s.Pod]) -> tuple[Evidence, ...]:
    """The PeerAuthentications that make the servers STRICT."""
    winners: dict[str, istio.PeerAuthentication] = {}
    for pod in servers:
        merged = _merged(mesh, pod)
        for policy in (merged.winner, merged.port_policy):
            if policy:
                winners[policy.key] = policy
    return tuple(
        object_says(mesh, "PeerAuthentication", policy, f"PeerAuthentication {policy.key} makes the server STRICT")
        for policy in winners.values()
    )


def _out_of_mesh(
    mesh: MeshIndex,
    pods: Sequence[k8s.Pod],
    lines: tuple[Seen, ...],
    evidence: tuple[Evidence, ...],
    confidence: float,
) -> Verdict:
    pod = pods[0]
    owner = mesh.workload(next(ref for ref, found in mesh.pods.items() if found is pod))
    opted_out = mode(mesh, pod) == NONE
    where = "itself" if DATAPLANE_MODE in pod.metadata.labels else f"namespace {pod.namespace}"
    why = (
        f"label {DATAPLANE_MODE}: none of {where} keeps it out of the mesh"
        if opted_out
        else f"neither the pod nor namespace {pod.namespace} has the label {DATAPLANE_MODE}, and it has no sidecar"
    )
    resource = blame.of_workload(owner, "spec.template.metadata.labels")
    fix = (
        f"Remove {DATAPLANE_MODE}: none from {resource}"
        if opted_out
        else f"Label namespace {pod.namespace} with {DATAPLANE_MODE}=ambient"
    )
    return Verdict(
        "out-of-mesh-client-to-strict",
        confidence,
        f"{resource} is not in the mesh and calls a STRICT workload in plain text: {why}",
        (resource,) if opted_out else (resource, Resource("Namespace", "", pod.namespace, "metadata.labels")),
        (*evidence, object_says(mesh, "Pod", pod, why)),
        remedy(f"{fix}, or let the server's PeerAuthentication be PERMISSIVE for this client."),
        lines,
    )


def _not_captured(
    mesh: MeshIndex,
    pods: Sequence[k8s.Pod],
    lines: tuple[Seen, ...],
    evidence: tuple[Evidence, ...],
    confidence: float,
) -> Verdict:
    pod = pods[0]
    ref = next(ref for ref, found in mesh.pods.items() if found is pod)
    resource = blame.of_workload(mesh.workload(ref))
    life = mesh.derived(Lives).by_ref.get(ref)
    stopping = life is not None and life.stopped is not None
    return Verdict(
        "not-captured-by-ztunnel",
        0.6 if stopping else confidence,
        f"{resource} is labelled for ambient but not captured, so it calls a STRICT workload in plain text",
        (resource,),
        (*evidence, object_says(mesh, "Pod", pod, "the annotation ambient.istio.io/redirection: enabled is missing")),
        remedy(f"See the log of istio-cni on node {pod.spec.node_name}: why was {pod.key} not added? Then restart it."),
        lines,
    )


def _outsider(
    case: Case, mesh: MeshIndex, lines: tuple[Seen, ...], said: Evidence, strict: tuple[Evidence, ...]
) -> Finding:
    """A client that is no pod: of another cluster, a node, a virtual machine."""
    sources = listed(sorted({(seen.tunnel.src_addr or "").rpartition(":")[0] for seen in lines if seen.tunnel}))
    policies = [Resource("PeerAuthentication", *entry.at.split("/")) for entry in strict if entry.at.count("/") == 1]
    if not mesh.complete("Pod") or not policies:
        return inconclusive(f"{sources} sent plain text to a STRICT workload, and is no pod that was read", said)
    return culprit(
        Verdict(
            "out-of-mesh-client-to-strict",
            0.85,
            f"{sources} is no pod of this mesh and calls a STRICT workload in plain text",
            tuple(policies),
            (said, *strict, Evidence(f"no pod has the address {sources}", mesh.file("Pod"), sources)),
            remedy("Bring the client into the mesh, or let the PeerAuthentication be PERMISSIVE for this workload."),
            explained(case, lines),
        )
    )


PROBE = Probe(
    "plaintext-at-ztunnel",
    "Who sends plain text to a STRICT workload?",
    ("out-of-mesh-client-to-strict", "not-captured-by-ztunnel"),
    examine,
)
