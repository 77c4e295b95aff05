"""What a Sidecar object lets a proxy know: the services in its scope, and its ingress listeners.

Rules of istiod 1.32: `pilot/pkg/model/push_context.go` (initSidecarScopes, getSidecarScope) and
`pilot/pkg/model/sidecar.go` (convertIstioListenerToWrapper, selectServices, appendSidecarServices, and the services
that imported VirtualServices lead to).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from meshdoctor.mesh import protocols
from meshdoctor.mesh.hosts import DOMAIN, qualified, subset_of
from meshdoctor.mesh.services import MeshPort, MeshService, Registry
from meshdoctor.model.istio import Sidecar, SidecarEgress, VirtualService
from meshdoctor.model.labels import selects
from meshdoctor.model.pods import GATEWAY, WAYPOINT

_EVERYTHING = SidecarEgress(hosts=["*/*"])


class ScopedService(NamedTuple):
    """A service in a proxy's scope: *sources* are the objects it was put together from, *ports* what is left of it."""

    service: MeshService
    sources: tuple[MeshService, ...]
    ports: tuple[MeshPort, ...]

    def port(self, number: int) -> MeshPort | None:
        return next((port for port in self.ports if port.number == number), None)


class SidecarScope(NamedTuple):
    """The scope of a group of proxies; *sidecar* is None when no object limits them."""

    sidecar: Sidecar | None
    namespace: str
    services: Mapping[str, ScopedService]


class SidecarScopes:
    """Scopes by proxy, each computed once."""

    def __init__(
        self,
        sidecars: Iterable[Sidecar],
        registry: Registry,
        root_namespace: str,
        virtual_services: Iterable[VirtualService] = (),
        domain: str = DOMAIN,
    ) -> None:
        ordered = sorted(sidecars, key=_age)
        self._with_selector = [s for s in ordered if s.spec.workload_selector is not None]
        self._plain: dict[str, Sidecar] = {}
        for sidecar in ordered:
            if sidecar.spec.workload_selector is None:
                self._plain.setdefault(sidecar.namespace, sidecar)
        self._registry = registry
        self._root = root_namespace
        self._virtual_services = tuple(virtual_services)
        self._domain = domain
        self._scopes: dict[tuple[str, str, bool], SidecarScope] = {}

    def sidecar(self, namespace: str, labels: Mapping[str, str], proxy: str) -> Sidecar | None:
        """The Sidecar object of a proxy: the oldest whose selector fits, its namespace's, else the root namespace's."""
        if proxy in (GATEWAY, WAYPOINT):
            return None
        for sidecar in self._with_selector:
            selector = sidecar.spec.workload_selector
            if sidecar.namespace == namespace and selector is not None and selects(selector.all_labels, labels):
                return sidecar
        return self._plain.get(namespace) or self._plain.get(self._root)

    def of(self, namespace: str, labels: Mapping[str, str], proxy: str) -> SidecarScope:
        """The scope of a proxy in *namespace* with *labels*."""
        sidecar = self.sidecar(namespace, labels, proxy)
        key = (namespace, sidecar.key if sidecar else "", proxy == GATEWAY)
        if key not in self._scopes:
            self._scopes[key] = self._compute(sidecar, namespace, proxy in (GATEWAY, WAYPOINT))
        return self._scopes[key]

    def _compute(self, sidecar: Sidecar | None, namespace: str, gateway: bool) -> SidecarScope:
        services: dict[str, ScopedService] = {}
        visible = self._registry.visible_to(namespace)
        if gateway:
            for service in visible:
                _append(services, service, service.ports)
            return SidecarScope(None, namespace, services)
        for listener in sidecar.spec.egress if sidecar and sidecar.spec.egress else [_EVERYTHING]:
            wanted = _hosts_by_namespace(listener, namespace)
            for service, ports in _imported(visible, wanted, listener, namespace):
                _append(services, service, ports)
            if sidecar is not None and sidecar.spec.egress:
                for service, ports in self._led_to(wanted, listener, namespace):
                    _append(services, service, ports)
        return SidecarScope(sidecar, namespace, services)

    def _led_to(
        self, wanted: Mapping[str, list[str]], listener: SidecarEgress, namespace: str
    ) -> Iterable[tuple[MeshService, tuple[MeshPort, ...]]]:
        """Services that an imported VirtualService routes to, although no egress host names them."""
        for virtual in self._virtual_services:
            spec = virtual.spec
            if spec.gateways and "mesh" not in spec.gateways:
                continue
            if spec.export_to and not {"*", namespace} & set(spec.export_to) and virtual.namespace != namespace:
                continue
            patterns = [*wanted.get(virtual.namespace, ()), *wanted.get("*", ())]
            hosts = [qualified(host, virtual.namespace, self._domain) for host in spec.hosts]
            if not any(subset_of(host, pattern) or subset_of(pattern, host) for host in hosts for pattern in patterns):
                continue
            for host, numbers in self._destinations(virtual).items():
                service = self._pick(host, namespace)
                if service is None:
                    continue
                ports = _matching(service, listener)
                if not _has_port(listener) and numbers and 0 not in numbers:
                    ports = tuple(port for port in service.ports if port.number in numbers)
                if ports:
                    yield service, ports

    def _destinations(self, virtual: VirtualService) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        spec = virtual.spec
        targets = [entry.destination for http in spec.http for entry in http.route]
        targets += [entry.destination for l4 in (*spec.tls, *spec.tcp) for entry in l4.route]
        targets += [route.mirror for route in spec.http if route.mirror is not None]
        for destination in targets:
            host = qualified(destination.host, virtual.namespace, self._domain)
            found.setdefault(host, set()).add(destination.port.number if destination.port else 0)
        return found

    def _pick(self, host: str, namespace: str) -> MeshService | None:
        services = self._registry.by_host.get(host, ())
        own = next((service for service in services if service.namespace == namespace), None)
        seen = [service for service in services if self._registry.is_visible(service, namespace)]
        return own or min(seen, key=lambda service: service.namespace, default=None)


