"""UF with a TLS error: which side rejects what, and which object makes it so? (the reason in `TLS_error:…`)"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.control_plane import istiod_down
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.identity import identity
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.mtls.peer_authentication import DISABLE
from meshdoctor.mesh.peer_policy import decider, server_policy
from meshdoctor.mesh.pods import has_sidecar
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, remedy
from meshdoctor.mesh.tls_origination import plain_to_tls, tls_in_tls
from meshdoctor.mesh.traffic import SERVER, Seen, split_address
from meshdoctor.mesh.traffic_policy import sets_tls
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.accesslog import parse_transport_failure
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.moment import rfc3339
from meshdoctor.model.snapshot import PodRef, Want
from meshdoctor.model.wants import ProxyCertificates, ProxyConfig

TLS_FIELD = "spec.trafficPolicy.tls"


def _failed_handshakes(case: Case) -> tuple[Seen, ...]:
    return tuple(seen for seen in case.with_flag("UF") if seen.access and "TLS_error" in _text(seen))


def _text(seen: Seen) -> str:
    line = seen.access
    return (line.transport_failure or line.details or "") if line else ""


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = _failed_handshakes(case)
    if not lines:
        found = _turned_away(case, mesh) or plain_to_tls(case, mesh) or tls_in_tls(case, mesh)
        return found or not_applicable("no TLS handshake failed")
    if not mesh.known("Pod"):
        return inconclusive("TLS handshakes fail; the pods could not be read", lines_say(lines, logged(lines[-1])))
    groups: dict[tuple[str, str], list[Seen]] = {}
    for seen in lines:
        failure = parse_transport_failure("TLS_error" + _text(seen).partition("TLS_error")[2])
        groups.setdefault((failure.reason, failure.detail), []).append(seen)
    findings = [_of_reason(case, mesh, reason, detail, tuple(group)) for (reason, detail), group in groups.items()]
    verdicts = [verdict for finding in findings for verdict in finding.verdicts]
    return culprit(*verdicts) if verdicts else findings[0]


def _of_reason(case: Case, mesh: MeshIndex, reason: str, detail: str, lines: tuple[Seen, ...]) -> Finding:
    newest = lines[-1]
    raw = (newest.access.upstream_cluster or "") if newest.access else ""
    config = mesh.config(newest.pod)
    cluster = config.cluster(raw) if config else None
    server = _server(mesh, newest)
    said = lines_say(lines, f"{logged(newest)}")
    own_tls = _user_tls(cluster)
    if "Secret_is_not_supplied" in reason + detail:
        return _no_secret(mesh, cluster, lines, said) if own_tls else _no_certificate(mesh, newest.pod, lines, said)
    if "has_expired" in detail or "not_yet_valid" in detail:
        return _expired(mesh, server, "not_yet" in detail, lines, said)
    if ("SAN_matcher" in detail or "SAN" in reason) and not (own_tls and server is None):
        return _other_identity(mesh, cluster, server, detail, lines, said)
    if own_tls:
        return _user_settings(mesh, cluster, server, reason, lines, said)
    if reason == "WRONG_VERSION_NUMBER":
        return _plaintext_server(mesh, cluster, server, lines, said)
    if reason == "Connection_reset_by_peer" and server is not None:
        ref = server.ref
        held = mesh.config(ref)
        if held is not None and not any(one.name == "default" and one.state == "active" for one in held.secrets):
            return _no_certificate(mesh, ref, lines, said)
    if "CERTIFICATE_VERIFY_FAILED" in reason or "UNKNOWN_CA" in reason:
        return _roots(mesh, server, lines, said)
    return inconclusive(f"the TLS handshake failed ({reason}), and nothing that was read explains it", said)


def _server(mesh: MeshIndex, seen: Seen) -> k8s.Pod | None:
    return mesh.pod_by_ip(split_address(seen.access.upstream_host if seen.access else None)[0])


def _user_tls(cluster: Cluster | None) -> bool:
    """Whether the cluster does TLS that is not Istio's: a context without the workload's own certificate."""
    return cluster is not None and cluster.tls is not None and not cluster.tls.presents_workload_certificate


def _rule(mesh: MeshIndex, cluster: Cluster | None, lines: tuple[Seen, ...]) -> Resource | None:
    owner = blame.of_cluster(cluster, TLS_FIELD)
    host = lines[-1].cluster.host if lines[-1].cluster else ""
    return owner or next(
        (blame.resource(one, TLS_FIELD) for one in blame.destination_rules(mesh, host, sets_tls)), None
    )


def _no_certificate(mesh: MeshIndex, pod: PodRef, lines: tuple[Seen, ...], said: Evidence) -> Finding:
    owner = blame.of_workload(mesh.workload(pod))
    return culprit(
        Verdict(
            "certificate-not-delivered",
            0.95,
            f"The sidecar of {owner} has no certificate: SDS never delivered it",
            (owner,),
            (said,),
            remedy(f"Read the log of istio-proxy in {pod}: it says why its certificate request fails."),
            lines,
        )
    )


def _no_secret(mesh: MeshIndex, cluster: Cluster | None, lines: tuple[Seen, ...], said: Evidence) -> Finding:
    """A cluster whose TLS context names a Secret (credentialName of a DestinationRule) that never came."""
    owner = _rule(mesh, cluster, lines)
    if owner is None or cluster is None or cluster.tls is None:
        return _no_certificate(mesh, lines[-1].pod, lines, said)
    names = [name.rpartition("/")[2].rpartition(":")[2] for name in cluster.tls.certificate_names]
    return culprit(
        Verdict(
            "certificate-not-delivered",
            0.93,
            f"The credential that {owner} names was never delivered to {lines[-1].pod}",
            (owner, *(Resource("Secret", lines[-1].pod.namespace, name) for name in names)),
            (said,),
            remedy(f"Create the Secret that credentialName of {owner} names, where the proxy's pod is, or correct it."),
            lines,
        )
    )


def _turned_away(case: Case, mesh: MeshIndex) -> Finding | None:
    """With TLS 1.3 a client learns of its own bad certificate only by the end of the connection: UC, no server line."""
    told = {seen.access.request_id for seen in case.seen if seen.side == SERVER and seen.access}
    lines = tuple(
        seen
        for seen in case.with_flag("UC")
        if seen.access
        and seen.access.request_id not in told
        and (server := _server(mesh, seen)) is not None
        and has_sidecar(server)
    )
    if not lines:
        return None
    own = identity(mesh, lines[-1].pod)
    said = lines_say(lines, f"{logged(lines[-1])}, of which the server's proxy logged nothing")
    expired = tuple(seen for seen in lines if own and own.expires and (seen.start or 0.0) > own.expires)
    if expired:
        return _expired(mesh, mesh.pods.get(lines[-1].pod), False, expired, said)
    roots = _roots(mesh, _server(mesh, lines[-1]), lines, said)
    return roots if roots.verdicts else None


def _expired(mesh: MeshIndex, server: k8s.Pod | None, early: bool, lines: tuple[Seen, ...], said: Evidence) -> Finding:
    """The certificate of *server* (or of the caller, when that is the pod) is not valid, yet or any more."""
    if server is None:
        return inconclusive("the certificate of a server that was not recorded is not valid", said)
    ref = server.ref
    owner = blame.of_workload(mesh.workload(ref))
    own = identity(mesh, ref)
    shown = (
        [Evidence(f"its certificate expired at {rfc3339(own.expires)}", own.file, str(ref))]
        if own and own.expires
        else []
    )
    down = istiod_down(mesh)
    verdicts = [
        Verdict(
            "certificate-expired",
            0.97,
            f"The certificate of {owner} is {'not yet valid' if early else 'expired'}",
            (owner, *(down.resources if down else ())),
            (said, *shown, *(down.evidence if down else ())),
            remedy(
                f"{down.fix if down else 'See why istiod does not renew it (its log, citadel_server_csr_count).'} "
                f"Then restart {owner}, and compare the clocks of the nodes."
            ),
            lines,
        )
    ]
    if down:
        verdicts.append(
            Verdict(
                "control-plane-down",
                0.9,
                f"{down.summary}: certificates are not renewed",
                down.resources,
                down.evidence,
                remedy(down.fix),
                lines,
            )
        )
    return culprit(*verdicts)


def _other_identity(
    mesh: MeshIndex,
    cluster: Cluster | None,
    server: k8s.Pod | None,
    detail: str,
    lines: tuple[Seen, ...],
    said: Evidence,
) -> Finding:
    presented = detail.partition("SANs_are_[")[2].partition("]")[0] or "another identity"
    wanted = listed(cluster.tls.subject_alt_names) if cluster and cluster.tls else ""
    owner = blame.of_cluster(cluster, "spec.trafficPolicy.tls.subjectAltNames")
    workload = blame.of_workload(mesh.workload(server.ref)) if server else None
    resources = tuple(one for one in (owner, workload) if one)
    if not resources:
        return inconclusive(f"the server presents {presented}, which is not expected", said)
    return culprit(
        Verdict(
            "san-mismatch",
            0.97,
            f"{resources[0]} expects {wanted or 'another identity'}, and the server is {presented}",
            resources,
            (
                said,
                Evidence(
                    f"the client accepts {wanted}",
                    f"envoy/{lines[-1].pod}/config_dump.json",
                    cluster.name if cluster else "",
                ),
            ),
            remedy(f"Correct subjectAltNames in {resources[0]}, or the service account of the server."),
            lines,
        )
    )


def _user_settings(
    mesh: MeshIndex,
    cluster: Cluster | None,
    server: k8s.Pod | None,
    reason: str,
    lines: tuple[Seen, ...],
    said: Evidence,
) -> Finding:
    owner = _rule(mesh, cluster, lines)
    if owner is None:
        return inconclusive("the caller's cluster does TLS of its own, and no DestinationRule was found", said)
    shows = Evidence(
        "the cluster's TLS context has no workload certificate: plain TLS, not Istio's mutual TLS",
        f"envoy/{lines[-1].pod}/config_dump.json",
        cluster.name if cluster else "",
    )
    if server is None and mesh.service_by_host(cluster.name.rpartition("|")[2] if cluster else ""):
        return inconclusive("plain TLS towards a Service whose pod was not recorded fails", said, shows)
    if server is None:
        return culprit(
            Verdict(
                "tls-origination-wrong",
                0.85,
                f"TLS origination of {owner} fails: {reason}",
                (owner,),
                (said, shows),
                remedy(f"Correct mode, sni and caCertificates in {owner} for what the outside server speaks."),
                lines,
            )
        )
    if not has_sidecar(server):
        return culprit(
            Verdict(
                "tls-origination-wrong",
                0.85,
                f"{owner} makes callers speak TLS to {server.key}, which has no sidecar: {reason}",
                (owner,),
                (said, shows),
                remedy(f"Set tls.mode DISABLE in {owner} for this host, or serve TLS there."),
                lines,
            )
        )
    return culprit(
        Verdict(
            "double-tls",
            0.96,
            f"{owner} makes callers speak plain TLS to a sidecar that expects Istio's mutual TLS",
            (owner,),
            (said, shows),
            remedy(
                f"Set tls.mode ISTIO_MUTUAL in {owner}, or remove its tls block.",
                "trafficPolicy:\n  tls:\n    mode: ISTIO_MUTUAL",
            ),
            lines,
        )
    )


def _plaintext_server(
    mesh: MeshIndex, cluster: Cluster | None, server: k8s.Pod | None, lines: tuple[Seen, ...], said: Evidence
) -> Finding:
    owner = _rule(mesh, cluster, lines)
    if server is None:
        return inconclusive("the server answers in plain text, and it is no pod that was recorded", said)
    ref = server.ref
    port = split_address(lines[-1].access.upstream_host if lines[-1].access else None)[1]
    if not has_sidecar(server):
        shown = Evidence(f"{ref} has no sidecar", mesh.file("Pod"), str(ref))
        resources = tuple(one for one in (owner, blame.of_workload(mesh.workload(ref))) if one)
    else:
        policy = server_policy(mesh, server)
        if policy.for_port(port) != DISABLE:
            return inconclusive(f"{ref} answers in plain text, though its policy is {policy.for_port(port)}", said)
        peer = decider(policy, port)
        shown = Evidence(policy.reason_for(port), mesh.file("PeerAuthentication"), str(peer or ""))
        resources = tuple(one for one in (owner, peer) if one)
    if not resources:
        return inconclusive("the server answers in plain text, and no object forces TLS on the caller", said)
    return culprit(
        Verdict(
            "mtls-to-plaintext-server",
            0.96,
            f"{resources[0]} forces mutual TLS towards {ref}, which only speaks plain text",
            resources,
            (said, shown),
            remedy(f"Remove the tls block of {resources[0]} (auto mTLS then chooses), or make the server accept mTLS."),
            lines,
        )
    )


def _roots(mesh: MeshIndex, server: k8s.Pod | None, lines: tuple[Seen, ...], said: Evidence) -> Finding:
    client = lines[-1].pod
    ref = server.ref if server else None
    ours, theirs = identity(mesh, client), identity(mesh, ref) if ref else None
    if ours is None or theirs is None or ref is None:
        return inconclusive(
            "the server's certificate is not trusted; the roots of both sides could not be compared", said
        )
    if ours.roots & theirs.roots:
        return inconclusive("the server's certificate is not trusted, though both sides trust a common root", said)
    owners = (blame.of_workload(mesh.workload(client)), blame.of_workload(mesh.workload(ref)))
    return culprit(
        Verdict(
            "ca-mismatch",
            0.96,
            f"{owners[0]} and {owners[1]} trust different root certificates",
            owners,
            (
                said,
                Evidence(f"the client trusts root {listed(ours.roots)}", ours.file, str(client)),
                Evidence(f"the server trusts root {listed(theirs.roots)}", theirs.file, str(ref)),
            ),
            remedy(
                "Restart the workloads that still hold the old root; when rotating, keep both roots in the "
                "bundle meanwhile."
            ),
            lines,
        )
    )


def needs(case: Case, mesh: MeshIndex) -> Iterable[Want[Any]]:
    lines = (*_failed_handshakes(case), *case.with_flag("UC", "UPE")[-1:], *case.calls[-1:])
    clients = dict.fromkeys(seen.pod for seen in lines)
    servers = [pod.ref for seen in lines if (pod := _server(mesh, seen))]
    wants: list[Want[Any]] = [ProxyConfig(pod) for pod in dict.fromkeys((*clients, *servers))]
    return [*wants, *(ProxyCertificates(pod) for pod in dict.fromkeys((*clients, *servers)))]


PROBE = Probe(
    "tls-handshake",
    "Which side rejects the TLS handshake?",
    (
        "double-tls",
        "mtls-to-plaintext-server",
        "ca-mismatch",
        "certificate-expired",
        "san-mismatch",
        "certificate-not-delivered",
        "tls-origination-wrong",
        "control-plane-down",
    ),
    examine,
    needs,
)
