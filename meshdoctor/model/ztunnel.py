"""ztunnel's `/config_dump`: the workloads, services, policies and certificates that one node's ztunnel works with.

Shapes of ztunnel 1.24 to 1.32 (`src/state.rs`, `src/state/workload.rs`, `src/admin.rs`); earlier ones write maps where
later ones write lists, and both are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from meshdoctor.model.meta import Fields

T = TypeVar("T")


class Gateway(Fields, frozen=True):
    """A waypoint or network gateway: *destination* is `network/ip` or `namespace/hostname`."""

    destination: str = ""
    hbone_mtls_port: int = 15008


class Workload(Fields, frozen=True):
    """A pod (or other workload) as istiod described it; *protocol* HBONE: its node's ztunnel tunnels for it."""

    uid: str = ""
    name: str = ""
    namespace: str = ""
    workload_ips: list[str] = []
    service_account: str = ""
    workload_name: str = ""
    protocol: str = "TCP"
    network_mode: str = "Standard"
    node: str = ""
    status: str = ""
    waypoint: Gateway | None = None
    authorization_policies: list[str] | None = None
    """`namespace/name` of the policies that select it; namespace-wide and mesh-wide ones are not repeated here."""


class Endpoint(Fields, frozen=True):
    workload_uid: str = ""
    status: str = ""
    port: dict[str, int] = {}


class Service(Fields, frozen=True):
    """A service with its *vips* (`network/ip`), *ports* (service port to target port) and endpoints by workload."""

    name: str = ""
    namespace: str = ""
    hostname: str = ""
    vips: list[str] = []
    ports: dict[str, int] = {}
    endpoints: dict[str, Endpoint] | list[Endpoint] = {}
    waypoint: Gateway | None = None


class Policy(Fields, frozen=True):
    """An authorization rule set: *scope* Global, Namespace or WorkloadSelector; *rules* as ztunnel nests them."""

    name: str = ""
    namespace: str = ""
    scope: str = ""
    action: str = ""
    dry_run: bool = False
    rules: Any = None


class Certificate(Fields, frozen=True):
    """One identity's chain; the entries keep ztunnel's own shape (pem, serialNumber, validFrom, expirationTime)."""

    identity: str = ""
    state: Any = None
    cert_chain: list[dict[str, Any]] = []
    root_certs: list[dict[str, Any]] = []


class ZtunnelDump(Fields, frozen=True):
    """The whole dump; `workloads` and its like are read through the `all_…` properties."""

    workloads: list[Workload] | dict[str, Workload] = []
    services: list[Service] | dict[str, Service] = []
    policies: list[Policy] | dict[str, Policy] = []
    certificates: list[Certificate] | dict[str, Certificate] = []
    workload_state: dict[str, Any] = {}
    config: dict[str, Any] = {}
    version: dict[str, Any] = {}

    @property
    def all_workloads(self) -> tuple[Workload, ...]:
        return _entries(self.workloads)

    @property
    def all_services(self) -> tuple[Service, ...]:
        return _entries(self.services)

    @property
    def all_policies(self) -> tuple[Policy, ...]:
        return _entries(self.policies)

    @property
    def all_certificates(self) -> tuple[Certificate, ...]:
        return _entries(self.certificates)

    def workload(self, namespace: str, name: str) -> Workload | None:
        """The workload of a pod."""
        return next((one for one in self.all_workloads if (one.namespace, one.name) == (namespace, name)), None)

    def service(self, namespace: str, name: str) -> Service | None:
        return next((one for one in self.all_services if (one.namespace, one.name) == (namespace, name)), None)


def _entries(found: list[T] | Mapping[str, T]) -> tuple[T, ...]:
    return tuple(found.values()) if isinstance(found, Mapping) else tuple(found)
