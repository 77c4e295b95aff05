"""What the server's side accepts on each port of a workload, as istiod would configure its proxy.

Rules of istiod 1.32: `pilot/pkg/networking/core/listener_inbound.go` (buildInboundChainConfigs: one chain a target
port, the oldest Service decides its protocol), `pilot/pkg/networking/plugin/authn/authentication.go` (ForPort,
ForPassthrough), `serviceregistry/kube/controller` (FindPort).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

from meshdoctor.mesh import protocols
from meshdoctor.mesh.mtls.peer_authentication import DISABLE, UNKNOWN, Ignored, MergedPolicy, PeerAuthentications
from meshdoctor.mesh.objects import MeshObjects
from meshdoctor.mesh.services import MeshPort, MeshService
from meshdoctor.mesh.workloads import AMBIENT, Peer
from meshdoctor.model import istio
from meshdoctor.model.labels import selects, selects_some
from meshdoctor.model.pods import GATEWAY, NONE, WAYPOINT

CUSTOM_SIMPLE, CUSTOM_MUTUAL = "CUSTOM_SIMPLE", "CUSTOM_MUTUAL"
_UNREAD = "PeerAuthentications could not be read"
"""Sidecar.ingress.tls terminates the user's own TLS."""
NO_PROXY = "NONE"
"""No proxy takes the connection: the application gets the bytes as they are."""
GATEWAY_LISTENER = "GATEWAY"
"""A gateway's own listener: its Gateway objects decide, PeerAuthentication does not."""

_EXCLUDED = "traffic.sidecar.istio.io/excludeInboundPorts"
_INCLUDED = "traffic.sidecar.istio.io/includeInboundPorts"


class ServerMode(NamedTuple):
    """What a workload accepts on one port.

    *mode* is STRICT, PERMISSIVE, DISABLE, CUSTOM_SIMPLE, CUSTOM_MUTUAL, NONE or GATEWAY; *protocol* is `http`, `tcp`
    or `auto` (how the listener treats plain bytes); *own_chain* says whether the port has filter chains of its own;
    *reason* says which object decides (*objects*: as `Kind namespace/name`); *ignored* are policies that look as if
    they did.
    """

    mode: str
    protocol: str
    own_chain: bool
    reason: str
    ignored: tuple[Ignored, ...] = ()
    ambient: bool = False
    objects: tuple[str, ...] = ()


class ServerPorts(NamedTuple):
    """All of a workload: *ports* by container port, *other* for every other port."""

    peer: Peer
    ports: Mapping[int, ServerMode]
    other: ServerMode

    def at(self, port: int) -> ServerMode:
        return self.ports.get(port, self.other)


