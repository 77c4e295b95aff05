"""A proxy's clusters, endpoints and certificates as rows that lead to each other: cluster -> endpoint -> pod.

Endpoints are Envoy's live view where it was read, and clusters say how many of theirs would be picked.
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
from meshdoctor.model.wants import ProxyCertificates, ProxyClusters


class ClusterRow(NamedTuple):
    """One cluster; *usable* of *hosts* would be picked (None when Envoy's live view was not read)."""

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


class CertificateRow(NamedTuple):
    """One certificate that Envoy holds; times are RFC 3339, as Envoy gives them."""

    kind: str
    identity: str
    serial: str
    valid_from: str
    expires: str
    path: str


def cluster_rows(mesh: MeshIndex, pod: PodRef, config: ConfigDump) -> Iterator[ClusterRow]:
    """A row per cluster, active, static and warming ones, by host, port and subset."""
    live = mesh.snapshot.value(ProxyClusters(pod))
    statuses = {status.name: status for status in live.cluster_statuses} if live else None
    clusters = (*config.clusters, *config.partly(Cluster))
    for entry in sorted(clusters, key=lambda one: cluster_order(one.name)):
        name = parse_cluster_name(entry.name)
        origin = of_cluster(entry.body)
        status = statuses.get(entry.name) if statuses is not None else None
        hosts = status.host_statuses if status else []
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
            hosts=None if statuses is None else len(hosts),
            usable=None if statuses is None else sum(host.healthy for host in hosts),
            error=" ".join(entry.error.details.split()) if entry.error else "",
        )


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
    usable = endpoint.health_status in ("UNKNOWN", "HEALTHY", "DEGRADED")
    return EndpointRow(
        cluster, str(address), usable, "" if usable else endpoint.health_status, _pod(mesh, address.endpoint_ip)
    )


def _pod(mesh: MeshIndex, address: str) -> PodRef | None:
    found = mesh.pod_by_ip(address) if address else None
    return PodRef(found.namespace, found.name) if found else None


def certificate_rows(mesh: MeshIndex, pod: PodRef) -> Iterator[CertificateRow]:
    """A row per certificate that Envoy holds: its own chain, and the roots that it trusts."""
    found = mesh.snapshot.value(ProxyCertificates(pod))
    for certificate in found.certificates if found else ():
        for kind, entries in (("chain", certificate.cert_chain), ("root", certificate.ca_cert)):
            for entry in entries:
                names = ", ".join(str(name) for name in entry.subject_alt_names)
                yield CertificateRow(
                    kind,
                    names,
                    entry.serial_number,
                    entry.valid_from or "",
                    entry.expiration_time or "",
                    entry.path,
                )
