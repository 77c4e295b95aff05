"""`proxy-config endpoint`: the hosts of `/clusters?format=json` (istioctl/pkg/writer/envoy/clusters/clusters.go)."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

import msgspec

from meshdoctor.mesh.gosort import sort_by
from meshdoctor.mesh.proxy.part import decode_part, readable
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.body import Body, beginning, utf8
from meshdoctor.model.envoy.sections import Decoded, Part, snake

_HEAD = 4096
"""Where `cluster_statuses`, the only field of the answer, must be; bytes from the start."""
_LAYOUT = b'{\n "cluster_statuses"'
"""How Envoy's answer begins; no JSON string holds a line break."""
HEADER = ("ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER")


class EndpointFilter(NamedTuple):
    """istioctl's flags: each is compared whole, without regard to case."""

    address: str = ""
    port: int = 0
    cluster: str = ""
    status: str = ""

    def keeps(self, address: str, port: int, cluster: str, status: str) -> bool:
        return (
            (not self.port or self.port == port)
            and (not self.address or self.address.lower() == address.lower())
            and (not self.cluster or self.cluster.lower() == cluster.lower())
            and (not self.status or self.status.lower() == status.lower())
        )


class SocketAddress(msgspec.Struct, gc=False):
    address: str = ""
    port_value: int = 0


class Pipe(msgspec.Struct, gc=False):
    path: str = ""


class InternalAddress(msgspec.Struct, gc=False):
    server_listener_name: str | None = None
    endpoint_id: str = ""


class Address(msgspec.Struct, gc=False):
    socket_address: SocketAddress | None = None
    pipe: Pipe | None = None
    envoy_internal_address: InternalAddress | None = None


class _Health(msgspec.Struct, gc=False):
    eds_health_status: str = "UNKNOWN"
    failed_outlier_check: bool = False


class _Host(msgspec.Struct, gc=False):
    address: Address | None = None
    health_status: _Health | None = None


class _ClusterStatus(msgspec.Struct, gc=False):
    name: str = ""
    host_statuses: list[_Host] = []


class _Clusters(msgspec.Struct, gc=False):
    cluster_statuses: list[_ClusterStatus] = []


class _RawClusters(msgspec.Struct, gc=False):
    cluster_statuses: list[msgspec.Raw] = []


class ClusterHosts(Decoded):
    """The body of `/clusters?format=json`; its hosts are decoded and sorted once."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.problems: list[str] = []
        """What could not be used, one line each."""
        self.raw: Part = clusters_json(body, self.problems)
        self.raw = snake(self.raw)
        if bytes(self.raw[:64]).count(b'"') and b'"cluster_statuses"' not in bytes(self.raw[:_HEAD]):
            self.problems.append("no cluster_statuses in it: save /clusters?format=json (`eds` reads a config dump)")

    @cached_property
    def hosts(self) -> tuple[list[_HostRow], bool]:
        """Every host in istioctl's order, and whether that order is the only one (no two hosts compare equal)."""
        found = decode_part(self.raw, "clusters", _Clusters, self.problems)
        rows: list[_HostRow] = []
        for cluster in found.cluster_statuses:
            name = cluster.name
            for host in cluster.host_statuses:
                socket = host.address.socket_address if host.address else None
                address, port = (socket.address, socket.port_value) if socket else place_of(host.address)
                health = host.health_status
                status = health.eds_health_status if health else "UNKNOWN"
                outlier = "FAILED" if health and health.failed_outlier_check else "OK"
                cells = (f"{address}:{port}" if port else address, status, outlier, name)
                rows.append((address, port, name, cells))
        # The rows themselves are compared: a key for each takes longer than that. Their cells have no say, as
        # rows that are equal up to there leave the order to `sort_by`.
        ordered = sorted(rows)
        unique = all(a[0] != b[0] or a[1] != b[1] or a[2] != b[2] for a, b in pairwise(ordered))
        return (ordered, True) if unique else (rows, False)

    @cached_property
    def resources(self) -> list[tuple[_ClusterStatus, msgspec.Raw]]:
        """Every cluster that can be read, as its hosts and as JSON."""
        raws = decode_part(self.raw, "clusters", _RawClusters, self.problems).cluster_statuses
        return list(readable(raws, _ClusterStatus, "clusters", self.problems))


_HostRow = tuple[str, int, str, Cells]
_PLACE = itemgetter(0, 1, 2)


def endpoint_table(clusters: ClusterHosts, chosen: EndpointFilter) -> TextTable:
    """A row per host of each cluster; a cluster without hosts has none. Raises `UnreadableError`."""
    hosts, ordered = clusters.hosts
    if chosen.port:  # by itself: of tens of thousands of hosts most have another one
        hosts = [host for host in hosts if host[1] == chosen.port]
    if any(chosen._replace(port=0)):
        hosts = [host for host in hosts if chosen.keeps(host[0], host[1], host[2], host[3][1])]
    return TextTable(HEADER, [host[3] for host in (hosts if ordered else sort_by(hosts, _PLACE))])


def place_of(address: Address | None) -> tuple[str, int]:
    """A host's address as istioctl writes it, and its port (0 for one without)."""
    if address is None:
        return "unix://", 0
    if address.socket_address:
        return address.socket_address.address, address.socket_address.port_value
    if address.envoy_internal_address:
        inner = address.envoy_internal_address
        return f"envoy://{inner.server_listener_name or ''}/{inner.endpoint_id}", 0
    return f"unix://{address.pipe.path if address.pipe else ''}", 0


def endpoint_resources(clusters: ClusterHosts, chosen: EndpointFilter) -> list[msgspec.Raw]:
    """The clusters with a host that the filter keeps, as JSON, in the order of the answer."""
    kept = []
    for cluster, raw in clusters.resources:
        for host in cluster.host_statuses:
            status = host.health_status.eds_health_status if host.health_status else "UNKNOWN"
            if chosen.keeps(*place_of(host.address), cluster.name, status):
                kept.append(raw)
                break
    return kept


def clusters_json(body: Body, problems: list[str]) -> bytes | memoryview:
    """The JSON document in *body* without a status line before it or noise after it."""
    body = utf8(body)
    head = bytes(body[:64]).lstrip()
    if not head and not bytes(body[64:4096]).strip():
        raise UnreadableError("the body is empty")
    last = body.rfind(_LAYOUT)
    if last <= 0 and head.startswith(b"{") and bytes(body[-64:]).rstrip().endswith(b"}"):
        return memoryview(body)
    text = bytes(body)
    start = last if last >= 0 else text.find(b'{"cluster_statuses"')
    start = text.find(b"{") if start < 0 else start
    if start < 0:
        form = f"not JSON, it begins with: {beginning(body)}"
        if b"::default_priority::" in text:
            form = "the text form of /clusters; save /clusters?format=json"
        raise UnreadableError(f"error unmarshalling config dump response from Envoy: {form}")
    if text.count(_LAYOUT, 0, start):
        problems.append(f"the file holds {text.count(_LAYOUT)} answers; the last one is shown")
    elif text[:start].strip():
        problems.append("text before the JSON was skipped")
    end = text.rfind(b"}") + 1
    if not text[:end].removesuffix(b"}").rstrip().endswith(b"]"):
        problems.append("the JSON is cut short")
    elif text[end:].strip():
        problems.append("text after the JSON was skipped")
    return text[start:end]
