"""The service registry as istiod builds it: Kubernetes Services and ServiceEntries in one list, with their visibility.

Rules of istiod 1.32: `pkg/config/kube/conversion.go` (ConvertService), `serviceregistry/serviceentry/conversion.go`
(convertServices), `pilot/pkg/model/push_context.go` (initServiceRegistry, servicesExportedToNamespace).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import msgspec

from meshdoctor.mesh import protocols
from meshdoctor.mesh.hosts import DOMAIN, service_host
from meshdoctor.model.istio import ServiceEntry
from meshdoctor.model.istiod import MeshConfig
from meshdoctor.model.kubernetes import Service

EXPORT_TO = "networking.istio.io/exportTo"
CLIENT_SIDE, DNS, DNS_ROUND_ROBIN, PASSTHROUGH, ALIAS = "client-side", "dns", "dns-round-robin", "passthrough", "alias"
_RESOLUTIONS = {"STATIC": CLIENT_SIDE, "DNS": DNS, "DNS_ROUND_ROBIN": DNS_ROUND_ROBIN, "DYNAMIC_DNS": DNS}
_ACCOUNT_ANNOTATIONS = ("alpha.istio.io/canonical-serviceaccounts", "alpha.istio.io/kubernetes-serviceaccounts")


class MeshPort(msgspec.Struct, frozen=True):
    """A port of a service; *target* is a port number, a container port's name, or 0 for the same number."""

    number: int
    name: str
    protocol: str
    target: int | str = 0
    transport: str = "TCP"


class MeshService(msgspec.Struct, frozen=True):
    """A host that the mesh knows, from one object; *export_to* is empty when the mesh config's default holds."""

    host: str
    namespace: str
    ports: tuple[MeshPort, ...]
    resolution: str
    origin: Service | ServiceEntry
    created: str
    export_to: frozenset[str] = frozenset()
    external: bool = False
    """MESH_EXTERNAL: never Istio's own mTLS by itself."""
    selector: dict[str, str] | None = None
    accounts: tuple[str, ...] = ()
    """Identities that the object itself names (a ServiceEntry's subjectAltNames, a Service's annotations)."""

    @property
    def kubernetes(self) -> bool:
        return isinstance(self.origin, Service)

    @property
    def key(self) -> tuple[str, str]:
        """Endpoints belong to a host and a namespace; two ServiceEntries of one namespace share theirs."""
        return self.host, self.namespace

    @property
    def label(self) -> str:
        """`Service ns/name` or `ServiceEntry ns/name`."""
        return f"{'Service' if self.kubernetes else 'ServiceEntry'} {self.origin.key}"

    def port(self, number: int) -> MeshPort | None:
        return next((port for port in self.ports if port.number == number), None)


def of_service(service: Service, domain: str = DOMAIN) -> MeshService:
    spec, meta = service.spec, service.metadata
    resolution = CLIENT_SIDE
    if spec.type == "ExternalName" and spec.external_name:
        resolution = ALIAS
    elif spec.cluster_ip == "None":
        resolution = PASSTHROUGH
    accounts = [meta.annotations.get(name, "") for name in _ACCOUNT_ANNOTATIONS]
    ports = tuple(
        MeshPort(port.port, port.name, protocols.of_service_port(port), port.target_port or 0, port.protocol)
        for port in spec.ports
    )
    return MeshService(
        host=service_host(service.name, service.namespace, domain),
        namespace=service.namespace,
        ports=ports,
        resolution=resolution,
        origin=service,
        created=meta.creation_timestamp or "",
        export_to=_names(meta.annotations.get(EXPORT_TO, "")),
        selector=spec.selector,
        accounts=tuple(account for text in accounts for account in sorted(_names(text))),
    )


def of_service_entry(entry: ServiceEntry) -> tuple[MeshService, ...]:
    """One service a host; an object without ports gives none."""
    spec = entry.spec
    ports = tuple(
        MeshPort(port.number, port.name, protocols.parse(port.protocol), port.target_port) for port in spec.ports
    )
    return tuple(
        MeshService(
            host=host,
            namespace=entry.namespace,
            ports=ports,
            resolution=_RESOLUTIONS.get(spec.resolution, PASSTHROUGH),
            origin=entry,
            created=entry.metadata.creation_timestamp or "",
            export_to=frozenset(spec.export_to),
            external=spec.location != "MESH_INTERNAL",
            selector=spec.workload_selector.all_labels if spec.workload_selector else None,
            accounts=tuple(spec.subject_alt_names),
        )
        for host in spec.hosts
    )


def _names(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


class Registry:
    """Every service of the mesh, oldest first, and who may see it."""

    def __init__(
        self,
        services: Iterable[Service],
        entries: Iterable[ServiceEntry],
        mesh: MeshConfig | None = None,
        domain: str = DOMAIN,
    ) -> None:
        found = [of_service(service, domain) for service in services]
        found += [service for entry in entries for service in of_service_entry(entry)]
        self.services = tuple(sorted(found, key=lambda s: (s.created, _registry_name(s), s.namespace)))
        self._default = frozenset((mesh or MeshConfig()).default_service_export_to)
        self._visible: dict[str, tuple[MeshService, ...]] = {}

    @cached_property
    def by_host(self) -> dict[str, tuple[MeshService, ...]]:
        found: dict[str, list[MeshService]] = {}
        for service in self.services:
            found.setdefault(service.host, []).append(service)
        return {host: tuple(services) for host, services in found.items()}

    def visibility(self, service: MeshService) -> frozenset[str]:
        """The namespaces that see it: `*`, `.` (its own), `~` (nobody) or names."""
        return service.export_to or self._default

    def is_visible(self, service: MeshService, namespace: str) -> bool:
        seen = self.visibility(service)
        if "*" in seen:
            return True
        if "~" in service.export_to:
            return False
        return namespace in seen or ("." in seen and service.namespace == namespace)

    def visible_to(self, namespace: str) -> tuple[MeshService, ...]:
        """The services that proxies of *namespace* may know, in istiod's order: own, exported to it, public."""
        if namespace not in self._visible:
            self._visible[namespace] = tuple(
                sorted(
                    (service for service in self.services if self.is_visible(service, namespace)),
                    key=lambda service: self._rank(service, namespace),
                )
            )
        return self._visible[namespace]

    def _rank(self, service: MeshService, namespace: str) -> int:
        if "*" in self.visibility(service):
            return 2
        return 0 if service.namespace == namespace else 1


def _registry_name(service: MeshService) -> str:
    return service.origin.name if service.kubernetes else service.host
