"""Is the waypoint, through which the Service's traffic must go, there and ready?"""

from __future__ import annotations

from collections.abc import Iterable

from meshdoctor.mesh.ambient import (
    dump_wants,
    dumped_waypoints,
    is_waypoint,
    waypoint_of,
    waypoint_pods,
)
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, cleared, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, object_says, remedy
from meshdoctor.mesh.traffic import Seen
from meshdoctor.mesh.ztunnel.failures import (
    NO_UPSTREAM,
    REFUSED,
    TUNNEL_REFUSED,
    TUNNEL_TIMEOUT,
    WAYPOINT,
    ended,
    explained,
    failures,
)
from meshdoctor.mesh.ztunnel.tunnels import target_pod
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.labels import GATEWAY_NAME
from meshdoctor.model.pods import is_ready
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.wants import ZtunnelConfig

KINDS = (WAYPOINT, NO_UPSTREAM, REFUSED, TUNNEL_REFUSED, TUNNEL_TIMEOUT)


def examine(case: Case, mesh: MeshIndex) -> Finding:
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    waypoint = waypoint_of(mesh, service) if service else None
    if service is None or waypoint is None:
        return not_applicable("the Service asks for no waypoint")
    lines = _lines(case, mesh, service)
    if not lines:
        return not_applicable("no connection failed before the waypoint")
    said = lines_say(lines, logged(lines[-1]))
    if not all(mesh.complete(kind, waypoint.namespace) for kind in ("Pod", "K8sGateway")):
        return inconclusive(f"{service.key} asks for waypoint {waypoint}; Gateways or pods could not be read", said)
    if ended(case, lines):
        return inconclusive(f"waypoint {waypoint} did not answer for a while, and does now", said)
    gateway = next(
        (one for one in mesh.objects("K8sGateway", istio.GenericObject) if PodRef(one.namespace, one.name) == waypoint),
        None,
    )
    pods = waypoint_pods(mesh, waypoint)
    if gateway and any(is_ready(pod) for pod in pods):
        return cleared(f"waypoint {waypoint} has a Ready pod")
    return culprit(_verdict(case, mesh, service, waypoint, gateway, pods, lines))


def _lines(case: Case, mesh: MeshIndex, service: k8s.Service) -> tuple[Seen, ...]:
    """The connections that failed on their way to the waypoint, not behind it."""
    through = bool(list(dumped_waypoints(mesh, service)))
    found = []
    for seen in failures(case, *KINDS):
        line = seen.tunnel
        ref = target_pod(mesh, line) if line else None
        pod = mesh.pods.get(ref) if ref else None
        unknown = line is not None and "unknown waypoint" in (line.error or "")
        nobody = line is not None and "no healthy upstream" in (line.error or "") and through
        if unknown or nobody or (pod is not None and is_waypoint(pod)):
            found.append(seen)
    return tuple(found)


def _verdict(
    case: Case,
    mesh: MeshIndex,
    service: k8s.Service,
    waypoint: PodRef,
    gateway: istio.GenericObject | None,
    pods: Iterable[k8s.Pod],
    lines: tuple[Seen, ...],
) -> Verdict:
    resource = Resource("Gateway", waypoint.namespace, waypoint.name)
    owners = [
        one
        for one in mesh.objects("Deployment", k8s.Workload)
        if one.namespace == waypoint.namespace and one.spec.template.metadata.labels.get(GATEWAY_NAME) == waypoint.name
    ]
    names = listed(pod.key for pod in pods)
    if gateway is None:
        why, fix = "there is no such Gateway", f"Create it (istioctl waypoint apply -n {waypoint.namespace})"
    elif names:
        why, fix = f"none of its pods is Ready ({names})", f"See why {names} is not Ready"
    elif any(one.spec.replicas == 0 for one in owners):
        why, fix = "its Deployment is scaled to 0", f"Scale Deployment {owners[0].key} up"
    else:
        why, fix = "it has no pod", f"See the conditions of {resource}: why was it not deployed?"
    shown = [object_says(mesh, "K8sGateway", gateway, _conditions(gateway))] if gateway else []
    return Verdict(
        "waypoint-unavailable",
        0.96,
        f"The traffic to {service.key} must go through waypoint {waypoint}, and {why}",
        (
            resource,
            *(Resource("Deployment", one.namespace, one.name, "spec.replicas") for one in owners),
            Resource("Service", service.namespace, service.name, "metadata.labels"),
        ),
        (
            lines_say(lines, logged(lines[-1])),
            object_says(mesh, "Service", service, f"label istio.io/use-waypoint asks for {waypoint}"),
            *shown,
            Evidence(f"pods of the waypoint: {names or 'none'}", mesh.file("Pod"), str(waypoint)),
        ),
        remedy(f"{fix}, or take the label istio.io/use-waypoint away."),
        explained(case, lines),
    )


def _conditions(gateway: istio.GenericObject) -> str:
    found = [entry for entry in gateway.status.get("conditions") or [] if isinstance(entry, dict)]
    said = listed(f"{entry.get('type')} {entry.get('status')} ({entry.get('reason')})" for entry in found)
    return said or "no status"


def needs(case: Case, mesh: MeshIndex) -> list[ZtunnelConfig]:
    return dump_wants(mesh) if failures(case, *KINDS) else []


PROBE = Probe("waypoint-unavailable", "Is the waypoint ready?", ("waypoint-unavailable",), examine, needs)
