"""A proxy's clusters and endpoints as rows that lead to each other: cluster -> endpoint -> pod.

Endpoints are Envoy's live view where it was read, else those of the config dump (`include_eds`); clusters say how many
of theirs would be picked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from meshdoctor.mesh.blame import of_cluster
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.endpoint import ClusterStatus, HostStatus, LbEndpoint
from meshdoctor.model.names import parse_cluster_name
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.wants import ProxyClusters

_PICKED = ("UNKNOWN", "HEALTHY", "DEGRADED")
"""Health statuses of istiod's endpoints (core.v3.HealthStatus) with which Envoy picks a host."""


class ClusterRow(NamedTuple):
    """One cluster; *usable* of *hosts* would be picked (None when neither `/clusters` nor the dump tells)."""

    name: str
    host: str
    port: int
    subset: str
    direction: str
    kind: str
    tls: str
    state: str
    origin: str
    hosts: int | None = None
    usable: int | None = None
    error: str = ""


class EndpointRow(NamedTuple):
    """One host of a cluster; *why* says why Envoy would not pick it, *pod* which pod has the address."""

    cluster: str
    address: str
    usable: bool
    why: str
    pod: PodRef | None
    requests: int | None = None
    failures: int | None = None


def cluster_rows(mesh: MeshIndex, pod: PodRef, config: ConfigDump) -> Iterator[ClusterRow]:
    """A row per cluster, active, static and warming ones, by host, port and subset."""
    live = mesh.snapshot.value(ProxyClusters(pod))
    statuses = {status.name: status for status in live.cluster_statuses} if live else None
    clusters = (*config.clusters, *config.partly(Cluster))
    for entry in sorted(clusters, key=lambda one: cluster_order(one.name)):
        name = parse_cluster_name(entry.name)
        origin = of_cluster(entry.body)
        usable = _usable(config, entry.body) if statuses is None else _live_usable(statuses.get(entry.name))
        yield ClusterRow(
            name=entry.name,
            host=name.host or entry.name,
            port=name.port or 0,
            subset=name.subset or "",
            direction=name.direction or "",
            kind=entry.body.type,
            tls=_tls(entry.body),
            state=entry.state,
            origin=str(origin) if origin else "",
            hosts=len(usable) if usable is not None else None,
            usable=sum(usable) if usable is not None else None,
            error=" ".join(entry.error.details.split()) if entry.error else "",
        )


def _live_usable(status: ClusterStatus | None) -> list[bool]:
    return [host.healthy for host in status.host_statuses] if status else []


def _usable(config: ConfigDump, cluster: Cluster) -> list[bool] | None:
    """Of each host in the dump whether it would be picked as far as istiod told; None where the dump has no hosts."""
    known = config.load_assignment(cluster) if config.has("EndpointsConfigDump") else None
    return [endpoint.health_status in _PICKED for endpoint in known.all] if known else None


def cluster_order(name: str) -> tuple[str, str, int, str]:
    """What clusters are sorted by: direction, host, port and subset; Istio's own before the others."""
    parsed = parse_cluster_name(name)
    return parsed.direction or "~", parsed.host or name, parsed.port or 0, parsed.subset or ""


def _tls(cluster: Cluster) -> str:
    """How the cluster dials: `auto` where each endpoint decides (istiod's automatic mTLS)."""
    if cluster.transport_socket_matches:
        return "auto"
    return "TLS" if cluster.tls else "plain"


def endpoint_rows(mesh: MeshIndex, pod: PodRef, config: ConfigDump) -> Iterator[EndpointRow]:
    """A row per host of each cluster: Envoy's live view where it was read, else what it was sent."""
    live = mesh.snapshot.value(ProxyClusters(pod))
    if live:
        for status in live.cluster_statuses:
            for host in status.host_statuses:
                yield _live_endpoint(mesh, status, host)
        return
    for assignment in config.endpoints:
        for endpoint in assignment.body.all:
            yield _sent_endpoint(mesh, assignment.body.cluster_name, endpoint)


def _live_endpoint(mesh: MeshIndex, status: ClusterStatus, host: HostStatus) -> EndpointRow:
    health = host.health_status
    why = [] if health.eds_health_status in ("UNKNOWN", "HEALTHY") else [health.eds_health_status]
    why += [
        text
        for failed, text in (
            (health.failed_outlier_check, "ejected as an outlier"),
            (health.failed_active_health_check, "failed its health check"),
            (health.pending_dynamic_removal, "removed, still in use"),
        )
        if failed
    ]
    return EndpointRow(
        status.name,
        str(host.address),
        host.healthy,
        ", ".join(why),
        _pod(mesh, host.address.endpoint_ip),
        host.count("rq_total"),
        host.count("rq_error") + host.count("cx_connect_fail"),
    )


def _sent_endpoint(mesh: MeshIndex, cluster: str, endpoint: LbEndpoint) -> EndpointRow:
    address = endpoint.endpoint.address
    usable = endpoint.health_status in _PICKED
    return EndpointRow(
        cluster, str(address), usable, "" if usable else endpoint.health_status, _pod(mesh, address.endpoint_ip)
    )


def _pod(mesh: MeshIndex, address: str) -> PodRef | None:
    found = mesh.pod_by_ip(address) if address else None
    return PodRef(found.namespace, found.name) if found else None
