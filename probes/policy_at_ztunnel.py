"""Which policy made ztunnel reject the connection, and can ztunnel enforce what it says?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from meshdoctor.mesh.ambient import is_waypoint
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, object_says, remedy
from meshdoctor.mesh.traffic import Seen, split_address
from meshdoctor.mesh.tunnel_failures import DENIED_BY, POLICY, explained, failures, since
from meshdoctor.mesh.tunnels import source_pod, target_pod
from meshdoctor.mesh.ztunnel.enforcement import Caller, enforced, matches_connection, policy_attributes
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.moment import unix

_WAYPOINT_YAML = """spec:
  selector: null
  targetRefs:
  - kind: Service
    name: {service}"""


class Rejection(NamedTuple):
    """The policies that explain rejected connections; *at_wrong_layer*: because ztunnel sees no HTTP."""

    policies: tuple[istio.AuthorizationPolicy, ...]
    at_wrong_layer: bool
    why: str


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = failures(case, POLICY)
    if not lines:
        return not_applicable("ztunnel rejected no connection by a policy")
    said = lines_say(lines, logged(lines[-1]))
    if not mesh.known("AuthorizationPolicy"):
        return inconclusive("ztunnel rejected connections by a policy, and the policies could not be read", said)
    found = _named(mesh, lines) or _none_allowed(mesh, lines)
    if isinstance(found, str):
        return inconclusive(found, said)
    born = max((_born(policy) or 0.0 for policy in found.policies), default=0.0)
    theirs = since(lines, born)
    if not theirs:
        return inconclusive("the connections were rejected before the policies that are there now were made", said)
    return culprit(_verdict(case, mesh, found, theirs))


def _named(mesh: MeshIndex, lines: Iterable[Seen]) -> Rejection | str | None:
    """The DENY policies that ztunnel names."""
    names = {
        (match["namespace"], match["name"])
        for seen in lines
        if seen.tunnel and (match := DENIED_BY.search(seen.tunnel.error or ""))
    }
    if not names:
        return None
    found = tuple(
        policy
        for policy in mesh.objects("AuthorizationPolicy", istio.AuthorizationPolicy)
        if (policy.namespace, policy.name) in names
    )
    if not found:
        return f"policy {listed('/'.join(name) for name in sorted(names))} denied connections and is there no more"
    http = tuple(policy for policy in found if policy_attributes(policy))
    if http:
        what = listed(name for policy in http for name in policy_attributes(policy))
        return Rejection(
            http,
            True,
            f"its DENY rules ask for {what}, which ztunnel cannot see: it drops that part, and the rule denies more",
        )
    return Rejection(found, False, "a DENY rule matches the caller")


def _none_allowed(mesh: MeshIndex, lines: tuple[Seen, ...]) -> Rejection | str:
    """Of the ALLOW policies of the servers: those that would admit the caller, were it not for HTTP attributes."""
    newest = lines[-1]
    servers = [pod for pod in _servers(mesh, lines) if pod]
    if not servers:
        return "the pods whose policies rejected connections are not known"
    policies = _distinct(policy for pod in servers for policy in enforced(mesh, pod, "ALLOW"))
    if not policies:
        return "a policy rejected connections, and no ALLOW policy that selects the server is there now"
    caller, port = _caller(newest), _port(newest)
    if any(
        matches_connection(rule, caller, port)
        for policy in policies
        if not policy_attributes(policy)
        for rule in policy.spec.rules or []
    ):
        return "an ALLOW policy that is there now admits the caller"
    http = tuple(
        policy
        for policy in policies
        if policy_attributes(policy) and any(matches_connection(rule, caller, port) for rule in policy.spec.rules or [])
    )
    if http:
        what = listed(name for policy in http for name in policy_attributes(policy))
        return Rejection(
            http,
            True,
            f"its rules ask for {what}, which ztunnel cannot see: it leaves them out, and allows nobody",
        )
    source = source_pod(mesh, newest.tunnel) if newest.tunnel else None
    pod = mesh.pods.get(source) if source else None
    if pod and is_waypoint(pod):
        return Rejection(policies, True, f"the waypoint {pod.key} is the caller now, and no rule allows its identity")
    who = caller.principal or (f"plain text from {caller.address}" if caller.address else "the caller")
    return Rejection(policies, False, f"no rule allows {who}")


def _servers(mesh: MeshIndex, lines: Iterable[Seen]) -> list[k8s.Pod | None]:
    refs = dict.fromkeys(target_pod(mesh, seen.tunnel) for seen in lines if seen.tunnel)
    return [mesh.pods.get(ref) for ref in refs if ref]


def _distinct(policies: Iterable[istio.AuthorizationPolicy]) -> tuple[istio.AuthorizationPolicy, ...]:
    return tuple({policy.key: policy for policy in policies}.values())


def _caller(seen: Seen) -> Caller:
    line = seen.tunnel
    principal = (line.src_identity or "").removeprefix("spiffe://") if line else ""
    parts = principal.split("/")
    namespace = parts[2] if len(parts) > 3 else ""
    return Caller(principal, namespace, split_address(line.src_addr if line else None)[0])


def _port(seen: Seen) -> int:
    line = seen.tunnel
    return split_address((line.dst_hbone_addr or line.dst_addr) if line else None)[1]


def _born(policy: istio.AuthorizationPolicy) -> float | None:
    return unix(policy.metadata.creation_timestamp)


def _verdict(case: Case, mesh: MeshIndex, found: Rejection, lines: tuple[Seen, ...]) -> Verdict:
    resources = tuple(Resource("AuthorizationPolicy", one.namespace, one.name, "spec.rules") for one in found.policies)
    names = listed(str(one) for one in resources)
    service = case.destination.service[1] if case.destination.service else "SERVICE"
    shown = [object_says(mesh, "AuthorizationPolicy", one, _says(one)) for one in found.policies]
    evidence: tuple[Evidence, ...] = (lines_say(lines, logged(_clearest(lines))), *shown)
    if found.at_wrong_layer:
        return Verdict(
            "l7-policy-at-ztunnel",
            0.97,
            f"ztunnel enforces {names}, which is made for HTTP: {found.why}",
            resources,
            evidence,
            remedy(
                f"Give {service} a waypoint and attach {names} to it with targetRefs instead of a selector.",
                _WAYPOINT_YAML.format(service=service),
            ),
            explained(case, lines),
        )
    return Verdict(
        "authorization-denied",
        0.97,
        f"ztunnel rejects the connections: {found.why} ({names})",
        resources,
        evidence,
        remedy(f"Allow the caller's principal in {names}, if it may call {service}."),
        explained(case, lines),
    )


def _clearest(lines: tuple[Seen, ...]) -> Seen:
    """The newest line that says more than a status."""
    spoken = [seen for seen in lines if seen.tunnel and "policy" in (seen.tunnel.error or "")]
    return (spoken or list(lines))[-1]


def _says(policy: istio.AuthorizationPolicy) -> str:
    """What istiod says of the policy's state at ztunnel (condition ZtunnelAccepted), or its action."""
    for condition in policy.status.get("conditions") or []:
        if isinstance(condition, dict) and condition.get("type") == "ZtunnelAccepted":
            return f"action {policy.spec.action}; istiod: {condition.get('message', '')}"[:240]
    return f"action {policy.spec.action}"


PROBE = Probe(
    "policy-at-ztunnel",
    "Which policy does ztunnel reject by?",
    ("l7-policy-at-ztunnel", "authorization-denied"),
    examine,
)
