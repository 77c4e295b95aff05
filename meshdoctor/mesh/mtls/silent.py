"""Objects that do not do what they say, found without any traffic: the patterns M8, M9, M10 and M13."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshdoctor.mesh.hosts import is_wildcard, qualified, subset_of
from meshdoctor.mesh.mtls.declared import DeclaredMtls
from meshdoctor.mesh.mtls.patterns import Disagreement, Pattern
from meshdoctor.mesh.mtls.peer_authentication import DISABLE, Ignored
from meshdoctor.mesh.services import MeshService
from meshdoctor.mesh.workloads import AMBIENT, Peer
from meshdoctor.model.istio import DestinationRule, PeerAuthentication
from meshdoctor.model.labels import selects, selects_some
from meshdoctor.model.pods import GATEWAY, SIDECAR, WAYPOINT


def silent(mtls: DeclaredMtls) -> tuple[Disagreement, ...]:
    """Every object that has no effect, or not the one that it seems to have."""
    return (*_ignored(mtls), *_service_ports(mtls), *_unused_rules(mtls), *_ambient(mtls))


def _found(pattern: Pattern, objects: Iterable[str], says: str, remedy: str, host: str = "") -> Disagreement:
    return Disagreement(pattern, "", host, 0, "", tuple(objects), says, remedy)


def _meshed(mtls: DeclaredMtls) -> Iterator[Peer]:
    return (peer for peer in mtls.objects.peers.values() if peer.proxy in (SIDECAR, AMBIENT))


def _ignored(mtls: DeclaredMtls) -> Iterator[Disagreement]:
    """M8. A policy that loses on one pod may still win on another: then the pods are named."""
    losers: dict[tuple[str, str], tuple[Ignored, list[str]]] = {}
    winners: set[str] = set()
    for peer in _meshed(mtls):
        policy = mtls.servers.policies.for_workload(peer.namespace, peer.labels)
        winners |= {won.key for won in (policy.winner, policy.port_policy) if won is not None}
        for ignored in policy.ignored:
            losers.setdefault((ignored.policy.key, ignored.why), (ignored, []))[1].append(peer.key)
    for (key, _), (ignored, pods) in sorted(losers.items()):
        some = f" on {pods[0]}{f' and {len(pods) - 1} more' if len(pods) > 1 else ''}" if key in winners else ""
        says = f"PeerAuthentication {key} has no effect{some}: {ignored.why}"
        yield _found(
            Pattern.M8, [f"PeerAuthentication {key}"], says, "remove it, or merge it into the policy that wins"
        )


def _service_ports(mtls: DeclaredMtls) -> Iterator[Disagreement]:
    """M9. A port that no selected workload has, but that a service of such a workload has."""
    peers = [peer for peer in _meshed(mtls) if peer.proxy == SIDECAR]
    for policy in mtls.objects.of("PeerAuthentication", PeerAuthentication):
        selector = policy.spec.selector.all_labels if policy.spec.selector else {}
        if not selector or not policy.spec.port_level_mtls:
            continue
        own = [peer for peer in peers if peer.namespace == policy.namespace and selects(selector, peer.labels)]
        known = {number for peer in own for _, number, _ in peer.ports}
        services = [s for s in mtls.objects.registry.services if s.kubernetes and s.namespace == policy.namespace]
        for text in policy.spec.port_level_mtls:
            number = int(text) if text.isdigit() else 0
            if not own or number in known or number in mtls.servers.service_ports(own):
                continue
            service = next((s for s in services if s.port(number) and _selects_any(s, own)), None)
            port = service.port(number) if service else None
            if service is None or port is None or port.target in (0, number):
                continue
            says = (
                f"PeerAuthentication {policy.key} names port {number}, the port of {service.label}; "
                f"the container port is {port.target}"
            )
            remedy = f"write {port.target} instead of {number} under portLevelMtls"
            yield _found(Pattern.M9, [f"PeerAuthentication {policy.key}"], says, remedy, service.host)


def _selects_any(service: MeshService, peers: list[Peer]) -> bool:
    return any(selects_some(service.selector, peer.labels) for peer in peers)


def _unused_rules(mtls: DeclaredMtls) -> Iterator[Disagreement]:
    """M10. A rule for a host that exists, in force for no client that exists."""
    rules = mtls.objects.destination_rules
    clients = {
        mtls.clients.group(peer): peer
        for peer in mtls.objects.peers.values()
        if peer.proxy in (SIDECAR, GATEWAY, WAYPOINT)
    }
    used: dict[str, set[int]] = {}
    for rule in rules.all if clients else ():
        services = _for_host(mtls, rule)
        if not services:
            continue
        for service in services:
            if service.host not in used:
                chosen = (rules.choose(c.namespace, c.labels, service) for c in clients.values())
                used[service.host] = {id(own) for effective in chosen if effective for own in effective.merged}
        if not any(id(rule) in used[service.host] for service in services):
            says = (
                f"DestinationRule {rule.key} for {rule.spec.host} is in force for no client: {_why_unused(mtls, rule)}"
            )
            remedy = "move it to the namespace of the clients or of the service, and check its exportTo"
            yield _found(Pattern.M10, [f"DestinationRule {rule.key}"], says, remedy, services[0].host)


def _for_host(mtls: DeclaredMtls, rule: DestinationRule) -> list[MeshService]:
    host = qualified(rule.spec.host, rule.namespace, mtls.objects.domain)
    registry = mtls.objects.registry
    if not is_wildcard(host):
        return list(registry.by_host.get(host, ()))
    return [service for service in registry.services if subset_of(service.host, host)]


def _why_unused(mtls: DeclaredMtls, rule: DestinationRule) -> str:
    services = _for_host(mtls, rule)
    if rule.spec.workload_selector is not None:
        return "no client of its namespace has the labels of its workloadSelector, or another rule comes first"
    places = {mtls.objects.mesh.root_namespace, *(service.namespace for service in services)}
    if rule.namespace not in places:
        return "it is neither in a client's namespace, nor in the service's, nor in the root namespace"
    return "a rule of a nearer namespace, a more specific host, or a younger rule takes its place"


def _ambient(mtls: DeclaredMtls) -> Iterator[Disagreement]:
    """M13. ztunnel accepts HBONE whatever a policy says; only STRICT refuses something."""
    named: set[str] = set()
    for peer in _meshed(mtls):
        policy = mtls.servers.policies.for_workload(peer.namespace, peer.labels)
        winner = policy.winner
        if peer.proxy != AMBIENT or policy.mode != DISABLE or winner is None or winner.key in named:
            continue
        named.add(winner.key)
        says = f"PeerAuthentication {winner.key} says DISABLE, but {peer.key} is ambient: HBONE stays on"
        yield _found(Pattern.M13, [f"PeerAuthentication {winner.key}"], says, "remove it, or write PERMISSIVE")
