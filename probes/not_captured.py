"""Nothing listens on the server's port 15008: was the pod, which the mesh takes for ambient, captured at all?"""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.ambient import (
    HBONE_PORT,
    dump_wants,
    dumps,
    is_captured,
    is_waypoint,
    known_workload,
    serves,
    ztunnels_on,
)
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, remedy
from meshdoctor.mesh.ztunnel.failures import TUNNEL_REFUSED, ended, explained, failures
from meshdoctor.mesh.ztunnel.tunnels import target_pod
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.labels import REDIRECTION
from meshdoctor.model.pods import is_ready
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.wants import ZtunnelConfig


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = failures(case, TUNNEL_REFUSED)
    if not lines:
        return not_applicable("no pod refused a connection to port 15008")
    said = lines_say(lines, logged(lines[-1]))
    refs = dict.fromkeys(ref for seen in lines if seen.tunnel and (ref := target_pod(mesh, seen.tunnel)))
    pods = {ref: mesh.pods[ref] for ref in refs if ref in mesh.pods and not is_waypoint(mesh.pods[ref])}
    if not pods:
        return inconclusive("the pods that refused port 15008 are gone, or are waypoints", said)
    if ended(case, lines):
        return inconclusive("port 15008 was refused for a while, and no longer is", said)
    for ref, pod in pods.items():
        proof = _proof(mesh, ref, pod)
        if proof and is_ready(pod) and not pod.metadata.deletion_timestamp:
            return culprit(_verdict(case, mesh, ref, pod, (said, *proof)))
    return inconclusive(f"{listed(str(ref) for ref in pods)} refused port {HBONE_PORT}, and looks captured", said)


def _proof(mesh: MeshIndex, ref: PodRef, pod: k8s.Pod) -> tuple[Evidence, ...]:
    """What shows that no ztunnel holds port 15008 of a pod although istiod tells callers to use it."""
    if not any(serves(one) for one in ztunnels_on(mesh, pod.spec.node_name)):
        return ()  # then ztunnel itself is the fault
    if not is_captured(pod):
        known = known_workload(mesh, pod)
        hbone = " while ztunnel holds it for HBONE" if known and known.protocol == "HBONE" else ""
        return (Evidence(f"the annotation {REDIRECTION}: enabled is missing{hbone}", mesh.file("Pod"), str(ref)),)
    for holder, dump in dumps(mesh):
        found = mesh.pods.get(holder)
        if found is None or found.spec.node_name != pod.spec.node_name or not dump.workload_state:
            continue
        if pod.name not in {one.info.name for one in dump.workload_state}:
            file = f"ztunnel/{holder}/config_dump.json"
            return (Evidence(f"ztunnel {holder} of its node does not hold the pod", file, "workloadState"),)
    return ()


def _verdict(case: Case, mesh: MeshIndex, ref: PodRef, pod: k8s.Pod, evidence: tuple[Evidence, ...]) -> Verdict:
    resource = blame.of_workload(mesh.workload(ref))
    return Verdict(
        "not-captured-by-ztunnel",
        0.93,
        f"{resource} belongs to the ambient mesh, but ztunnel does not serve its pod {ref}",
        (resource, Resource("Pod", ref.namespace, ref.name)),
        evidence,
        remedy(
            f"See the log of istio-cni on node {pod.spec.node_name}: why was {ref} not added? Restart the pod when "
            "istio-cni is well."
        ),
        explained(case, failures(case, TUNNEL_REFUSED)),
    )


def needs(case: Case, mesh: MeshIndex) -> list[ZtunnelConfig]:
    return dump_wants(mesh) if failures(case, TUNNEL_REFUSED) else []


PROBE = Probe("not-captured", "Is the server's pod captured?", ("not-captured-by-ztunnel",), examine, needs)
