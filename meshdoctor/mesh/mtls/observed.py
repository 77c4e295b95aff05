"""The mTLS that was seen: access-log lines of both sides and Istio's counters.

What a line shows: Istio's own mTLS carries the SNI `outbound_.PORT_.SUBSET_.HOST`; a listener that has no filter chain
for what came logs `NR filter_chain_not_found` (Envoy 1.30 to 1.40); TLS read as HTTP is `400 DPE http1.codec_error`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from meshdoctor.mesh.workloads import Peer
from meshdoctor.mesh.ztunnel.failures import refused_plaintext
from meshdoctor.model.accesslog import AccessLine
from meshdoctor.model.envoy.address import split_address
from meshdoctor.model.envoy.admin import Sample
from meshdoctor.model.ztunnellog import ZtunnelLine

_COUNTERS = ("istio_requests_total", "istio_tcp_connections_opened_total")


class Seen(NamedTuple):
    """Connections (or requests) between two peers: how many of each kind, and when the last one failed."""

    mtls: int = 0
    plaintext: int = 0
    refused: int = 0
    """The server's listener had no filter chain for what came."""
    garbled: int = 0
    """The server read TLS as HTTP."""
    tls_failed: int = 0
    """The client's handshake failed."""
    reset: int = 0
    """The client's connection was ended before a response (plaintext to STRICT looks so)."""
    foreign: int = 0
    """Of the refused: those that came with a server name of the application's own TLS."""
    passed: int = 0
    """The client's sidecar passed the bytes through, as no service of its fits, and that failed."""
    last_failure: float | None = None

    @property
    def failed(self) -> int:
        """Failures as the side that logged most of them saw them (both sides log the same ones)."""
        return max(self.refused + self.garbled, self.tls_failed + self.reset + self.passed)


class Link(NamedTuple):
    """From a client's key (its address when it is no peer) to a server's key and port."""

    client: str
    server: str
    port: int


def traffic(logs: Iterable[tuple[Peer, Iterable[AccessLine]]], at: Callable[[str], Peer | None]) -> Mapping[Link, Seen]:
    """What the access logs of some proxies show; *at* finds the peer that has an address.

    A request that both sides logged is counted once for each side, in different fields.
    """
    found: dict[Link, Seen] = {}
    for peer, lines in logs:
        for line in lines:
            seen = _inbound(peer, line, at) or _outbound(peer, line, at)
            if seen is None:
                continue
            link, kind = seen
            own = _counted(found.get(link, Seen()), kind, line.start)
            if kind == "refused" and line.requested_server_name and not _is_mesh_sni(line.requested_server_name):
                own = own._replace(foreign=own.foreign + 1)
            found[link] = own
    return found


def ambient_traffic(logs: Iterable[Iterable[ZtunnelLine]], at: Callable[[str], Peer | None]) -> Mapping[Link, Seen]:
    """What ztunnels' access logs show of inbound connections: with an identity (HBONE), without, or refused as plain.

    The policy that refuses plain text is one that istiod makes of a PeerAuthentication.
    """
    found: dict[Link, Seen] = {}
    for lines in logs:
        for line in lines:
            server_address, port = split_address(line.dst_hbone_addr or line.dst_addr)
            client_address, _ = split_address(line.src_addr)
            server, client = at(server_address), at(client_address)
            if line.direction != "inbound" or server is None or not client_address:
                continue
            link = Link(client.key if client else client_address, server.key, port)
            kind = "mtls" if line.src_identity else "plaintext"
            if kind == "plaintext" and refused_plaintext(line.error):
                kind = "refused"
            found[link] = _counted(found.get(link, Seen()), kind, line.time)
    return found


def _counted(seen: Seen, kind: str, moment: float | None) -> Seen:
    seen = seen._replace(**{kind: getattr(seen, kind) + 1})
    if kind in ("mtls", "plaintext") or moment is None:
        return seen
    return seen._replace(last_failure=max(moment, seen.last_failure or moment))


def _is_mesh_sni(name: str | None) -> bool:
    return (name or "").startswith("outbound_.")


def _inbound(peer: Peer, line: AccessLine, at: Callable[[str], Peer | None]) -> tuple[Link, str] | None:
    address, port = split_address(line.downstream_local_address)
    if address not in peer.addresses or (line.upstream_cluster or "").startswith("outbound|"):
        return None
    client, _ = split_address(line.downstream_remote_address)
    if not client or port == 0:
        return None
    caller = at(client)
    return Link(caller.key if caller else client, peer.key, port), _inbound_kind(line)


def _inbound_kind(line: AccessLine) -> str:
    if "filter_chain_not_found" in (line.details or "", line.termination or ""):
        return "refused"
    if "DPE" in line.flags and (line.details or "").startswith("http1.codec_error"):
        return "garbled"
    return "mtls" if _is_mesh_sni(line.requested_server_name) else "plaintext"


def _outbound(peer: Peer, line: AccessLine, at: Callable[[str], Peer | None]) -> tuple[Link, str] | None:
    cluster = line.upstream_cluster or ""
    if not cluster.startswith("outbound|") and cluster != "PassthroughCluster":
        return None
    address, port = split_address(line.upstream_host)
    server = at(address) if address else None
    if server is None or not line.failed:
        return None
    link = Link(peer.key, server.key, port)
    if cluster == "PassthroughCluster":
        return link, "passed"
    if "TLS_error" in (line.transport_failure or ""):
        return link, "tls_failed"
    return (link, "reset") if "UC" in line.flags else None


class Policies(NamedTuple):
    """Requests and connections that Istio counted at the server, by how they were secured."""

    mutual_tls: float = 0
    none: float = 0


def counted(samples: Iterable[Sample]) -> Mapping[tuple[str, str], Policies]:
    """By (source `ns/workload`, destination service host), from a server's own `/stats/prometheus`.

    Only `reporter="destination"` knows how the connection was secured; the source always says `unknown`.
    """
    found: dict[tuple[str, str], Policies] = {}
    for sample in samples:
        labels = sample.labels
        if sample.name not in _COUNTERS or labels.get("reporter") != "destination":
            continue
        source = f"{labels.get('source_workload_namespace', 'unknown')}/{labels.get('source_workload', 'unknown')}"
        key = source, labels.get("destination_service", "unknown")
        own = found.get(key, Policies())
        if labels.get("connection_security_policy") == "mutual_tls":
            own = own._replace(mutual_tls=own.mutual_tls + sample.value)
        else:
            own = own._replace(none=own.none + sample.value)
        found[key] = own
    return found
