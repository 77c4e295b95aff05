"""NR at the server's listener: who sends plain text (or foreign TLS) to a workload that only takes mutual TLS,
and why?
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdoctor.mesh import blame
from meshdoctor.mesh.ambient import AMBIENT, mode
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.injection import wants_sidecar
from meshdoctor.mesh.mtls.peer_authentication import STRICT
from meshdoctor.mesh.peer_policy import decider, server_policy
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.protocols import is_http, of_service_port
from meshdoctor.mesh.quoting import config_says, lines_say, logged, remedy
from meshdoctor.mesh.traffic import CLIENT, SERVER, Seen, cluster_of
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.envoy.address import split_address
from meshdoctor.model.pods import PROXY_CONTAINER, has_proxy
from meshdoctor.model.snapshot import PodRef, Want
from meshdoctor.model.wants import ProxyConfig

PASSTHROUGH = "PassthroughCluster"


def _refused(case: Case) -> tuple[Seen, ...]:
    """The server's lines of connections that no filter chain took."""
    return tuple(seen for seen in case.server_lines if seen.access and seen.access.details == "filter_chain_not_found")


def examine(case: Case, mesh: MeshIndex) -> Finding:
    refused = _refused(case)
    if not refused:
        return not_applicable("every connection found a filter chain")
    sent = tuple(seen for seen in case.failures if seen.side == CLIENT and seen.access)
    lines = (*refused, *sent)
    said = lines_say(refused, f"{logged(refused[-1])} at the server, SNI {_sni(refused[-1]) or 'none'}")
    clients = _client_pods(mesh, refused)
    passed = tuple(seen for seen in sent if seen.access and seen.access.upstream_cluster == PASSTHROUGH)
    if _sni(refused[-1]):
        return _foreign_tls(case, mesh, passed, lines, said)
    server = mesh.pods.get(refused[-1].pod)
    port = split_address(refused[-1].access.downstream_local_address if refused[-1].access else None)[1]
    policy = server_policy(mesh, server) if server else None
    strict = policy is not None and policy.for_port(port) == STRICT
    # A listener refuses plain text only where it takes nothing but mutual TLS; what made it so may be gone again.
    if policy is None or not (strict or case.is_over(refused)):
        return inconclusive("a server's listener took no connection, and no STRICT policy explains it", said)
    peer = decider(policy, port)
    reason = policy.reason_for(port) if strict else f"it refused plain text then; now: {policy.reason_for(port)}"
    why = (said, Evidence(reason, mesh.file("PeerAuthentication"), str(peer or "")))
    if passed:
        return _around_the_mesh(mesh, passed, lines, why, peer)
    if sent:
        return _turned_off(case, mesh, sent, lines, why, peer)
    return _without_sidecar(case, mesh, clients, lines, why, peer)


def _sni(seen: Seen) -> str:
    return (seen.access.requested_server_name or "") if seen.access else ""


def _client_pods(mesh: MeshIndex, refused: tuple[Seen, ...]) -> list[k8s.Pod]:
    addresses = {split_address(seen.access.downstream_remote_address)[0] for seen in refused if seen.access}
    return [pod for address in addresses if (pod := mesh.pod_by_ip(address))]


def _foreign_tls(
    case: Case, mesh: MeshIndex, passed: tuple[Seen, ...], lines: tuple[Seen, ...], said: Evidence
) -> Finding:
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    port = next((one for one in service.spec.ports if one.port == case.destination.port), None) if service else None
    if not passed or service is None or port is None or not is_http(of_service_port(port)):
        return inconclusive(
            "the server got TLS that is not Istio's; the caller's own line does not say from where", said
        )
    resource = Resource("Service", service.namespace, service.name, "spec.ports[].name")
    return culprit(
        Verdict(
            "wrong-protocol-on-http-port",
            0.94,
            f"Port {port.port} ({port.name or port.app_protocol}) of {resource} is declared HTTP, and callers "
            "send TLS on it",
            (resource,),
            (
                said,
                lines_say(
                    passed, f"{logged(passed[-1])} through {PASSTHROUGH}: the caller's sidecar saw TLS, not HTTP"
                ),
            ),
            remedy(f"Name the port https or tls-… (or set appProtocol: https) in {resource}."),
            lines,
        )
    )