def _age(sidecar: Sidecar) -> tuple[str, str, str]:
    meta = sidecar.metadata
    return meta.creation_timestamp or "", meta.name, meta.namespace


def _hosts_by_namespace(listener: SidecarEgress, namespace: str) -> dict[str, list[str]]:
    """Egress hosts `NAMESPACE/HOST` by namespace; `.` is the proxy's own, `~` nobody's."""
    found: dict[str, list[str]] = {}
    for entry in listener.hosts:
        if entry.count("/") == 1:
            where, host = entry.split("/")
            found.setdefault(namespace if where == "." else where, []).append(host)
    return found


def _imported(
    visible: Iterable[MeshService], wanted: Mapping[str, list[str]], listener: SidecarEgress, namespace: str
) -> list[tuple[MeshService, tuple[MeshPort, ...]]]:
    """The visible services that an egress listener names; of one host in several namespaces just one stays."""
    found = []
    for service in visible:
        for where in (service.namespace, "*"):
            if any(subset_of(service.host, pattern) for pattern in wanted.get(where, ())):
                ports = _matching(service, listener)
                if ports or not _has_port(listener):
                    found.append((service, ports))
                    break
    owner: dict[str, tuple[str, bool]] = {}
    for service, _ in found:
        own, known = (service.namespace, service.kubernetes), owner.get(service.host)
        if (
            known is None
            or service.namespace == namespace
            or (not known[1] and own[1] and (own[0] == namespace or known[0] != namespace))
        ):
            owner[service.host] = own
    return [(service, ports) for service, ports in found if owner[service.host][0] == service.namespace]


def _has_port(listener: SidecarEgress) -> bool:
    port = listener.port
    return port is not None and port.number != 0 and protocols.parse(port.protocol) != "HTTP_PROXY"


def _matching(service: MeshService, listener: SidecarEgress) -> tuple[MeshPort, ...]:
    """All ports, or the one of an egress listener that has a port."""
    if not _has_port(listener) or listener.port is None:
        return service.ports
    number = listener.port.number
    return tuple(port for port in service.ports if port.number == number)


def _append(services: dict[str, ScopedService], service: MeshService, ports: tuple[MeshPort, ...]) -> None:
    """Add a service to a scope; of two with one host a Kubernetes Service wins, else the first, and ports may merge."""
    known = services.get(service.host)
    if known is None:
        services[service.host] = ScopedService(service, (service,), ports)
        return
    first = known.service
    if first.kubernetes and not service.kubernetes:
        return
    if service.kubernetes and not first.kubernetes:
        services[service.host] = ScopedService(service, (service,), ports)
        return
    mergeable = (
        first.namespace == service.namespace
        and first.resolution == service.resolution
        and first.selector == service.selector
        and first.export_to == service.export_to
    )
    if not mergeable:
        return
    numbers = {port.number for port in known.ports}
    more = tuple(port for port in ports if port.number not in numbers)
    sources = known.sources if service in known.sources else (*known.sources, service)
    services[service.host] = ScopedService(first, sources, (*known.ports, *more))
