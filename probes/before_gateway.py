"""The caller got an error that the gateway never logged: did a load balancer before it answer?"""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.flows import Flows
from meshdoctor.mesh.gateways import is_for, pods_of
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, remedy
from meshdoctor.mesh.traffic import GATEWAY, Seen
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.pods import has_proxy
from meshdoctor.model.snapshot import PodRef

FLUSH_SECONDS = 12.0
"""Envoy writes its access log every ten seconds: what is younger may not be in it yet."""
AROUND_SECONDS = 2.0
ENOUGH = 3
ENVOYS_OWN = ("upstream connect error", "no healthy upstream", "upstream request timeout", "envoy overloaded")
"""The beginnings of bodies that only an Envoy writes."""


def examine(case: Case, mesh: MeshIndex) -> Finding:
    calls = tuple(seen for seen in case.calls if seen.call and seen.call.status >= 500 and _unproxied(mesh, seen))
    if len(calls) < ENOUGH:
        return not_applicable("no caller outside the mesh got an error")
    gateways = _gateways(case, mesh)
    if not gateways:
        return not_applicable(f"no gateway serves {case.destination.host}")
    said = lines_say(calls, logged(calls[-1])[:120])
    lines = [seen for seen in mesh.derived(Flows).seen if seen.side == GATEWAY and seen.pod in gateways]
    logs = {log.pod for log in mesh.inventory.logs}
    unread = [ref for ref in gateways if ref not in logs]
    written = max((seen.start or 0.0 for seen in lines), default=0.0)
    known = max(written, (mesh.snapshot.info.finished_at or 0.0) - FLUSH_SECONDS)
    if not lines or unread or any(seen.call and seen.call.error.startswith(ENVOYS_OWN) for seen in calls):
        return inconclusive("whether the gateway saw these requests is not known: it logged none", said)
    failed = [seen.start or 0.0 for seen in lines if seen.access and seen.access.code >= 500]
    # What is older than the log may have been in a part of it that is gone.
    oldest = min((seen.start or 0.0 for seen in lines), default=0.0)
    unseen = tuple(
        seen
        for seen in calls
        if oldest <= (seen.start or 0.0) < known
        and not any(abs(at - (seen.start or 0.0)) <= AROUND_SECONDS for at in failed)
    )
    if len(unseen) < ENOUGH or len(unseen) < len(calls) / 2:
        return not_applicable("the gateway logged these errors")
    services = _services(mesh, gateways)
    owners = tuple(dict.fromkeys(blame.of_workload(mesh.workload(ref)) for ref in gateways))
    resources = (*services, *owners)
    return culprit(
        Verdict(
            "load-balancer-answered",
            0.8,
            f"The gateway never saw these requests: a load balancer before {resources[0]} answered them itself",
            resources,
            (
                said,
                Evidence(
                    f"the gateway logged {len(lines)} requests, and no error at these times", lines[-1].file, "access"
                ),
            ),
            remedy(
                f"Look at the load balancer of {listed(str(one) for one in services) or resources[0]}: its health "
                "check (status port 15021), its targets, externalTrafficPolicy."
            ),
            unseen,
        )
    )


def _unproxied(mesh: MeshIndex, seen: Seen) -> bool:
    """Whether the caller has no proxy: one would have logged whatever it was answered."""
    pod = mesh.pods.get(seen.pod)
    return pod is not None and not has_proxy(pod)


def _gateways(case: Case, mesh: MeshIndex) -> tuple[PodRef, ...]:
    """The gateways' pods that the Service which was called selects or, when no Service was, that are for the host."""
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    chosen = {pod.ref for pod in (mesh.selected_pods(service) if service else ())}
    for gateway in mesh.objects("Gateway", istio.Gateway):
        # The name of a Service leads to its own pods, whatever a Gateway says of it.
        if service is None and is_for(mesh, gateway, case.destination.host):
            chosen.update(pods_of(mesh, gateway))
    return tuple(ref for ref in mesh.pods if ref in chosen and mesh.is_gateway(ref))


def _services(mesh: MeshIndex, gateways: tuple[PodRef, ...]) -> tuple[Resource, ...]:
    found = [
        service for service in mesh.services.values() if any(pod.ref in gateways for pod in mesh.selected_pods(service))
    ]
    return tuple(Resource("Service", one.namespace, one.name) for one in sorted(found, key=_inside))


def _inside(service: k8s.Service) -> bool:
    return service.spec.type != "LoadBalancer"


PROBE = Probe("before-gateway", "Did something before the gateway answer?", ("load-balancer-answered",), examine)