class Servers:
    """The server's side of every workload, each computed once."""

    def __init__(self, objects: MeshObjects) -> None:
        self._objects = objects
        self._cache: dict[str, ServerPorts] = {}

    @cached_property
    def policies(self) -> PeerAuthentications:
        found = self._objects.of("PeerAuthentication", istio.PeerAuthentication)
        return PeerAuthentications(found, self._objects.mesh.root_namespace)

    @cached_property
    def _by_namespace(self) -> Mapping[str, tuple[MeshService, ...]]:
        found: dict[str, list[MeshService]] = {}
        for service in self._objects.registry.services:
            found.setdefault(service.namespace, []).append(service)
        # Oldest first, then by host name (pilot/pkg/model/context.go, SetServiceTargets).
        return {name: tuple(sorted(own, key=lambda s: (s.created, s.host))) for name, own in found.items()}

    def of(self, peer: Peer) -> ServerPorts:
        """What *peer* accepts."""
        if peer.key not in self._cache:
            self._cache[peer.key] = self._compute(peer)
        return self._cache[peer.key]

    def service_ports(self, peers: Iterable[Peer]) -> frozenset[int]:
        """The container ports of some workloads that services (or ingress listeners) lead to."""
        return frozenset(port for peer in peers for port, _, _ in self._chains(peer))

    def _compute(self, peer: Peer) -> ServerPorts:
        if peer.proxy == NONE:
            reason = "it has no sidecar: the application reads the bytes itself"
            return ServerPorts(peer, {}, ServerMode(NO_PROXY, protocols.AUTO, False, reason))
        if peer.proxy in (GATEWAY, WAYPOINT):
            reason = "a gateway: its listeners follow Gateway objects, not PeerAuthentication"
            return ServerPorts(peer, {}, ServerMode(GATEWAY_LISTENER, protocols.AUTO, False, reason))
        policy = self.policies.for_workload(peer.namespace, peer.labels)
        ambient = peer.proxy == AMBIENT
        winner = (f"PeerAuthentication {policy.winner.key}",) if policy.winner else ()
        other = ServerMode(policy.mode, protocols.AUTO, False, policy.reason, policy.ignored, ambient, winner)
        ports = {
            port: other._replace(
                mode=mode, own_chain=not ambient, reason=policy.reason_for(port), objects=policy.objects_for(port)
            )
            for port, mode in policy.ports.items()
        }
        if not ambient:
            for port, protocol, tls in self._chains(peer):
                ports[port] = self._port(policy, port, protocol, tls)
        if "PeerAuthentication" in self._objects.missing:
            other = other._replace(mode=UNKNOWN, reason=_UNREAD)
            ports = {port: mode._replace(mode=UNKNOWN, reason=_UNREAD) for port, mode in ports.items()}
        for number in excluded_ports(peer, ports):
            reason = f"port {number} is excluded from the sidecar ({_EXCLUDED} or {_INCLUDED})"
            ports[number] = ServerMode(NO_PROXY, protocols.AUTO, False, reason)
        return ServerPorts(peer, ports, other)

    def _port(self, policy: MergedPolicy, port: int, protocol: str, ingress: istio.SidecarIngress | None) -> ServerMode:
        mode, reason = policy.for_port(port), policy.reason_for(port)
        tls = ingress.tls if ingress is not None and self._objects.features.tls_on_sidecar_ingress else None
        if tls is not None:
            protocol = protocols.after_tls_termination(protocol)  # whatever the mode is, once istiod's switch is on
        if tls is not None and mode == DISABLE:
            mode = CUSTOM_MUTUAL if tls.get("mode") in ("MUTUAL", "OPTIONAL_MUTUAL") else CUSTOM_SIMPLE
            reason = f"Sidecar ingress.tls terminates TLS on port {port}, as the mode there is DISABLE ({reason})"
        kind = protocols.listener_class(protocol)
        return ServerMode(mode, kind, True, reason, policy.ignored, objects=policy.objects_for(port))

    def _chains(self, peer: Peer) -> Iterable[tuple[int, str, istio.SidecarIngress | None]]:
        """(container port, protocol, ingress listener) of each port that gets filter chains of its own."""
        sidecar = self._objects.sidecar_scopes.sidecar(peer.namespace, peer.labels, peer.proxy)
        found: dict[int, tuple[int, str, istio.SidecarIngress | None]] = {}
        ingress = sidecar.spec.ingress if sidecar else []
        numbers = {listener.port.number for listener in ingress}
        if not ingress or self._objects.features.merge_sidecar_service_ports:
            for port, protocol in self._targets(peer):
                if port not in numbers:
                    found.setdefault(port, (port, protocol, None))
        for listener in ingress:
            number = listener.port.number
            found.setdefault(number, (number, protocols.parse(listener.port.protocol), listener))
        return found.values()

    def _targets(self, peer: Peer) -> Iterable[tuple[int, str]]:
        """(container port, protocol) of each service port that leads to *peer*, the oldest service first."""
        for service in self._by_namespace.get(peer.namespace, ()):
            if service.selector is not None:
                takes = selects_some if service.kubernetes else selects
                if (service.kubernetes or peer.ready) and takes(service.selector, peer.labels):
                    for port in service.ports:
                        number = _target(service, port, peer)
                        if number is not None and port.protocol != "UDP":
                            yield number, port.protocol
            elif not service.kubernetes and isinstance(service.origin, istio.ServiceEntry):
                for entry in service.origin.spec.endpoints:
                    if entry.address in peer.addresses:
                        for port in service.ports:
                            own = port.target if isinstance(port.target, int) else 0
                            yield entry.ports.get(port.name) or own or port.number, port.protocol


def _target(service: MeshService, port: MeshPort, peer: Peer) -> int | None:
    """The container port behind a service port; None when a named port has no container port of name and protocol."""
    if service.kubernetes:
        if "/we:" in peer.key:
            return None if isinstance(port.target, str) else port.target or port.number
        if isinstance(port.target, str):
            return peer.port_named(port.target, port.transport)
        return port.target or port.number
    return port.target if isinstance(port.target, int) and port.target else port.number


def excluded_ports(peer: Peer, known: Iterable[int]) -> tuple[int, ...]:
    """Container ports whose connections iptables leave alone, by the pod's annotations."""
    excluded = _numbers(peer.annotations.get(_EXCLUDED, ""))
    included = peer.annotations.get(_INCLUDED)
    if included is not None and included.strip() != "*":
        own = _numbers(included)
        candidates = {*known, *(number for _, number, _ in peer.ports)}
        excluded |= {number for number in candidates if number not in own}
    return tuple(sorted(excluded))


def _numbers(text: str) -> set[int]:
    return {int(part) for part in (word.strip() for word in text.split(",")) if part.isdigit()}
