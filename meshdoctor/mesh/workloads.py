"""Pods and virtual machines as the mesh sees them: which proxy they have, which identity, which labels."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from meshdoctor.mesh.labels import TLS_MODE
from meshdoctor.mesh.pods import PROXY_CONTAINER
from meshdoctor.model.istio import WorkloadEntry
from meshdoctor.model.kubernetes import Container, Pod

SIDECAR, GATEWAY, WAYPOINT, AMBIENT, NONE = "sidecar", "gateway", "waypoint", "ambient", "none"


class Peer(msgspec.Struct, frozen=True):
    """One end of a connection: a pod (`ns/name`) or a WorkloadEntry (`ns/we:name`).

    *proxy* is `sidecar`, `gateway`, `waypoint`, `ambient` (ztunnel) or `none`; *ports* are (name, number, protocol)
    of its containers; *tls_mode* is what istiod believes about it (see `mesh.labels`).
    """

    key: str
    namespace: str
    name: str
    labels: dict[str, str]
    proxy: str
    tls_mode: str
    addresses: tuple[str, ...] = ()
    service_account: str = ""
    ports: tuple[tuple[str, int, str], ...] = ()
    annotations: dict[str, str] = {}
    host_network: bool = False
    ready: bool = True
    hbone: bool = False
    """Whether its proxy can send and take HBONE (a ztunnel can; a sidecar only when it is told to)."""

    def port_named(self, name: str, protocol: str) -> int | None:
        """The container port of that name *and* protocol: a named targetPort finds no other."""
        return next((number for own, number, kind in self.ports if own == name and kind == protocol), None)


def of_pod(pod: Pod) -> Peer:
    spec = pod.spec
    kind = proxy_kind(pod)
    native = [container for container in spec.init_containers if container.restart_policy == "Always"]
    status = pod.status
    addresses = tuple(entry.ip for entry in status.pod_ips if entry.ip) or ((status.pod_ip,) if status.pod_ip else ())
    return Peer(
        key=pod.key,
        namespace=pod.namespace,
        name=pod.name,
        labels=pod.metadata.labels,
        proxy=kind,
        tls_mode=pod.metadata.labels.get(TLS_MODE, "disabled"),
        addresses=addresses,
        service_account=spec.service_account_name,
        ports=tuple(
            (port.name, port.container_port, port.protocol)
            for container in (*spec.containers, *native)
            for port in container.ports
            if container.name != PROXY_CONTAINER
        ),
        annotations=pod.metadata.annotations,
        host_network=spec.host_network,
        ready=any(entry.type == "Ready" and entry.status == "True" for entry in status.conditions),
        hbone=kind in (AMBIENT, WAYPOINT) or _sidecar_with_hbone(pod),
    )


def of_workload_entry(entry: WorkloadEntry, proxy: str) -> Peer:
    """A virtual machine; whether it runs a proxy cannot be read from the object, so the caller says what it knows."""
    spec = entry.spec
    # Labels of the object and of its spec are one set; the object's win (serviceentry/conversion.go, 1.32).
    labels = {**spec.labels, **entry.metadata.labels}
    return Peer(
        key=f"{entry.namespace}/we:{entry.name}",
        namespace=entry.namespace,
        name=entry.name,
        labels=labels,
        proxy=proxy,
        tls_mode=entry_tls_mode(labels, spec.service_account),
        addresses=(spec.address,) if spec.address else (),
        service_account=spec.service_account,
        annotations=entry.metadata.annotations,
    )


def entry_tls_mode(labels: Mapping[str, str], service_account: str) -> str:
    """The TLS mode of a WorkloadEntry: its label, else `istio` when it has a service account.

    Source: serviceentry/conversion.go, getTLSModeFromWorkloadEntry (1.32).
    """
    return labels.get(TLS_MODE) or ("istio" if service_account else "disabled")


def proxy_kind(pod: Pod) -> str:
    """The proxy that a pod really has, from its containers and annotations (not from its labels, which may lie)."""
    spec = pod.spec
    proxy = next((c for c in (*spec.containers, *spec.init_containers) if c.name == PROXY_CONTAINER), None)
    if proxy is not None and "ztunnel" not in proxy.args and pod.metadata.labels.get("app") != "ztunnel":
        return _kind_of(proxy)
    if pod.metadata.annotations.get("ambient.istio.io/redirection") == "enabled":
        return AMBIENT
    return NONE


def _sidecar_with_hbone(pod: Pod) -> bool:
    containers = (c for c in (*pod.spec.containers, *pod.spec.init_containers) if c.name == PROXY_CONTAINER)
    return any(e.name == "ISTIO_META_ENABLE_HBONE" and e.value == "true" for c in containers for e in c.env)


def _kind_of(proxy: Container) -> str:
    if "router" in proxy.args:
        return GATEWAY
    return WAYPOINT if "waypoint" in proxy.args else SIDECAR