def _around_the_mesh(
    mesh: MeshIndex,
    passed: tuple[Seen, ...],
    lines: tuple[Seen, ...],
    why: tuple[Evidence, ...],
    peer: Resource | None,
) -> Finding:
    newest = passed[-1]
    dialled = split_address(newest.access.downstream_local_address if newest.access else None)[0]
    owner = blame.of_workload(mesh.workload(newest.pod))
    shown = lines_say(passed, f"{logged(newest)} through {PASSTHROUGH} to {dialled}")
    if mesh.pod_by_ip(dialled):
        resources = (owner, *((peer,) if peer else ()))
        return culprit(
            Verdict(
                "headless-or-pod-ip-call",
                0.95,
                f"{owner} calls a pod by its address, so its sidecar sends plain text to a STRICT workload",
                resources,
                (shown, *why),
                remedy(f"Call the Service's name in {owner}; only then does the sidecar know the workload."),
                lines,
            )
        )
    return inconclusive(f"the caller's sidecar passes {dialled} through without mutual TLS", shown, *why)


def _turned_off(
    case: Case,
    mesh: MeshIndex,
    sent: tuple[Seen, ...],
    lines: tuple[Seen, ...],
    why: tuple[Evidence, ...],
    peer: Resource | None,
) -> Finding:
    newest = sent[-1]
    raw = newest.cluster.name if newest.cluster else ""
    cluster = cluster_of(mesh, newest)
    if cluster is None:
        return inconclusive("plain text reaches a STRICT workload; the caller's configuration was not read", *why)
    if cluster.tls or cluster.transport_socket_matches:
        return inconclusive("plain text reaches a STRICT workload, though the caller's cluster does TLS", *why)
    shown = config_says(newest.pod, "the caller's cluster has no TLS at all", raw)
    owner = blame.of_cluster(cluster, "spec.trafficPolicy.tls.mode")
    if cluster.type == "ORIGINAL_DST" and owner is None:
        service = blame.of_service(case.destination)
        resources = tuple(one for one in (service, peer) if one)
        return culprit(
            Verdict(
                "headless-or-pod-ip-call",
                0.9,
                f"Calls to the headless {service or raw} leave without mutual TLS, and the servers are STRICT",
                resources,
                (lines_say(sent, f"{logged(newest)} on {raw}"), shown, *why),
                remedy("Set tls.mode ISTIO_MUTUAL in a DestinationRule for this headless Service."),
                lines,
            )
        )
    if owner is None:
        return inconclusive("plain text reaches a STRICT workload, and no DestinationRule turns TLS off", shown, *why)
    return culprit(
        Verdict(
            "mtls-plaintext-to-strict",
            0.97,
            f"{owner} turns mutual TLS off, and {case.destination.host} only accepts it",
            (owner, *((peer,) if peer else ())),
            (lines_say(sent, f"{logged(newest)} on {raw}"), shown, *why),
            remedy(
                f"Set tls.mode ISTIO_MUTUAL in {owner}, or remove its tls block.",
                "trafficPolicy:\n  tls:\n    mode: ISTIO_MUTUAL",
            ),
            lines,
        )
    )


