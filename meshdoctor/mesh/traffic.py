"""What went over the wire, as the logs of proxies and applications tell it: who called whom, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from meshdoctor.mesh.ambient import is_waypoint
from meshdoctor.mesh.hosts import service_host
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.logs import access_logs, app_logs, logged_addresses
from meshdoctor.mesh.owners import Workload
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.accesslog import AccessLine
from meshdoctor.model.applog import Call
from meshdoctor.model.envoy.address import split_address
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.names import ClusterName, parse_cluster_name
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.wants import LogRef
from meshdoctor.model.ztunnellog import ZtunnelLine

CLIENT, SERVER, GATEWAY, APPLICATION, TUNNEL = "client", "server", "gateway", "application", "ztunnel"
_NO_SERVICE_CLUSTERS = ("PassthroughCluster", "BlackHoleCluster")


class Destination(msgspec.Struct, frozen=True):
    """Where a call goes: the *host* as written or in full, its *port*, and the Service if the cluster has one."""

    host: str
    port: int
    service: tuple[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host

    @property
    def key(self) -> tuple[str, int]:
        """Equal for all the ways in which clients write one Service."""
        return (f"{self.service[1]}.{self.service[0]}" if self.service else self.host, self.port)


class Seen(msgspec.Struct, frozen=True):
    """One request or connection as one side saw it.

    One of *access* (an Envoy's line), *call* (an application's) and *tunnel* (a ztunnel's) is there; *pod* is the one
    whose log it is.
    """

    pod: PodRef
    side: str
    client: Workload | None
    destination: Destination
    file: str
    access: AccessLine | None = None
    call: Call | None = None
    log: LogRef | None = None
    tunnel: ZtunnelLine | None = None

    @property
    def start(self) -> float | None:
        if self.tunnel:
            # ztunnel writes its line when the connection ends.
            return None if self.tunnel.time is None else self.tunnel.time - (self.tunnel.duration or 0.0) / 1000
        return self.access.start if self.access else self.call.start if self.call else None

    @property
    def failed(self) -> bool:
        if self.tunnel:
            return self.tunnel.failed
        return self.access.failed if self.access else bool(self.call and self.call.failed)

    @property
    def logged(self) -> bool:
        """Whether a log told this, and not a counter or the text of an answer."""
        return self.call is not None or (self.log is not None and self.line > 0)

    @property
    def line(self) -> int:
        found = self.access or self.call or self.tunnel
        return found.line if found else 0

    @property
    def duration(self) -> float | None:
        """Milliseconds."""
        found = self.access or self.call or self.tunnel
        return found.duration if found else None

    @property
    def path(self) -> str:
        path = (self.access.path if self.access else self.call.path if self.call else "") or ""
        return path.partition("?")[0]

    @property
    def upstream(self) -> tuple[str, int]:
        """Address and port that the proxy sent the request to; ("", 0) for none."""
        return split_address(self.access.upstream_host if self.access else None)

    @property
    def cluster(self) -> ClusterName | None:
        name = self.access.upstream_cluster if self.access else None
        return parse_cluster_name(name) if name else None


def cluster_of(mesh: MeshIndex, seen: Seen) -> Cluster | None:
    """The cluster of a line as its proxy has it; None when it has none, or when its configuration was not read."""
    config = mesh.config(seen.pod)
    return config.cluster(seen.cluster.name) if config and seen.cluster else None


def destination_of(mesh: MeshIndex, host: str, port: int, namespace: str) -> Destination:
    """The destination of a host as a client in *namespace* writes it."""
    service = mesh.service_by_host(host, namespace) or mesh.service_by_ip(host)
    return _of_service(service, port) if service else Destination(host, port)


def _of_service(service: k8s.Service, port: int) -> Destination:
    return Destination(service_host(service.name, service.namespace), port, (service.namespace, service.name))


class TrafficReader:
    """Reads every log of a snapshot into `Seen` records."""

    def __init__(self, mesh: MeshIndex) -> None:
        self._mesh = mesh
        self._addresses: dict[str, PodRef] = {}

    def read(self) -> tuple[Seen, ...]:
        """Every access line and every application call, in the order of the logs."""
        pods = dict.fromkeys(log.pod for log in self._mesh.inventory.logs)
        own = {pod: self._own_addresses(pod) for pod in pods}
        # A pod that is gone has no object any more, but its own log tells which address was its.
        for pod, addresses in own.items():
            for address in addresses:
                self._addresses.setdefault(address, pod)
        seen: list[Seen] = []
        for pod in pods:
            seen.extend(self._access(pod, own[pod]))
            seen.extend(self._calls(pod))
        return tuple(seen)

    def _own_addresses(self, pod: PodRef) -> frozenset[str]:
        found = self._mesh.pods.get(pod)
        own = {found.status.pod_ip} - {""} if found else set()
        return logged_addresses(self._mesh, pod) | own

    def _access(self, pod: PodRef, own: frozenset[str]) -> Iterator[Seen]:
        workload = self._mesh.workload(pod)
        asked = self._asked_of_gateway if self._mesh.is_gateway(pod) else None
        if pod in self._mesh.pods and is_waypoint(self._mesh.pods[pod]):
            asked = self._asked_of_waypoint
        for log, fact in access_logs(self._mesh, pod):
            file = fact.origin.file
            for line in fact.value.lines:
                name = line.upstream_cluster or ""
                local = split_address(line.downstream_local_address)
                if asked:
                    yield Seen(pod, GATEWAY, self._peer(line) or workload, asked(line, local), file, line, log=log)
                elif name.startswith(("inbound|", "inbound-vip|", "InboundPassthrough")) or (
                    not name.startswith(("outbound|", *_NO_SERVICE_CLUSTERS)) and local[0] in own
                ):
                    yield Seen(pod, SERVER, self._peer(line), self._served(pod, line, local), file, line, log=log)
                else:
                    yield Seen(pod, CLIENT, workload, self._called(pod, line, local), file, line, log=log)

    def _calls(self, pod: PodRef) -> Iterator[Seen]:
        workload = self._mesh.workload(pod)
        for log, fact in app_logs(self._mesh, pod):
            for call in fact.value.calls:
                destination = destination_of(self._mesh, call.host, call.port, pod.namespace)
                yield Seen(pod, APPLICATION, workload, destination, fact.origin.file, None, call, log)

    def _peer(self, line: AccessLine) -> Workload | None:
        address, _ = split_address(line.downstream_remote_address)
        pod = self._mesh.pod_by_ip(address)
        ref = pod.ref if pod else self._addresses.get(address)
        return self._mesh.workload(ref) if ref else None

    def _called(self, pod: PodRef, line: AccessLine, local: tuple[str, int]) -> Destination:
        # The address that the application dialled says what it asked for; a route may have sent it elsewhere.
        service = self._mesh.service_by_ip(local[0])
        if service:
            return _of_service(service, local[1])
        if line.upstream_cluster and line.upstream_cluster.startswith("outbound|"):
            cluster = parse_cluster_name(line.upstream_cluster)
            return destination_of(self._mesh, cluster.host or "", cluster.port or 0, pod.namespace)
        host, port = _authority(line.authority, local[1])
        return destination_of(self._mesh, host, port, pod.namespace) if host else Destination(local[0], local[1])

    def _asked_of_waypoint(self, line: AccessLine, local: tuple[str, int]) -> Destination:
        # A waypoint's clusters are `inbound-vip|PORT|http|HOST`, and the address that was dialled is the Service's own.
        cluster = parse_cluster_name(line.upstream_cluster) if line.upstream_cluster else None
        if cluster and cluster.direction == "inbound-vip":
            return destination_of(self._mesh, cluster.host, cluster.port or 0, "")
        return destination_of(self._mesh, *local, "")

    def _asked_of_gateway(self, line: AccessLine, local: tuple[str, int]) -> Destination:
        host, port = _authority(line.authority or line.requested_server_name, 0)
        return Destination(host, port or (443 if line.requested_server_name else 80)) if host else Destination(*local)

    def _served(self, pod: PodRef, line: AccessLine, local: tuple[str, int]) -> Destination:
        cluster = parse_cluster_name(line.upstream_cluster) if line.upstream_cluster else None
        port = (cluster.port if cluster and cluster.port else 0) or local[1]
        found = self._mesh.served_ports(pod, port)
        if not found:
            return Destination(local[0] or str(pod), port)
        # mTLS carries the client's cluster as SNI (`outbound_.80_._.host`), plain HTTP its authority.
        asked = parse_cluster_name(line.requested_server_name) if line.requested_server_name else None
        wanted = (asked.host if asked and asked.host else _authority(line.authority, 0)[0]).partition(".")[0]
        named = [entry for entry in found if entry[0].name == wanted]
        exact = [entry for entry in named if asked and entry[1] == asked.port]
        service, service_port = (exact or named or list(found))[0]
        return _of_service(service, service_port)


def _authority(text: str | None, default_port: int) -> tuple[str, int]:
    if not text or text == "-":
        return "", default_port
    host, separator, port = text.rpartition(":")
    if separator and port.isdigit():
        return host.strip("[]"), int(port)
    return text, default_port or 80
