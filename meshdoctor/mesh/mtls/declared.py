"""The mTLS that the objects declare: both sides of a connection, and whether they would agree."""

from __future__ import annotations

from typing import NamedTuple

from meshdoctor.mesh.hosts import candidates
from meshdoctor.mesh.mtls import outcome as outcomes
from meshdoctor.mesh.mtls.client import Clients, ClientTls
from meshdoctor.mesh.mtls.cluster_tls import MTLS, PLAINTEXT, Cause, EndpointTls
from meshdoctor.mesh.mtls.peer_authentication import STRICT, UNKNOWN
from meshdoctor.mesh.mtls.server import ServerMode, Servers
from meshdoctor.mesh.objects import MeshObjects
from meshdoctor.mesh.workloads import Peer
from meshdoctor.model.pods import SIDECAR

_EXCLUDED = "traffic.sidecar.istio.io/excludeOutboundPorts"


class Pair(NamedTuple):
    """A client and one endpoint of a service: what is sent, what is taken, and what becomes of it.

    *server* is None for an endpoint outside the mesh (*outcome* `external`).
    """

    client: Peer
    tls: ClientTls
    endpoint: EndpointTls
    server: ServerMode | None
    outcome: str

    @property
    def fails(self) -> bool:
        return self.outcome in outcomes.FAILURES


class DeclaredMtls:
    """Effective mTLS from the objects alone, as istiod would configure it. Every answer is computed once and kept."""

    def __init__(self, objects: MeshObjects) -> None:
        self.objects = objects
        self.servers = Servers(objects)
        self.clients = Clients(objects, self.servers)

    def server_mode(self, workload: str, port: int) -> ServerMode:
        """What a workload (`ns/pod` or `ns/we:name`) accepts on a container port; raises KeyError for no such one."""
        return self.servers.of(self.objects.peers[workload]).at(port)

    def client_tls(self, client: str, host: str, port: int, subset: str = "") -> ClientTls:
        """What a workload does towards *host* (any name its resolver would find); raises KeyError for no such one."""
        peer = self.objects.peers[client]
        return self.clients.of(peer, self.host(host, peer.namespace), port, subset)

    def host(self, asked: str, namespace: str) -> str:
        """The full name of the service that *asked* stands for in *namespace*; *asked* itself when there is none."""
        known = self.objects.registry.by_host
        return next((name for name in candidates(asked, namespace, self.objects.domain) if name in known), asked)

    def pairs(self, client: str, host: str, port: int, subset: str = "") -> tuple[Pair, ...]:
        """One pair for each endpoint; none when the client's proxy has no such cluster."""
        peer = self.objects.peers[client]
        return self.against(peer, self.host(host, peer.namespace), port, subset)[1]

    def against(self, client: Peer, host: str, port: int, subset: str = "") -> tuple[ClientTls, tuple[Pair, ...]]:
        """A client's settings towards a service's full host name, and its pairs."""
        found = self._captured(client, self.clients.of(client, host, port, subset))
        return found, tuple(self.pair(client, found, endpoint) for endpoint in found.endpoints)

    def group(self, client: Peer) -> tuple[object, ...]:
        """Clients of one group have the same pairs with every service."""
        return self.clients.group(client), client.hbone, client.annotations.get(_EXCLUDED, "")

    def pair(self, client: Peer, tls: ClientTls, endpoint: EndpointTls) -> Pair:
        """A client's settings against one of their endpoints."""
        peer = endpoint.endpoint.peer
        if peer is None:
            return Pair(client, tls, endpoint, None, outcomes.EXTERNAL)
        server = self.servers.of(peer).at(endpoint.endpoint.port)
        if server.ambient:
            return self._to_ambient(Pair(client, tls, endpoint, server, ""))
        return Pair(client, tls, endpoint, server, outcomes.outcome(endpoint.tls, server))

    def _to_ambient(self, pair: Pair) -> Pair:
        """ztunnel takes HBONE from whoever speaks it, whatever the mode is; else only STRICT matters to it.

        Without HBONE it hands the bytes on as they are, so TLS reaches the application (1.32).
        """
        sent = pair.endpoint.tls
        server = pair.server
        if pair.client.hbone and sent in (PLAINTEXT, MTLS):
            reason = "both sides speak HBONE: ztunnel adds the mTLS"
            endpoint = pair.endpoint._replace(tls=MTLS, reason=reason, cause=Cause.HBONE)
            return pair._replace(endpoint=endpoint, outcome=outcomes.OK_MTLS)
        if UNKNOWN in (sent, server.mode if server is not None else ""):
            return pair._replace(outcome=UNKNOWN)
        if server is not None and server.mode == STRICT:
            return pair._replace(outcome=outcomes.PLAINTEXT_TO_STRICT if sent == PLAINTEXT else outcomes.OTHER)
        by_bytes = {PLAINTEXT: outcomes.OK_PLAINTEXT, MTLS: outcomes.MTLS_TO_PLAINTEXT}
        return pair._replace(outcome=by_bytes.get(sent, outcomes.OK_TLS))

    def _captured(self, client: Peer, found: ClientTls) -> ClientTls:
        """*found*, or plain text where the client's sidecar never sees the port."""
        excluded = {part.strip() for part in client.annotations.get(_EXCLUDED, "").split(",")}
        if client.proxy != SIDECAR or str(found.port) not in excluded:
            return found
        reason = f"{client.key} excludes port {found.port} from its sidecar ({_EXCLUDED})"
        objects = (f"Pod {client.key}",)
        endpoints = tuple(
            EndpointTls(entry.endpoint, PLAINTEXT, reason, Cause.EXCLUDED, objects) for entry in found.endpoints
        )
        return found._replace(tls=PLAINTEXT, endpoints=endpoints, reasons=(reason, *found.reasons))
