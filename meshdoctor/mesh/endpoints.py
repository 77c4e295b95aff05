"""The endpoints of a service as istiod delivers them, each with the workload behind it.

Kubernetes: EndpointSlices, joined with the pods by name or address (`kube/controller/endpointslice.go`, istiod 1.32).
ServiceEntry: its own list, or the WorkloadEntries and pods that its selector picks (`serviceentry/conversion.go`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from meshdoctor.mesh import services as registry
from meshdoctor.mesh.identity import spiffe
from meshdoctor.mesh.services import MeshPort, MeshService
from meshdoctor.mesh.workloads import Peer, entry_tls_mode
from meshdoctor.model.istio import ServiceEntry, WorkloadEntry, WorkloadEntrySpec
from meshdoctor.model.kubernetes import EndpointSlice, SliceEndpoint
from meshdoctor.model.labels import selects

if TYPE_CHECKING:
    from meshdoctor.model.istiod import MeshConfig

SERVICE_NAME = "kubernetes.io/service-name"


class MeshEndpoint(msgspec.Struct, frozen=True):
    """One endpoint of one service port; *peer* is None when nothing in the mesh has that address.

    *health* is `healthy`, `unhealthy` (not ready: delivered, but not used) or `terminating` (not delivered).
    """

    address: str
    port: int
    namespace: str
    labels: dict[str, str]
    tls_mode: str
    identity: str = ""
    peer: Peer | None = None
    health: str = "healthy"

    @property
    def name(self) -> str:
        """`ns/pod:port`, or `address:port` for what is no workload of the mesh."""
        return f"{self.peer.key if self.peer else self.address}:{self.port}"


class Endpoints:
    """Endpoints by service and port, and the identities behind a service."""

    def __init__(
        self,
        slices: Iterable[EndpointSlice],
        pods: Mapping[str, Peer],
        entries: Iterable[tuple[WorkloadEntry, Peer]],
        mesh: MeshConfig,
    ) -> None:
        self._pods = pods
        self._by_address = {
            address: peer for peer in pods.values() if not peer.host_network for address in peer.addresses
        }
        self._mesh = mesh
        self._slices: dict[tuple[str, str], list[EndpointSlice]] = {}
        for entry in slices:
            name = entry.metadata.labels.get(SERVICE_NAME, "")
            self._slices.setdefault((entry.namespace, name), []).append(entry)
        self._machines: dict[str, list[tuple[WorkloadEntry, Peer]]] = {}
        for machine, peer in entries:
            self._machines.setdefault(machine.namespace, []).append((machine, peer))
        self._pods_of: dict[str, list[Peer]] = {}
        for peer in pods.values():
            self._pods_of.setdefault(peer.namespace, []).append(peer)
        self._cache: dict[tuple[int, int], tuple[MeshEndpoint, ...]] = {}
        self._identities: dict[tuple[str, str], frozenset[str]] = {}

    def at(self, address: str) -> Peer | None:
        """The pod with that address."""
        return self._by_address.get(address)

    def of(self, service: MeshService, port: MeshPort) -> tuple[MeshEndpoint, ...]:
        """All endpoints of a service port, whatever their health."""
        key = (id(service), port.number)
        if key not in self._cache:
            if service.kubernetes:
                self._cache[key] = tuple(self._of_slices(service, port))
            else:
                self._cache[key] = tuple(self._of_entry(service, port))
        return self._cache[key]

    def identities(self, services: Iterable[MeshService]) -> tuple[str, ...]:
        """The SPIFFE ids that a client accepts from a service: those of its endpoints and of the objects, sorted."""
        found: set[str] = set()
        for service in services:
            found.update(service.accounts)
            for port in service.ports:
                found.update(endpoint.identity for endpoint in self.of(service, port) if endpoint.identity)
        return tuple(sorted(self._with_aliases(found)))

    def _with_aliases(self, identities: set[str]) -> set[str]:
        """Each identity also under every trust domain alias (spiffe.ExpandWithTrustDomains)."""
        found = set(identities)
        for identity in identities:
            head, separator, path = identity.removeprefix("spiffe://").partition("/ns/")
            if separator and identity.startswith("spiffe://") and head:
                found.update(f"spiffe://{alias}/ns/{path}" for alias in self._mesh.trust_domain_aliases)
        return found

    def _of_slices(self, service: MeshService, port: MeshPort) -> Iterable[MeshEndpoint]:
        seen: set[tuple[str, int]] = set()
        publish = getattr(service.origin.spec, "publish_not_ready_addresses", False)
        for entry in self._slices.get((service.namespace, service.origin.name), ()):
            numbers = [own.port for own in entry.ports or () if (own.name or "") == port.name and own.port]
            for endpoint in entry.endpoints or ():
                peer = self._peer(endpoint)
                for address in endpoint.addresses[:1]:
                    for number in numbers:
                        if (address, number) in seen:
                            continue
                        seen.add((address, number))
                        yield self._endpoint(address, number, service.namespace, peer, _health(endpoint, publish))

    def _peer(self, endpoint: SliceEndpoint) -> Peer | None:
        target = endpoint.target_ref
        if target is not None and target.kind == "Pod":
            return self._pods.get(f"{target.namespace}/{target.name}")
        return self._by_address.get(endpoint.addresses[0]) if endpoint.addresses else None

    def _endpoint(self, address: str, port: int, namespace: str, peer: Peer | None, health: str) -> MeshEndpoint:
        if peer is None:
            return MeshEndpoint(address, port, namespace, {}, "disabled", health=health)
        return MeshEndpoint(
            address, port, peer.namespace, peer.labels, peer.tls_mode, self.identity(peer), peer, health
        )

    def identity(self, peer: Peer) -> str:
        """The SPIFFE id of a workload, "" when it has no service account."""
        if not peer.service_account:
            return ""
        return spiffe(self._mesh.trust_domain, peer.namespace, peer.service_account)

    def _of_entry(self, service: MeshService, port: MeshPort) -> Iterable[MeshEndpoint]:
        entry = service.origin
        if not isinstance(entry, ServiceEntry):
            return
        target = port.target if isinstance(port.target, int) and port.target else port.number
        if service.selector is not None:
            for machine, peer in self._machines.get(service.namespace, ()):
                if selects(service.selector, peer.labels) and machine.spec.address:
                    number = machine.spec.ports.get(port.name) or target
                    yield self._endpoint(machine.spec.address, number, service.namespace, peer, "healthy")
            for peer in self._pods_of.get(service.namespace, ()):
                # A pod that is not ready is no endpoint of a ServiceEntry at all (podcache.go).
                if peer.ready and peer.addresses and selects(service.selector, peer.labels):
                    yield self._endpoint(peer.addresses[0], target, service.namespace, peer, "healthy")
        elif entry.spec.endpoints:
            for spec in entry.spec.endpoints:
                yield self._listed(spec, spec.ports.get(port.name) or target, service.namespace)
        elif service.resolution in (registry.DNS, registry.DNS_ROUND_ROBIN):
            # The name itself is the endpoint; it is resolved by each proxy.
            yield MeshEndpoint(service.host, target, service.namespace, {}, "disabled")

    def _listed(self, spec: WorkloadEntrySpec, port: int, namespace: str) -> MeshEndpoint:
        identity = spiffe(self._mesh.trust_domain, namespace, spec.service_account)
        return MeshEndpoint(
            spec.address,
            port,
            namespace,
            spec.labels,
            entry_tls_mode(spec.labels, spec.service_account),
            identity if spec.service_account else "",
            self._by_address.get(spec.address),
        )


def _health(endpoint: SliceEndpoint, publish_not_ready: bool) -> str:
    """Ready is healthy; not ready and going away is terminating (endpointslice.go, endpointHealthStatus)."""
    conditions = endpoint.conditions
    if conditions.ready is None or conditions.ready or publish_not_ready:
        return "healthy"
    return "unhealthy" if conditions.terminating is False else "terminating"