def _without_sidecar(
    case: Case,
    mesh: MeshIndex,
    clients: list[k8s.Pod],
    lines: tuple[Seen, ...],
    why: tuple[Evidence, ...],
    peer: Resource | None,
) -> Finding:
    if not clients or case.client is None:
        return inconclusive("somebody without a sidecar calls a STRICT workload; its address belongs to no pod", *why)
    pod = clients[0]
    owner = blame.of_workload(case.client)
    calls = case.calls
    everything = (*lines, *calls)
    init = {container.name for container in pod.spec.init_containers}
    if has_proxy(pod):
        from_init = any(seen.log and seen.log.container in init for seen in calls)
        if not from_init and _proxy_started(pod):
            return inconclusive(f"plain text from {pod.key} reaches a STRICT workload, though it has a sidecar", *why)
        told = f"init containers of {pod.key} run before istio-proxy: {', '.join(sorted(init))}"
        shown = Evidence(told, mesh.file("Pod"), pod.key)
        return culprit(_init_container(case, owner, everything, (*why, shown)))
    shown = Evidence(f"{pod.key} has no container istio-proxy", mesh.file("Pod"), pod.key)
    if wants_sidecar(mesh, pod):
        return culprit(_not_injected(case, owner, peer, everything, (*why, shown)))
    if not mesh.known("Namespace"):
        return inconclusive(f"{pod.key} has no sidecar; whether its namespace asks for one could not be read", *why)
    if mode(mesh, pod) == AMBIENT:
        return inconclusive("an ambient workload reaches a STRICT workload with plain text", *why)
    return culprit(_outside(case, owner, peer, everything, (*why, shown)))


def _init_container(case: Case, owner: Resource, lines: tuple[Seen, ...], evidence: tuple[Evidence, ...]) -> Verdict:
    return Verdict(
        "init-container-needs-network",
        0.95,
        f"An init container of {owner} calls {case.destination.host} before the pod's sidecar runs",
        (owner,),
        evidence,
        remedy(
            "Use native sidecars (Kubernetes 1.33 or newer), do this work in the application container, or let "
            f"port {case.destination.port} accept plain text."
        ),
        lines,
    )


def _not_injected(
    case: Case, owner: Resource, peer: Resource | None, lines: tuple[Seen, ...], evidence: tuple[Evidence, ...]
) -> Verdict:
    template = Resource(owner.kind, owner.namespace, owner.name, "spec.template.metadata")
    return Verdict(
        "injection-missing",
        0.95,
        f"{owner} has no sidecar, though its namespace is injected, and {case.destination.host} only "
        "accepts mutual TLS",
        (template, *((peer,) if peer else ())),
        evidence,
        remedy(
            f"Remove sidecar.istio.io/inject: false from {owner} (or restart it if it is older than "
            "the label of its namespace)."
        ),
        lines,
    )


def _outside(
    case: Case, owner: Resource, peer: Resource | None, lines: tuple[Seen, ...], evidence: tuple[Evidence, ...]
) -> Verdict:
    return Verdict(
        "out-of-mesh-client-to-strict",
        0.95,
        f"{owner} has no sidecar, and {case.destination.host} only accepts mutual TLS",
        (*((peer,) if peer else ()), owner),
        evidence,
        remedy(f"Put {owner} into the mesh, or accept plain text on this port (portLevelMtls PERMISSIVE)."),
        lines,
    )


def _proxy_started(pod: k8s.Pod) -> bool:
    statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
    return any(
        status.name == PROXY_CONTAINER and (status.state.running or status.state.terminated) for status in statuses
    )


def needs(case: Case, mesh: MeshIndex) -> Iterable[Want[Any]]:
    pods = dict.fromkeys(seen.pod for seen in case.failures if seen.side in (CLIENT, SERVER) and seen.access)
    return [ProxyConfig(PodRef(*pod)) for pod in pods] if _refused(case) else []


PROBE = Probe(
    "no-filter-chain",
    "Who sends plain text to a workload that only takes mutual TLS?",
    (
        "mtls-plaintext-to-strict",
        "out-of-mesh-client-to-strict",
        "injection-missing",
        "init-container-needs-network",
        "headless-or-pod-ip-call",
        "wrong-protocol-on-http-port",
    ),
    examine,
    needs,
)
