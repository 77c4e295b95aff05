"""Failures that no access log tells of: a proxy's metrics, its hosts' counters, and the text of Envoy's own replies.

Istio's default profile writes no access log at all. What is left then has no time and no request id, but it says who
fails towards whom, and often with which flag.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.traffic import CLIENT, SERVER, Destination, Seen
from meshdoctor.model.accesslog import AccessLine
from meshdoctor.model.accesslog_details import parse_flags
from meshdoctor.model.envoy.admin import Sample
from meshdoctor.model.names import parse_cluster_name
from meshdoctor.model.pods import has_proxy, has_sidecar
from meshdoctor.model.snapshot import Missing, PodRef
from meshdoctor.model.wants import ProxyClusters, ProxyMetrics

REQUESTS, TCP_CLOSED = "istio_requests_total", "istio_tcp_connections_closed_total"

# The whole body of Envoy's local replies that only the caller's own proxy gives: an inbound cluster always has its one
# host, and faults and timeouts belong to outbound routes. Other texts may come from the server's proxy as well.
_REPLIES = {
    "no healthy upstream": (503, "UH", "no_healthy_upstream"),
    "fault filter abort": (503, "FI", "fault_filter_abort"),
    "upstream request timeout": (504, "UT", "response_timeout"),
}

# Bodies of refusals by filters that only the proxy of a server (or a gateway) has.
_RBAC_BODY = "RBAC: access denied"
_JWT_BODIES = ("Jwt ", "Jwks ", "Audiences in Jwt ")
_RATE_BODY = "local_rate_limited"


def unlogged(mesh: MeshIndex, seen: tuple[Seen, ...]) -> tuple[Seen, ...]:
    """Failures of proxies that logged no request of their own, in the order of the proxies."""
    logged = {entry.pod for entry in seen if entry.access}
    silent = [pod for pod in mesh.inventory.proxies if pod not in logged]
    return (
        *(found for pod in silent for found in _measured(mesh, pod)),
        *(found for entry in seen if entry.pod not in logged for found in _replied(mesh, entry)),
        *(found for entry in seen for found in _refused_there(mesh, entry, logged)),
    )


def _measured(mesh: MeshIndex, pod: PodRef) -> Iterator[Seen]:
    metrics = list(_metrics(mesh, pod))
    yield from metrics or _counters(mesh, pod)


def _metrics(mesh: MeshIndex, pod: PodRef) -> Iterator[Seen]:
    """`istio_requests_total` and its TCP sister of this proxy, from the client's view (`reporter="source"`)."""
    fact = mesh.snapshot.get(ProxyMetrics(pod))
    if isinstance(fact, Missing):
        return
    for sample in fact.value:
        line = _of_sample(sample)
        if line and line.failed:
            host = sample.labels.get("destination_service", "")
            yield Seen(pod, CLIENT, mesh.workload(pod), _destination(mesh, host, 0, pod), fact.origin.file, line)


def _of_sample(sample: Sample) -> AccessLine | None:
    if sample.name not in (REQUESTS, TCP_CLOSED) or sample.labels.get("reporter") != "source" or sample.value <= 0:
        return None
    code = sample.labels.get("response_code", "0")
    host = sample.labels.get("destination_service", "")
    flags = parse_flags(sample.labels.get("response_flags", "-"))
    return AccessLine(
        line=0,
        code=int(code) if code.isdigit() else 0,
        flags=flags,
        # Metrics have no details; a 4xx without a flag is an answer of the application until something else is known.
        details="via_upstream" if code.startswith("4") and not flags else None,
        upstream_cluster=f"outbound|||{host}" if host and host != "unknown" else None,
        grpc_status=sample.labels.get("grpc_response_status") or None,
    )


def _counters(mesh: MeshIndex, pod: PodRef) -> Iterator[Seen]:
    """Hosts of outbound clusters to which connections failed; Istio's stats matcher never drops these counters."""
    fact = mesh.snapshot.get(ProxyClusters(pod))
    if isinstance(fact, Missing):
        return
    for status in fact.value.cluster_statuses:
        name = parse_cluster_name(status.name)
        if name.direction != "outbound":
            continue
        for host in status.host_statuses:
            failed = host.count("cx_connect_fail")
            if failed:
                line = AccessLine(
                    line=0,
                    code=503,
                    flags=("UF",),
                    upstream_cluster=status.name,
                    upstream_host=str(host.address),
                    transport_failure=None,
                )
                destination = _destination(mesh, name.host, name.port or 0, pod)
                yield Seen(pod, CLIENT, mesh.workload(pod), destination, fact.origin.file, line)


def _replied(mesh: MeshIndex, seen: Seen) -> Iterator[Seen]:
    """A call whose answer is one of Envoy's own, in a pod whose proxy must have given it."""
    reply = _REPLIES.get(seen.call.error.strip()) if seen.call else None
    pod = mesh.pods.get(seen.pod)
    if reply is None or seen.call is None or pod is None or not has_sidecar(pod):
        return
    code, flag, details = reply
    destination = seen.destination
    line = AccessLine(
        line=seen.call.line,
        start=seen.call.start,
        code=code,
        flags=(flag,),
        details=details,
        path=seen.call.path,
        authority=f"{seen.call.host}:{seen.call.port}",
        upstream_cluster=f"outbound|{destination.port}||{destination.host}",
        duration=None if seen.call.duration is None else int(seen.call.duration),
    )
    yield Seen(seen.pod, CLIENT, seen.client, destination, seen.file, line)


def _refused_there(mesh: MeshIndex, seen: Seen, logged: set[PodRef]) -> Iterator[Seen]:
    """A call that a filter of the server's proxy refused in its own words, where no proxy of the servers was read."""
    call, service = seen.call, mesh.services.get(seen.destination.service or ("", ""))
    refusal = _refusal(call.status, call.error.strip()) if call else None
    if call is None or refusal is None or service is None:
        return
    servers = [pod for pod in mesh.selected_pods(service) if has_proxy(pod)]
    if not servers or any(pod.ref in logged for pod in servers):
        return
    flags, details = refusal
    line = AccessLine(
        line=call.line, start=call.start, code=call.status, flags=flags, details=details, path=call.path,
        authority=f"{call.host}:{call.port}",
    )  # fmt: skip
    yield Seen(servers[0].ref, SERVER, seen.client, seen.destination, seen.file, line)


def _refusal(status: int, body: str) -> tuple[tuple[str, ...], str] | None:
    """Flags and details of the line that a proxy writes when it answers with *body*."""
    if status == 403 and body == _RBAC_BODY:
        return (), "rbac_access_denied_matched_policy"
    if status == 401 and body.startswith(_JWT_BODIES):
        return (), f"jwt_authn_access_denied{{{body.replace(' ', '_')}}}"
    if status == 429 and body == _RATE_BODY:
        return ("RL",), _RATE_BODY
    return None


def _destination(mesh: MeshIndex, host: str, port: int, pod: PodRef) -> Destination:
    service = mesh.service_by_host(host, pod.namespace)
    return Destination(host, port, (service.namespace, service.name) if service else None)
