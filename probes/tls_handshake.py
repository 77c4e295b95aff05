"""UF with a TLS error: which side rejects what, and which object makes it so? (the reason in `TLS_error:…`)"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Finding, inconclusive, merged, not_applicable
from meshdoctor.mesh.handshake.certificate import (
    holds_certificate,
    not_delivered,
    not_valid_now,
    workload_without_certificate,
)
from meshdoctor.mesh.handshake.failure import FailedHandshake, server_of
from meshdoctor.mesh.handshake.origination import plain_to_tls, tls_in_tls, wrong_origination
from meshdoctor.mesh.handshake.plaintext import plaintext_server
from meshdoctor.mesh.handshake.trust import other_identity, other_roots
from meshdoctor.mesh.identity import identity
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, logged
from meshdoctor.mesh.traffic import SERVER, Seen, cluster_of
from meshdoctor.model.accesslog import parse_transport_failure
from meshdoctor.model.pods import has_proxy
from meshdoctor.model.snapshot import Want
from meshdoctor.model.wants import ProxyCertificates, ProxyConfig


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
    if not mesh.known("Pod", *case.namespaces):
        return inconclusive("TLS handshakes fail; the pods could not be read", lines_say(lines, logged(lines[-1])))
    groups: dict[tuple[str, str], list[Seen]] = {}
    for seen in lines:
        failure = parse_transport_failure("TLS_error" + _text(seen).partition("TLS_error")[2])
        groups.setdefault((failure.reason, failure.detail), []).append(seen)
    findings = [_of_reason(mesh, _failed_handshake(mesh, *key, tuple(group))) for key, group in groups.items()]
    return merged(findings)


def _failed_handshake(mesh: MeshIndex, reason: str, detail: str, lines: tuple[Seen, ...]) -> FailedHandshake:
    newest = lines[-1]
    said, server, cluster = lines_say(lines, logged(newest)), server_of(mesh, newest), cluster_of(mesh, newest)
    return FailedHandshake(lines, said, server, cluster, reason, detail)


def _of_reason(mesh: MeshIndex, failed: FailedHandshake) -> Finding:
    reason, detail, server = failed.reason, failed.detail, failed.server
    if "Secret_is_not_supplied" in reason + detail:
        return not_delivered(mesh, failed)
    if "has_expired" in detail or "not_yet_valid" in detail:
        return not_valid_now(mesh, failed, early="not_yet" in detail)
    if ("SAN_matcher" in detail or "SAN" in reason) and not (failed.originated and server is None):
        return other_identity(mesh, failed)
    if failed.originated:
        return wrong_origination(mesh, failed)
    if reason == "WRONG_VERSION_NUMBER":
        return plaintext_server(mesh, failed)
    if reason == "Connection_reset_by_peer" and server is not None and not holds_certificate(mesh, server.ref):
        return workload_without_certificate(mesh, failed, server.ref)
    if "CERTIFICATE_VERIFY_FAILED" in reason or "UNKNOWN_CA" in reason:
        return other_roots(mesh, failed)
    return inconclusive(f"the TLS handshake failed ({reason}), and nothing that was read explains it", failed.said)


def _turned_away(case: Case, mesh: MeshIndex) -> Finding | None:
    """With TLS 1.3 a client learns of its own bad certificate only by the end of the connection: UC, no server line."""
    told = {seen.access.request_id for seen in case.seen if seen.side == SERVER and seen.access}
    lines = tuple(
        seen
        for seen in case.with_flag("UC")
        if seen.access
        and seen.access.request_id not in told
        and (server := server_of(mesh, seen)) is not None
        and has_proxy(server)
    )
    if not lines:
        return None
    said = lines_say(lines, f"{logged(lines[-1])}, of which the server's proxy logged nothing")
    failed = FailedHandshake(lines, said, server_of(mesh, lines[-1]))
    own = identity(mesh, failed.client)
    expired = tuple(seen for seen in lines if own and own.expires and (seen.start or 0.0) > own.expires)
    if expired:
        # Here it is the client's own certificate.
        return not_valid_now(mesh, failed._replace(lines=expired, server=mesh.pods.get(failed.client)))
    roots = other_roots(mesh, failed)
    return roots if roots.verdicts else None


def needs(case: Case, mesh: MeshIndex) -> Iterable[Want[Any]]:
    lines = (*_failed_handshakes(case), *case.with_flag("UC", "UPE")[-1:], *case.calls[-1:])
    clients = dict.fromkeys(seen.pod for seen in lines)
    servers = [pod.ref for seen in lines if (pod := server_of(mesh, seen))]
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
