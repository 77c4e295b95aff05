"""How a connection is secured, in a word or two, from its transport sockets."""

from __future__ import annotations

import msgspec

PLAIN, AUTO, MUTUAL, SIMPLE = "plaintext", "auto mTLS", "mTLS", "TLS"


class _Sds(msgspec.Struct, gc=False):
    name: str = ""


class _Common(msgspec.Struct, gc=False):
    tls_certificate_sds_secret_configs: list[_Sds] = []
    tls_certificates: list[msgspec.Raw] = []


class _Config(msgspec.Struct, gc=False):
    common_tls_context: _Common | None = None
    require_client_certificate: bool = False


class TransportSocket(msgspec.Struct, gc=False):
    name: str = ""
    typed_config: _Config | None = None

    @property
    def upstream(self) -> str:
        """The client's side: with a certificate of its own it is mutual."""
        common = self.typed_config.common_tls_context if self.typed_config else None
        if common is None:
            return PLAIN
        names = [entry.name for entry in common.tls_certificate_sds_secret_configs]
        if "default" in names:  # the workload's own certificate
            return MUTUAL
        return f"{MUTUAL} (own certificate)" if names or common.tls_certificates else SIMPLE

    @property
    def downstream(self) -> str:
        """The server's side: with a required client certificate it is mutual."""
        if self.typed_config is None or self.typed_config.common_tls_context is None:
            return PLAIN
        return MUTUAL if self.typed_config.require_client_certificate else SIMPLE


class SocketMatch(msgspec.Struct, gc=False):
    match: dict[str, object] = {}
    transport_socket: TransportSocket = msgspec.field(default_factory=TransportSocket)


def cluster_tls(socket: TransportSocket | None, matches: list[SocketMatch]) -> str:
    """`auto mTLS` chooses by endpoint: mutual for those that istiod marked, plaintext for the others."""
    if any(entry.match.get("tlsMode") == "istio" and entry.transport_socket.upstream == MUTUAL for entry in matches):
        return AUTO
    if matches:
        return f"by endpoint ({'/'.join(dict.fromkeys(entry.transport_socket.upstream for entry in matches))})"
    return socket.upstream if socket else PLAIN
