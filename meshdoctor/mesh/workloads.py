"""Pods and virtual machines as the mesh sees them: which proxy they have, which identity, which labels."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from meshdoctor.model.istio import WorkloadEntry
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.labels import REDIRECTION, TLS_MODE
from meshdoctor.model.pods import (
    NONE,
    PROXY_CONTAINER,
    WAYPOINT,
    ZTUNNEL,
    long_running,
    proxy_container,
    proxy_role,
)

AMBIENT = "ambient"


class Peer(msgspec.Struct, frozen=True):
    """One end of a connection: a pod (`ns/name`) or a WorkloadEntry (`ns/we:name`).

    *proxy* is `sidecar`, `gateway`, `waypoint`, `ambient` (ztunnel) or `none`; *ports* are (name, number, protocol)
    of its containers; *tls_mode* is what istiod believes about it (see `model.labels`).
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
            for container in long_running(spec)
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
    """What takes a pod's traffic: its own proxy, else the node's ztunnel (`ambient`), else nothing.

    From containers and annotations, not from labels, which may lie.
    """
    role = proxy_role(pod.spec)
    if role not in (ZTUNNEL, NONE):
        return role
    return AMBIENT if pod.metadata.annotations.get(REDIRECTION) == "enabled" else NONE


def _sidecar_with_hbone(pod: Pod) -> bool:
    proxy = proxy_container(pod.spec)
    told = proxy.env if proxy is not None else ()
    return any(entry.name == "ISTIO_META_ENABLE_HBONE" and entry.value == "true" for entry in told)
