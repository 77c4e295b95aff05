"""Does something drop the packets to port 15008, through which all traffic between ambient pods goes?"""

from __future__ import annotations

from collections.abc import Iterable

from meshdoctor.mesh import blame
from meshdoctor.mesh.ambient import HBONE_PORT, is_captured, known_workload, serves, ztunnels_on
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.egress_policy import egress_blocking
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.network_policy import blocking
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, object_says, remedy
from meshdoctor.mesh.traffic import APPLICATION, Seen
from meshdoctor.mesh.ztunnel.failures import TUNNEL_BROKEN, TUNNEL_TIMEOUT, explained, failures, kind, silent, since
from meshdoctor.mesh.ztunnel.tunnels import source_pod, target_pod
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.envoy.address import split_address
from meshdoctor.model.moment import unix
from meshdoctor.model.pods import is_ready
from meshdoctor.model.wants import ZtunnelConfig

HANGING = 1000.0
"""Milliseconds. A dropped packet makes a call wait; a refusal or a reset answers at once."""

_YAML = """  ingress:
  - ports:
    - {protocol: TCP, port: 15008}"""


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = failures(case, TUNNEL_TIMEOUT, TUNNEL_BROKEN)
    through_gateway = _originated(case)
    waiting = () if lines else tuple(seen for seen in silent(case) if (seen.duration or 0.0) >= HANGING)
    if not lines and not through_gateway and not waiting:
        return not_applicable("no connection to port 15008 was left without an answer")
    observed = (*lines, *through_gateway, *waiting)
    said = lines_say(observed, logged(observed[-1]))
    if not all(mesh.complete(kind, *case.namespaces) for kind in ("NetworkPolicy", "Pod")):
        return inconclusive("NetworkPolicies or pods could not be read", said)
    servers = _servers(case, mesh, observed)
    if not servers:
        return inconclusive("the pods on whose port 15008 the connections hang are not known", said)
    client = _client(mesh, observed)
    inward = [blocking(mesh, pod, HBONE_PORT, client) for pod in servers]
    if all(inward):
        return _blocked(case, mesh, _distinct(policy for found in inward for policy in found), observed, said, True)
    outward = [egress_blocking(mesh, client, pod, HBONE_PORT) for pod in servers] if client else []
    if outward and all(outward):
        return _blocked(case, mesh, _distinct(policy for found in outward for policy in found), observed, said, False)
    explicit = failures(case, TUNNEL_TIMEOUT)
    if len(explicit) > 1 and all(_well(mesh, pod) for pod in servers) and not _reached(case, explicit):
        return culprit(_unseen(case, mesh, servers, explicit))
    return inconclusive("connections to port 15008 hang, and no NetworkPolicy that was read drops them", said)


def _originated(case: Case) -> tuple[Seen, ...]:
    """Lines of a gateway or waypoint whose HBONE connection to an ambient pod was never answered."""
    return tuple(
        seen
        for seen in case.with_flag("UF")
        if seen.access
        and (seen.access.upstream_host or "").startswith("envoy://connect_originate/")
        and "timeout" in (seen.access.details or "") + (seen.access.transport_failure or "")
    )


def _servers(case: Case, mesh: MeshIndex, lines: Iterable[Seen]) -> list[k8s.Pod]:
    """The pods that the connections went to; all captured pods of the Service where only the callers tell."""
    refs = [ref for seen in lines if seen.tunnel and (ref := target_pod(mesh, seen.tunnel))]
    hosts = [split_address(seen.access.upstream_host)[0] for seen in lines if seen.access]
    found = [mesh.pods[ref] for ref in dict.fromkeys(refs) if ref in mesh.pods]
    found += [pod for host in dict.fromkeys(hosts) if (pod := mesh.pod_by_ip(host))]
    if found:
        return found
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    pods = mesh.selected_pods(service) if service else ()
    return [pod for pod in pods if is_captured(pod)]


def _client(mesh: MeshIndex, lines: Iterable[Seen]) -> k8s.Pod | None:
    refs = [source_pod(mesh, seen.tunnel) if seen.tunnel else seen.pod for seen in lines]
    found = [mesh.pods[ref] for ref in refs if ref and ref in mesh.pods]
    return found[-1] if found else None


def _distinct(policies: Iterable[k8s.NetworkPolicy]) -> tuple[k8s.NetworkPolicy, ...]:
    return tuple({policy.key: policy for policy in policies}.values())


