"""A connection to an ambient pod, as the ztunnel of its node decides: its policies, on what a connection shows.

Source: ztunnel (Istio 1.32), `src/rbac.rs`: DENY policies first; with ALLOW policies one of them must match; a rule is
a list of clauses that must all hold, a clause a list of matches of which one must.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from meshdoctor.mesh.trace.facts import Facts
from meshdoctor.mesh.trace.loose import message, messages
from meshdoctor.mesh.trace.network import ip_address, network
from meshdoctor.mesh.trace.outcome import Hop, Outcome, Source, Trace
from meshdoctor.mesh.workloads import of_pod
from meshdoctor.mesh.ztunnel.enforcement import STRICT_PORTS, is_converted_peer_authentication
from meshdoctor.model import wants as ask
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.ztunnel import GatewayAddress, Policy, ZtunnelDump


class Tunnelled(NamedTuple):
    """Who connects: *principal* without `spiffe://` ("" for plain text), and to which *port* of which pod."""

    principal: str
    source_ip: str
    ip: str
    port: int


def through_ztunnel(facts: Facts, pod: Pod, caller: Tunnelled) -> Trace:
    """What the ztunnel in front of an ambient pod does with the connection."""
    where = f"{pod.namespace}/{pod.name}"
    running = [
        ref
        for ref, each in facts.mesh.pods.items()
        if each.metadata.labels.get("app") == "ztunnel" and each.status.phase == "Running"
    ]
    # Of some namespaces only, those of ztunnel may be missing, unless some of its pods are there.
    if facts.mesh.known("Pod", *(ref.namespace for ref in running)) and not any(
        _same_node(facts, ref, pod) for ref in running
    ):
        why = f"no ztunnel runs on node {pod.spec.node_name or '?'}, which must take the pod's connections"
        return _refused(where, "ztunnel", why, "see why the ztunnel DaemonSet has no pod there", ())
    known = set(facts.mesh.inventory.ztunnels)
    ref = next((ref for ref in running if ref in known and _same_node(facts, ref, pod)), None)
    dump = facts.value(ask.ZtunnelConfig(ref)) if ref is not None else None
    if dump is None:
        hop = Hop(where, "ztunnel", "not traced", "the configuration of its ztunnel is not known", verdict="may match")
        return Trace((hop,), Outcome("tcp", why="the connection reaches its server"), False)
    others = []
    denied, allowed = "", ""
    allows: list[str] = []
    for policy in _policies(dump, pod):
        name = f"{policy.namespace}/{policy.name}"
        holds = any(_rule(rule, caller) for rule in _lists(policy.rules))
        others.append((name, "matches" if holds else "does not match"))
        if policy.action == "Deny":
            denied = denied or (name if holds else "")
        else:
            allows.append(name)
            allowed = allowed or (name if holds else "")
    if denied or (allows and not allowed):
        return _rejected(where, denied, caller, others, allows)
    why = f"{allowed} allows it" if allowed else "no policy forbids it"
    hops = [Hop(where, "ztunnel", "passes", why, tuple(others), _sources([allowed] if allowed else []))]
    waypoint = _waypoint(dump, pod)
    if waypoint:
        why = "the waypoint routes and authorizes HTTP before the pod; its Envoy is not followed here"
        hops.insert(0, Hop(where, "waypoint", waypoint, why, verdict="may match"))
    declared = {port for _, port, _ in of_pod(pod).ports}
    if declared and caller.port not in declared:
        # A ztunnel keeps no counters that would clear the suspicion.
        why = f"no container declares port {caller.port}: probably nothing listens there"
        bad = _refused(where, "application", why, "correct the Service's targetPort", ())
        return Trace((*hops, *bad.hops), bad.outcome, True)
    hops.append(Hop(where, "application", f"port {caller.port}", "the ztunnel hands it over"))
    return Trace(tuple(hops), Outcome("tcp", why="the connection reaches its server"), False)


def _same_node(facts: Facts, ref: PodRef, pod: Pod) -> bool:
    return facts.mesh.pods[ref].spec.node_name == pod.spec.node_name


def _policies(dump: ZtunnelDump, pod: Pod) -> list[Policy]:
    """The policies for a pod: those of the whole mesh, of its namespace, and those that its workload names."""
    own = dump.workload(pod.namespace, pod.name)
    named = (own.authorization_policies if own is not None else None) or ()
    return [
        policy
        for policy in dump.policies
        if not policy.dry_run
        and (
            policy.scope == "Global"
            or (policy.scope == "Namespace" and policy.namespace == pod.namespace)
            or f"{policy.namespace}/{policy.name}" in named
        )
    ]


def _waypoint(dump: ZtunnelDump, pod: Pod) -> str:
    """The waypoint of the pod or of a service that it serves; "" for none."""
    own = dump.workload(pod.namespace, pod.name)
    if own is None:
        return ""
    through = [own.waypoint]
    for service in dump.services:
        if any(entry.workload_uid == own.uid for entry in service.all_endpoints):
            through.append(service.waypoint)
    return next((gateway.destination for gateway in through if isinstance(gateway, GatewayAddress)), "")


def _rejected(where: str, denied: str, caller: Tunnelled, others: list[tuple[str, str]], allows: list[str]) -> Trace:
    if _is_strict(denied):
        why = "a STRICT PeerAuthentication refuses plain text, and the caller is not in the mesh"
        fix = "take the caller into the mesh, or make the mode PERMISSIVE"
        return _refused(where, "ztunnel", why, fix, _sources([denied]), others)
    who = caller.principal or "a caller without identity"
    why = f"AuthorizationPolicy {denied} denies {who}" if denied else f"no ALLOW policy admits {who}"
    fix = "change the policy; what a ztunnel enforces must not ask for HTTP (that needs a waypoint)"
    return _refused(where, "ztunnel", why, fix, _sources([denied] if denied else allows), others)


def _refused(
    where: str, step: str, why: str, fix: str, sources: tuple[Source, ...], others: list[tuple[str, str]] | None = None
) -> Trace:
    hop = Hop(where, step, "refused", why, tuple(others or ()), sources, "fails", (fix,))
    return Trace((hop,), Outcome("none", None, "", "connection_refused", why=why, fix=fix), True)


def _is_strict(policy: str) -> bool:
    return is_converted_peer_authentication(policy.partition("/")[2])


def _sources(policies: list[str]) -> tuple[Source, ...]:
    """The objects that the policies are made of; that of the whole mesh's STRICT has many, and names none."""
    found = []
    for namespace, _, name in (policy.partition("/") for policy in policies):
        if not is_converted_peer_authentication(name):
            found.append(Source("AuthorizationPolicy", namespace, name))
        elif name.startswith(STRICT_PORTS):
            found.append(Source("PeerAuthentication", namespace, name.removeprefix(STRICT_PORTS)))
    return tuple(found)


