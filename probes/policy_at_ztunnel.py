"""Which policy made ztunnel reject the connection, and can ztunnel enforce what it says?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from meshdoctor.mesh.ambient import is_captured, is_waypoint, waypoint_of
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.identity import SPIFFE, spiffe
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, object_says, remedy
from meshdoctor.mesh.traffic import Seen
from meshdoctor.mesh.ztunnel.enforcement import (
    Caller,
    enforced,
    http_attributes,
    matches_connection,
    policy_attributes,
)
from meshdoctor.mesh.ztunnel.failures import DENIED_BY, POLICY, UNLOGGED, explained, failures, since, unlogged
from meshdoctor.mesh.ztunnel.tunnels import source_pod, target_pod
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.envoy.address import split_address
from meshdoctor.model.moment import unix
from meshdoctor.model.pods import served_port

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


class Attempt(NamedTuple):
    """A connection as ztunnel judges it: its *caller* (pod *source*, where known) and the server's pods and port."""

    caller: Caller
    source: k8s.Pod | None
    servers: tuple[k8s.Pod, ...]
    port: int


def examine(case: Case, mesh: MeshIndex) -> Finding:
    said_so = failures(case, POLICY)
    lines = said_so or unlogged(case, mesh)
    if not lines:
        return not_applicable("ztunnel rejected no connection by a policy")
    said = lines_say(lines, logged(lines[-1]))
    if not mesh.complete("AuthorizationPolicy", case.server_namespace, mesh.mesh_config.root_namespace):
        return inconclusive("connections were rejected or lost, and the policies could not be read", said)
    if said_so:
        found = _named(mesh, lines) or _none_allowed(mesh, _attempted(mesh, lines))
    else:
        attempt = _declared(case, mesh, lines)
        if attempt is None:
            return not_applicable("no ztunnel carries these calls to a captured pod")
        found = _denied(mesh, attempt) or _none_allowed(mesh, attempt)
    if isinstance(found, str):
        return inconclusive(found, said)
    theirs = since(lines, max((_born(policy) or 0.0 for policy in found.policies), default=0.0))
    if not theirs:
        return inconclusive("the connections were rejected before the policies that are there now were made", said)
    return culprit(_verdict(case, mesh, found, theirs, 0.97 if said_so else UNLOGGED))


def _attempted(mesh: MeshIndex, lines: tuple[Seen, ...]) -> Attempt:
    """What ztunnel's newest line tells of the connection; the servers of all of them."""
    refs = dict.fromkeys(ref for seen in lines if seen.tunnel and (ref := target_pod(mesh, seen.tunnel)))
    line = lines[-1].tunnel
    source = source_pod(mesh, line) if line else None
    principal = (line.src_identity or "").removeprefix("spiffe://") if line else ""
    parts = principal.split("/")
    caller = Caller(principal, parts[2] if len(parts) > 3 else "", split_address(line.src_addr if line else None)[0])
    port = split_address((line.dst_hbone_addr or line.dst_addr) if line else None)[1]
    servers = tuple(mesh.pods[ref] for ref in refs if ref in mesh.pods)
    return Attempt(caller, mesh.pods.get(source) if source else None, servers, port)


def _declared(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...]) -> Attempt | None:
    """What the connection of a caller's own log must have been; None where no ztunnel, or a waypoint, is in its way."""
    source = mesh.pods.get(lines[-1].pod)
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    if source is None or service is None or not is_captured(source) or waypoint_of(mesh, service):
        return None
    servers = tuple(pod for pod in mesh.selected_pods(service) if is_captured(pod))
    if not servers:
        return None
    account = source.spec.service_account_name or "default"
    principal = spiffe(mesh.mesh_config.trust_domain, source.namespace, account).removeprefix(SPIFFE)
    port = served_port(service, case.destination.port, servers[0])
    return Attempt(Caller(principal, source.namespace, source.status.pod_ip), source, servers, port)


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
    return _of_deny(found)


def _denied(mesh: MeshIndex, attempt: Attempt) -> Rejection | None:
    """The DENY policies that must reject the connection."""
    found = _distinct(
        policy
        for pod in attempt.servers
        for policy in enforced(mesh, pod, "DENY")
        if any(matches_connection(rule, attempt.caller, attempt.port) for rule in policy.spec.rules or [])
    )
    return _of_deny(found) if found else None


def _of_deny(found: tuple[istio.AuthorizationPolicy, ...]) -> Rejection:
    http = tuple(policy for policy in found if policy_attributes(policy))
    if not http:
        return Rejection(found, False, "a DENY rule matches the caller")
    what = listed(name for policy in http for name in policy_attributes(policy))
    why = f"its DENY rules ask for {what}, which ztunnel cannot see: it drops that part, and the rule denies more"
    return Rejection(http, True, why)


def _none_allowed(mesh: MeshIndex, attempt: Attempt) -> Rejection | str:
    """Of the ALLOW policies of the servers: those that would admit the caller, were it not for HTTP attributes."""
    if not attempt.servers:
        return "the pods whose policies rejected connections are not known"
    policies = _distinct(policy for pod in attempt.servers for policy in enforced(mesh, pod, "ALLOW"))
    if not policies:
        return "no ALLOW policy that selects the server is there now"
    fitting = {
        policy.key: [rule for rule in policy.spec.rules or [] if matches_connection(rule, attempt.caller, attempt.port)]
        for policy in policies
    }
    if any(not http_attributes(rule) for rules in fitting.values() for rule in rules):
        return "an ALLOW policy that is there now admits the caller"
    http = tuple(policy for policy in policies if fitting[policy.key])
    if http:
        what = listed(name for policy in http for name in policy_attributes(policy))
        why = f"its rules ask for {what}, which ztunnel cannot see: it leaves them out, and allows nobody"
        return Rejection(http, True, why)
    if attempt.source and is_waypoint(attempt.source):
        why = f"the waypoint {attempt.source.key} is the caller now, and no rule allows its identity"
        return Rejection(policies, True, why)
    who = attempt.caller.principal or f"plain text from {attempt.caller.address or 'the caller'}"
    return Rejection(policies, False, f"no rule allows {who}")


def _distinct(policies: Iterable[istio.AuthorizationPolicy]) -> tuple[istio.AuthorizationPolicy, ...]:
    return tuple({policy.key: policy for policy in policies}.values())


def _born(policy: istio.AuthorizationPolicy) -> float | None:
    return unix(policy.metadata.creation_timestamp)


def _verdict(case: Case, mesh: MeshIndex, found: Rejection, lines: tuple[Seen, ...], confidence: float) -> Verdict:
    resources = tuple(Resource("AuthorizationPolicy", one.namespace, one.name, "spec.rules") for one in found.policies)
    names = listed(str(one) for one in resources)
    service = case.destination.service[1] if case.destination.service else "SERVICE"
    shown = [object_says(mesh, "AuthorizationPolicy", one, _says(one)) for one in found.policies]
    evidence: tuple[Evidence, ...] = (lines_say(lines, logged(_clearest(lines))), *shown)
    if found.at_wrong_layer:
        return Verdict(
            "l7-policy-at-ztunnel",
            confidence,
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
        confidence,
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
