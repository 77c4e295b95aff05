"""TLS that a DestinationRule makes callers' proxies originate, where it is wrong, missing or doubled.

When it is missing or doubled no handshake fails at the proxy, and yet nothing works.
"""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Finding, Resource, Verdict, culprit, inconclusive
from meshdoctor.mesh.handshake.failure import TLS_FIELD, FailedHandshake
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.quoting import config_says, lines_say, logged, remedy
from meshdoctor.mesh.traffic import CLIENT, GATEWAY
from meshdoctor.model import istio
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.names import parse_cluster_name
from meshdoctor.model.pods import has_sidecar

TLS_PORTS = (443, 8443)
TLS_PROTOCOLS = ("HTTPS", "TLS")
NOT_TLS = ("wrong_version_number", "wrong version number", "record layer", "not look like a tls handshake")
"""What TLS libraries say of a peer that does not answer in TLS."""
ENOUGH = 3


def wrong_origination(mesh: MeshIndex, failed: FailedHandshake) -> Finding:
    """The rule that makes the client's proxy speak plain TLS, told by what the server is."""
    owner, server = failed.rule(mesh), failed.server
    if owner is None:
        return inconclusive("the caller's cluster does TLS of its own, and no DestinationRule was found", failed.said)
    shows = failed.cluster_says(
        "the cluster's TLS context has no workload certificate: plain TLS, not Istio's mutual TLS"
    )
    if server is None and mesh.service_by_host(failed.cluster.name.rpartition("|")[2] if failed.cluster else ""):
        return inconclusive("plain TLS towards a Service whose pod was not recorded fails", failed.said, shows)
    if server is None:
        cause, sure = "tls-origination-wrong", 0.85
        summary = f"TLS origination of {owner} fails: {failed.reason}"
        fix = remedy(f"Correct mode, sni and caCertificates in {owner} for what the outside server speaks.")
    elif not has_sidecar(server):
        cause, sure = "tls-origination-wrong", 0.85
        summary = f"{owner} makes callers speak TLS to {server.key}, which has no sidecar: {failed.reason}"
        fix = remedy(f"Set tls.mode DISABLE in {owner} for this host, or serve TLS there.")
    else:
        cause, sure = "double-tls", 0.96
        summary = f"{owner} makes callers speak plain TLS to a sidecar that expects Istio's mutual TLS"
        fix = remedy(
            f"Set tls.mode ISTIO_MUTUAL in {owner}, or remove its tls block.",
            "trafficPolicy:\n  tls:\n    mode: ISTIO_MUTUAL",
        )
    return culprit(Verdict(cause, sure, summary, (owner,), (failed.said, shows), fix, failed.lines))


def plain_to_tls(case: Case, mesh: MeshIndex) -> Finding | None:
    """Plain HTTP that the sidecar sends to a port of an outside host where TLS is spoken: the peer hangs up."""
    lines = tuple(
        seen
        for seen in case.with_flag("UC", "UPE")
        if seen.side in (CLIENT, GATEWAY) and seen.access and seen.access.method and seen.cluster and seen.cluster.host
    )
    if len(lines) < ENOUGH or case.destination.service or any(not seen.failed for seen in case.timeline):
        return None
    name = lines[-1].cluster
    config = mesh.config(lines[-1].pod)
    cluster = config.cluster(name.name) if config and name else None
    entries = [one for one in mesh.objects("ServiceEntry", istio.ServiceEntry) if name and name.host in one.spec.hosts]
    ports = [port for one in entries for port in one.spec.ports if name and port.number == name.port]
    speaks = any(
        port.number in TLS_PORTS or port.target_port in TLS_PORTS or port.protocol.upper() in TLS_PROTOCOLS
        for port in ports
    )
    if cluster is None or cluster.tls or cluster.transport_socket_matches or not speaks:
        return None
    entry = Resource("ServiceEntry", entries[0].namespace, entries[0].name, "spec.ports[]")
    return culprit(
        Verdict(
            "tls-origination-wrong",
            0.85,
            f"The sidecar sends plain HTTP to {case.destination}, where TLS is spoken: nothing originates it",
            (entry, *(blame.resource(one, TLS_FIELD) for one in blame.destination_rules(mesh, case.destination.host))),
            (
                lines_say(lines, logged(lines[-1])),
                config_says(lines[-1].pod, "the cluster has no TLS context", cluster.name),
            ),
            remedy(
                f"Add a DestinationRule with tls.mode SIMPLE for {case.destination.host}, or let the callers use TLS."
            ),
            lines,
        )
    )


def tls_in_tls(case: Case, mesh: MeshIndex) -> Finding | None:
    """TLS of the application's own on a host for which the sidecar originates TLS as well."""
    calls = tuple(
        seen
        for seen in case.calls
        if seen.call
        and seen.call.status == 0
        and seen.call.url.startswith("https://")
        and any(word in seen.call.error.lower() for word in NOT_TLS)
    )
    if len(calls) < ENOUGH:
        return None
    config = mesh.config(calls[-1].pod)
    found = [one for one in (entry.body for entry in config.clusters) if _is_meant(one, case)] if config else []
    cluster = next((one for one in found if one.tls and not one.tls.presents_workload_certificate), None)
    owner = blame.of_cluster(cluster, TLS_FIELD)
    if cluster is None or owner is None:
        return None
    return culprit(
        Verdict(
            "double-tls" if case.destination.service else "tls-origination-wrong",
            0.85,
            f"{owner} puts TLS around the TLS that {case.client} speaks itself",
            (owner,),
            (
                lines_say(calls, logged(calls[-1])[:120]),
                config_says(calls[-1].pod, "its cluster does TLS", cluster.name),
            ),
            remedy(f"Remove the tls block of {owner}, or let {case.client} speak plain HTTP."),
            calls,
        )
    )


def _is_meant(cluster: Cluster, case: Case) -> bool:
    name = parse_cluster_name(cluster.name)
    return (name.direction, name.host, name.port) == ("outbound", case.destination.host, case.destination.port)