def _lists(value: Any) -> list[list[Any]]:
    return [entry for entry in value if isinstance(entry, list)] if isinstance(value, list) else []


def _rule(rule: list[Any], caller: Tunnelled) -> bool:
    return all(any(_match(each, caller) for each in messages(clause)) for clause in _lists(rule))


def _match(match: dict[str, Any], caller: Tunnelled) -> bool:
    """One match: every field that is there must hold; its values are alternatives, those of `not…` exclusions."""
    namespace = caller.principal.partition("/ns/")[2].partition("/")[0]
    facts = (
        ("principals", "notPrincipals", lambda value: _string(value, caller.principal)),
        ("namespaces", "notNamespaces", lambda value: _string(value, namespace)),
        ("sourceIps", "notSourceIps", lambda value: _inside(value, caller.source_ip)),
        ("destinationIps", "notDestinationIps", lambda value: _inside(value, caller.ip)),
        ("destinationPorts", "notDestinationPorts", lambda value: value == caller.port),
    )
    for wanted, unwanted, holds in facts:
        given, barred = match.get(wanted) or [], match.get(unwanted) or []
        if given and not any(holds(value) for value in given):
            return False
        if any(holds(value) for value in barred):
            return False
    return True


def _string(value: Any, found: str) -> bool:
    kind, wanted = next(iter(message(value).items()), ("", ""))
    match kind:
        case "Exact":
            return found == str(wanted)
        case "Prefix":
            return found.startswith(str(wanted))
        case "Suffix":
            return found.endswith(str(wanted))
        case _:
            return kind == "Presence" and bool(found)


def _inside(value: Any, address: str) -> bool:
    prefix, _, length = str(value).partition("/")
    found = network(prefix, int(length) if length.isdigit() else 128 if ":" in prefix else 32)
    asked = ip_address(address)
    return found is not None and asked is not None and asked in found
