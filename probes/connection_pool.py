"""UO: whose connection pool limit refused the request? (circuit breakers of the caller's or of the server's sidecar)"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Finding, Resource, Verdict, culprit, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.mended import by_flag
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import config_says, lines_say, listed, logged, remedy
from meshdoctor.mesh.traffic import SERVER, Seen, cluster_of
from meshdoctor.mesh.traffic_policy import sets_pool
from meshdoctor.model import istio
from meshdoctor.model.envoy.cluster import UNLIMITED, Cluster
from meshdoctor.model.labels import selects
from meshdoctor.model.snapshot import Want
from meshdoctor.model.wants import ProxyConfig


def _overflowed(case: Case) -> tuple[Seen, ...]:
    return tuple(seen for seen in case.failures if seen.access and "UO" in seen.access.flags)


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = _overflowed(case)
    if not lines:
        return not_applicable("no request was refused by a connection pool")
    served = tuple(seen for seen in lines if seen.side == SERVER)
    return _server(case, mesh, served) if served else _client(case, mesh, lines)


def _limits(cluster: Cluster | None) -> str:
    if cluster is None:
        return ""
    limits = cluster.thresholds
    found = {
        "max connections": limits.max_connections,
        "max pending requests": limits.max_pending_requests,
        "max requests": limits.max_requests,
    }
    return listed((f"{name} {value}" for name, value in found.items() if value != UNLIMITED), 3)


def _client(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...]) -> Finding:
    newest = lines[-1]
    raw = newest.cluster.name if newest.cluster else ""
    cluster = cluster_of(mesh, newest)
    field = "spec.trafficPolicy.connectionPool"
    owner = blame.of_cluster(cluster, field)
    host = (newest.cluster.host if newest.cluster else "") or case.destination.host
    resources = (
        (owner,)
        if owner
        else tuple(blame.resource(found, field) for found in blame.destination_rules(mesh, host, sets_pool))
    )
    if not resources:
        what = "the caller's sidecar refused requests, as its connection pool was full"
        return by_flag(case, mesh, "client-pool-overflow", lines, ("DestinationRule",), what)
    limits = _limits(cluster)
    return culprit(
        Verdict(
            "client-pool-overflow",
            0.98 if limits else 0.85,
            f"The caller's sidecar refuses requests: the connection pool of {resources[0]} is full",
            resources,
            (
                lines_say(lines, f"{logged(newest)} on {raw}"),
                *((config_says(newest.pod, f"limits in force: {limits}", raw),) if limits else ()),
            ),
            remedy(
                f"Raise connectionPool in {resources[0]} (connections in use = requests per second x seconds per "
                "answer), "
                f"or make {host} answer faster."
            ),
            lines,
        )
    )


def _server(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...]) -> Finding:
    newest = lines[-1]
    raw = newest.cluster.name if newest.cluster else ""
    pod = mesh.pods.get(newest.pod)
    labels = pod.metadata.labels if pod else {}
    sidecars = [
        Resource("Sidecar", found.namespace, found.name, "spec.inboundConnectionPool")
        for found in mesh.objects("Sidecar", istio.Sidecar)
        if found.namespace == newest.pod.namespace
        and selects(found.spec.workload_selector.all_labels if found.spec.workload_selector else {}, labels)
        and (found.spec.inbound_connection_pool or any(entry.connection_pool for entry in found.spec.ingress))
    ]
    # A DestinationRule's pool holds for the inbound cluster as well (istiod's buildInboundCluster).
    rules = [
        blame.resource(found, "spec.trafficPolicy.connectionPool")
        for found in blame.destination_rules(mesh, case.destination.host, sets_pool)
    ]
    resources = tuple(sidecars or rules)
    if not resources:
        what = "the server's sidecar refused requests, as its connection pool was full"
        return by_flag(case, mesh, "server-pool-overflow", lines, ("Sidecar", "DestinationRule"), what)
    limits = _limits(cluster_of(mesh, newest))
    return culprit(
        Verdict(
            "server-pool-overflow",
            0.98 if limits else 0.85,
            f"The server's sidecar refuses requests: the connection pool of {resources[0]} is full",
            resources,
            (
                lines_say(lines, f"{logged(newest)} on {raw} at the server"),
                *((config_says(newest.pod, f"limits in force: {limits}", raw),) if limits else ()),
            ),
            remedy(f"Raise the connection pool in {resources[0]}, or scale the workload."),
            case.together(lines),
        )
    )


def needs(case: Case, mesh: MeshIndex) -> Iterable[Want[Any]]:
    return [ProxyConfig(pod) for pod in dict.fromkeys(seen.pod for seen in _overflowed(case)[-1:])]


PROBE = Probe(
    "connection-pool",
    "Whose connection pool is full?",
    ("client-pool-overflow", "server-pool-overflow"),
    examine,
    needs,
)
