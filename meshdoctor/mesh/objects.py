"""The objects of a mesh that decide about traffic, indexed; each index is built the first time that it is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TypeVar

import msgspec

from meshdoctor.mesh.destination_rules import DestinationRules
from meshdoctor.mesh.endpoints import Endpoints
from meshdoctor.mesh.hosts import DOMAIN
from meshdoctor.mesh.services import Registry
from meshdoctor.mesh.sidecar_scope import SidecarScopes
from meshdoctor.mesh.workloads import Peer, of_pod, of_workload_entry
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.istiod import MeshConfig
from meshdoctor.model.meta import Object
from meshdoctor.model.pods import NONE, SIDECAR

O = TypeVar("O", bound=Object)  # noqa: E741 - O for object

KINDS = (
    "Pod",
    "Service",
    "EndpointSlice",
    "PeerAuthentication",
    "DestinationRule",
    "ServiceEntry",
    "WorkloadEntry",
    "Sidecar",
    "VirtualService",
)
"""The kinds that are looked at (names of `model.kinds.KINDS`)."""


class Features(msgspec.Struct, frozen=True):
    """Switches of istiod that change its answers here; its environment sets them (`pilot/pkg/features`, 1.32)."""

    tls_on_sidecar_ingress: bool = False
    eds_for_headless: bool = False
    merge_sidecar_service_ports: bool = False


_ENVIRONMENT = {
    "ENABLE_TLS_ON_SIDECAR_INGRESS": "tls_on_sidecar_ingress",
    "PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES": "eds_for_headless",
    "PILOT_ALLOW_SIDECAR_SERVICE_INBOUND_LISTENER_MERGE": "merge_sidecar_service_ports",
}


def features(environment: Mapping[str, str]) -> Features:
    """The switches that an environment of istiod sets."""
    on = {field for name, field in _ENVIRONMENT.items() if environment.get(name, "").lower() in ("true", "1", "t")}
    return Features(**dict.fromkeys(on, True))


def istiod_environment(pods: Iterable[k8s.Pod]) -> dict[str, str]:
    """The environment of istiod's container, from its pod; empty when no pod of istiod is among *pods*."""
    for pod in pods:
        if pod.metadata.labels.get("app") == "istiod" or pod.metadata.labels.get("istio") == "pilot":
            return {entry.name: entry.value for container in pod.spec.containers for entry in container.env}
    return {}


class MeshObjects:
    """A read-only collection of typed objects by kind, with what the mesh config and istiod's switches say.

    *by_kind* maps names of `KINDS` to objects; a kind that is not in it could not be read and is listed in `missing`.
    *machines_with_proxy* are keys (`ns/name`) of WorkloadEntries known to run a sidecar.
    """

    def __init__(
        self,
        by_kind: Mapping[str, Iterable[Object]],
        mesh: MeshConfig | None = None,
        switches: Features | None = None,
        domain: str = DOMAIN,
        machines_with_proxy: frozenset[str] = frozenset(),
    ) -> None:
        self._by_kind = {kind: tuple(found) for kind, found in by_kind.items()}
        self.mesh = mesh or MeshConfig()
        self.domain = domain
        self.features = switches or features(istiod_environment(self.of("Pod", k8s.Pod)))
        self._machines_with_proxy = machines_with_proxy

    def of(self, kind: str, struct: type[O]) -> tuple[O, ...]:
        """All objects of a kind; empty when there are none or none could be read."""
        return tuple(found for found in self._by_kind.get(kind, ()) if isinstance(found, struct))

    @property
    def missing(self) -> tuple[str, ...]:
        """Kinds that could not be read: an answer that depends on them is no more than a guess."""
        return tuple(kind for kind in KINDS if kind not in self._by_kind)

    @cached_property
    def pods(self) -> Mapping[str, Peer]:
        """Pods by `ns/name`, those that have ended left out: their addresses may have new owners."""
        return {
            pod.key: of_pod(pod) for pod in self.of("Pod", k8s.Pod) if pod.status.phase not in ("Succeeded", "Failed")
        }

    @cached_property
    def machines(self) -> tuple[tuple[istio.WorkloadEntry, Peer], ...]:
        """WorkloadEntries, each as a peer."""
        return tuple(
            (entry, of_workload_entry(entry, SIDECAR if entry.key in self._machines_with_proxy else NONE))
            for entry in self.of("WorkloadEntry", istio.WorkloadEntry)
        )

    @cached_property
    def peers(self) -> Mapping[str, Peer]:
        """Everything that can be an end of a connection, by key (`ns/pod`, `ns/we:name`)."""
        return {**self.pods, **{peer.key: peer for _, peer in self.machines}}

    @cached_property
    def registry(self) -> Registry:
        return Registry(
            self.of("Service", k8s.Service), self.of("ServiceEntry", istio.ServiceEntry), self.mesh, self.domain
        )

    @cached_property
    def endpoints(self) -> Endpoints:
        return Endpoints(self.of("EndpointSlice", k8s.EndpointSlice), self.pods, self.machines, self.mesh)

    @cached_property
    def destination_rules(self) -> DestinationRules:
        return DestinationRules(self.of("DestinationRule", istio.DestinationRule), self.mesh, self.domain)

    @cached_property
    def sidecar_scopes(self) -> SidecarScopes:
        return SidecarScopes(
            self.of("Sidecar", istio.Sidecar),
            self.registry,
            self.mesh.root_namespace,
            self.of("VirtualService", istio.VirtualService),
            self.domain,
        )