def _blocked(
    case: Case,
    mesh: MeshIndex,
    policies: tuple[k8s.NetworkPolicy, ...],
    lines: tuple[Seen, ...],
    said: Evidence,
    inward: bool,
) -> Finding:
    born = max((unix(policy.metadata.creation_timestamp) or 0.0 for policy in policies), default=0.0)
    theirs = since(lines, born)
    if not theirs:
        return inconclusive("the connections hung before the NetworkPolicies that are there now were made", said)
    waited = [seen for seen in theirs if seen.side == APPLICATION]
    if len(waited) == len(theirs) == 1:
        return inconclusive("one call hung, and ztunnel says nothing of it", said)
    # ztunnel's own words for a port that does not answer need no second witness; a broken connection does.
    spoken = any(seen.tunnel and kind(seen.tunnel) == TUNNEL_TIMEOUT for seen in theirs)
    if not spoken and _answered(case, mesh, _servers(case, mesh, theirs), theirs):
        return inconclusive(
            "a NetworkPolicy does not allow port 15008, yet the same pods still answer through it", said
        )
    direction = "ingress" if inward else "egress"
    resources = tuple(Resource("NetworkPolicy", one.namespace, one.name, f"spec.{direction}") for one in policies)
    names = listed(str(one) for one in resources)
    shown = [
        object_says(mesh, "NetworkPolicy", one, f"no {direction} rule admits TCP {HBONE_PORT}") for one in policies
    ]
    return culprit(
        Verdict(
            "hbone-blocked",
            0.88 if len(waited) == len(theirs) else 0.97,
            f"{names} does not allow port {HBONE_PORT}, through which ztunnel carries all traffic of these pods",
            resources,
            (lines_say(theirs, logged(theirs[-1])), *shown),
            remedy(
                f"Allow TCP {HBONE_PORT} in {names}, beside the application's own ports.",
                _YAML if inward else _YAML.replace("ingress", "egress"),
            ),
            explained(case, theirs),
        )
    )


def _answered(case: Case, mesh: MeshIndex, servers: list[k8s.Pod], lines: tuple[Seen, ...]) -> bool:
    """Whether the same pods answered after the first failure: then the policy is not enforced, or is not the cause."""
    first = min(seen.start or 0.0 for seen in lines)
    good = [seen for seen in case.seen if not seen.failed and (seen.start or 0.0) > first]
    if not any(seen.tunnel for seen in case.seen):
        return bool(good)
    keys = {pod.key for pod in servers}
    return any(str(target_pod(mesh, seen.tunnel)) in keys for seen in good if seen.tunnel)


def _well(mesh: MeshIndex, pod: k8s.Pod) -> bool:
    """Whether a pod is Ready, captured and served by a ztunnel, so that its port 15008 should answer."""
    known = known_workload(mesh, pod)
    return (
        is_ready(pod)
        and is_captured(pod)
        and (known is None or known.protocol == "HBONE")
        and any(serves(one) for one in ztunnels_on(mesh, pod.spec.node_name))
    )


def _reached(case: Case, lines: tuple[Seen, ...]) -> bool:
    """Whether the same flow went well while these connections hung: then the port is not blocked as a whole."""
    first = min(seen.start or 0.0 for seen in lines)
    return any(not seen.failed and (seen.start or 0.0) > first for seen in case.seen)


def _unseen(case: Case, mesh: MeshIndex, servers: list[k8s.Pod], lines: tuple[Seen, ...]) -> Verdict:
    owner = blame.of_workload(mesh.workload(next(ref for ref, pod in mesh.pods.items() if pod is servers[0])))
    nodes = listed(sorted({pod.spec.node_name for pod in servers}))
    return Verdict(
        "hbone-blocked",
        0.75,
        f"Something drops the packets to port {HBONE_PORT} of {owner}: a firewall, or a policy of the CNI's own",
        (owner,),
        (
            lines_say(lines, logged(lines[-1])),
            Evidence(f"the pods are Ready, captured, and ztunnel runs on {nodes}", mesh.file("Pod"), servers[0].key),
            Evidence("no NetworkPolicy that was read drops them", mesh.file("NetworkPolicy")),
        ),
        remedy(f"Look at the CNI's own policies and at firewalls between the nodes: TCP {HBONE_PORT} must pass."),
        explained(case, lines),
    )


def needs(case: Case, mesh: MeshIndex) -> list[ZtunnelConfig]:
    return [ZtunnelConfig(pod) for pod in mesh.inventory.ztunnels] if failures(case, TUNNEL_TIMEOUT) else []


PROBE = Probe("hbone-blocked", "Is port 15008 blocked?", ("hbone-blocked",), examine, needs)
