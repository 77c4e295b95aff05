"""ztunnel's connections as traffic: who called which Service, and what ztunnel said of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Lives
from meshdoctor.mesh.owners import Workload
from meshdoctor.mesh.traffic import APPLICATION, TUNNEL, Destination, Seen, destination_of
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.envoy.address import split_address
from meshdoctor.model.snapshot import Missing, PodRef
from meshdoctor.model.wants import ZtunnelAccessLog
from meshdoctor.model.ztunnellog import ZtunnelLine

_NOT_ENDED = "connection opened"
"""A line that ztunnel writes at debug level, besides the one at the end."""


def read_tunnels(mesh: MeshIndex) -> tuple[Seen, ...]:
    """Every connection in the logs of ztunnels, in the order of the logs."""
    tunnels = _Tunnels(mesh)
    return tuple(seen for log in mesh.inventory.logs for seen in tunnels.of_log(ZtunnelAccessLog(log)))


def without_unnoticed(seen: Iterable[Seen]) -> Iterator[Seen]:
    """*seen* without failed connections where the caller's application saw every one of its calls go well."""
    entries = list(seen)
    calls = [entry for entry in entries if entry.side == APPLICATION]
    content = bool(calls) and not any(entry.failed for entry in calls)
    return (entry for entry in entries if not (content and entry.tunnel and entry.failed))


class _Tunnels:
    def __init__(self, mesh: MeshIndex) -> None:
        self._mesh = mesh
        self._clients: dict[tuple[str | None, str | None, str], Workload | None] = {}
        self._destinations: dict[tuple[str | None, str | None, str | None, str], Destination] = {}

    def of_log(self, want: ZtunnelAccessLog) -> Iterator[Seen]:
        found = self._mesh.snapshot.get(want)
        if isinstance(found, Missing):
            return
        for line in found.value.lines:
            if line.message != _NOT_ENDED:
                yield Seen(
                    want.log.pod,
                    TUNNEL,
                    self._client(line),
                    self._destination(line),
                    found.origin.file,
                    log=want.log,
                    tunnel=line,
                )

    def _client(self, line: ZtunnelLine) -> Workload | None:
        named = bool(line.src_workload and line.src_namespace)
        # An address alone may be another pod's a moment later: only names are remembered.
        key = (line.src_namespace, line.src_workload, "" if named else f"{line.src_addr} {line.time}")
        if key not in self._clients:
            ref = source_pod(self._mesh, line)
            self._clients[key] = self._mesh.workload(ref) if ref else None
        return self._clients[key]

    def _destination(self, line: ZtunnelLine) -> Destination:
        key = (line.dst_service, line.dst_hbone_addr, line.dst_addr, line.src_namespace or "")
        if key not in self._destinations:
            self._destinations[key] = self._find(line)
        return self._destinations[key]

    def _find(self, line: ZtunnelLine) -> Destination:
        host, port = split_address(line.dst_hbone_addr or line.dst_addr)
        if not line.dst_service:
            return destination_of(self._mesh, host, port, line.src_namespace or "")
        service = self._mesh.service_by_host(line.dst_service)
        if service is None:
            return Destination(line.dst_service, port)
        # The tunnel's target is the Service itself when a waypoint comes first, or when ztunnel found nobody behind it.
        if self._mesh.service_by_ip(host) is None and host != line.dst_service:
            port = self._service_port(service, host, port)
        return destination_of(self._mesh, line.dst_service, port, service.namespace)

    def _service_port(self, service: k8s.Service, address: str, target: int) -> int:
        pod = self._mesh.pod_by_ip(address)
        if pod:
            ports = [port for one, port in self._mesh.served_ports(pod.ref, target) if one is service]
            if ports:
                return ports[0]
        # The Service's targetPort may have been another when the connection was made.
        return service.spec.ports[0].port if len(service.spec.ports) == 1 else target


def source_pod(mesh: MeshIndex, line: ZtunnelLine) -> PodRef | None:
    """The pod that a connection came from: ztunnel names it, or its address was a pod's at that time."""
    if line.src_workload and line.src_namespace:
        return PodRef(line.src_namespace, line.src_workload)
    return _pod_of(mesh, line.src_addr, line.time)


def target_pod(mesh: MeshIndex, line: ZtunnelLine) -> PodRef | None:
    """The pod that a connection went to: the server, or the waypoint before it."""
    if line.dst_workload and line.dst_namespace:
        return PodRef(line.dst_namespace, line.dst_workload)
    return _pod_of(mesh, line.dst_addr, line.time)


def _pod_of(mesh: MeshIndex, address: str | None, moment: float | None) -> PodRef | None:
    host, _ = split_address(address)
    life = mesh.derived(Lives).of_address(host, moment) if host else None
    if life:
        return life.ref
    pod = mesh.pod_by_ip(host) if host else None
    return pod.ref if pod else None
