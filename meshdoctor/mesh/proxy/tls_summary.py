"""How a connection is secured, in a word or two, from its transport sockets.

The structs read what `model.envoy.tls` reads, and only what a table of thousands of clusters needs.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from meshdoctor.model.envoy.tls import INTERNAL, chosen_match

PLAIN, AUTO, MUTUAL, SIMPLE = "plaintext", "auto mTLS", "mTLS", "TLS"
HBONE = "HBONE"


class _Sds(msgspec.Struct, gc=False):
    name: str = ""


class _Common(msgspec.Struct, gc=False):
    tls_certificate_sds_secret_configs: list[_Sds] = []
    tls_certificates: list[msgspec.Raw] = []


class _Context(msgspec.Struct, gc=False):
    common_tls_context: _Common | None = None
    require_client_certificate: bool = False


class _Config(_Context, gc=False):
    type: str = msgspec.field(name="@type", default="")
    downstream_tls_context: _Context | None = None
    upstream_tls_context: _Context | None = None
    transport_socket: TransportSocket | None = None


class TransportSocket(msgspec.Struct, gc=False):
    """TLS, QUIC (which wraps a TLS context), or a socket around another one (PROXY protocol, tap, internal)."""

    name: str = ""
    typed_config: _Config | None = None

    @property
    def _context(self) -> _Context | None:
        config = self.typed_config
        if config is None or config.common_tls_context is not None or config.type.endswith("streamTlsContext"):
            return config  # one without anything in it is TLS, too
        if config.type.endswith(INTERNAL):
            return None
        if config.transport_socket is not None:
            return config.transport_socket._context
        return config.downstream_tls_context or config.upstream_tls_context

    @property
    def upstream(self) -> str:
        """The client's side: with a certificate of its own it is mutual."""
        if self.typed_config and self.typed_config.type.endswith(INTERNAL):
            return HBONE
        context = self._context
        if context is None:
            return PLAIN
        common = context.common_tls_context or _Common()
        names = [entry.name for entry in common.tls_certificate_sds_secret_configs]
        if "default" in names:  # the workload's own certificate
            return MUTUAL
        return f"{MUTUAL} (own certificate)" if names or common.tls_certificates else SIMPLE

    @property
    def downstream(self) -> str:
        """The server's side: with a required client certificate it is mutual."""
        context = self._context
        if context is None:
            return PLAIN
        return MUTUAL if context.require_client_certificate else SIMPLE


class SocketMatch(msgspec.Struct, gc=False):
    match: dict[str, object] = {}
    transport_socket: TransportSocket = msgspec.field(default_factory=TransportSocket)

    @property
    def mode(self) -> str:
        """What a matching endpoint gets; istiod marks those that are behind a tunnel with `tunnel`."""
        return HBONE if self.match.get("tunnel") else self.transport_socket.upstream


def cluster_tls(socket: TransportSocket | None, matches: list[SocketMatch]) -> str:
    """`auto mTLS` chooses by endpoint: mutual for those that istiod marked, plaintext for the others."""
    modes = dict.fromkeys(entry.mode for entry in matches)
    if any(entry.match.get("tlsMode") == "istio" and entry.mode == MUTUAL for entry in matches):
        return f"{AUTO}, {HBONE}" if HBONE in modes else AUTO
    if matches:
        return f"by endpoint ({'/'.join(modes)})"
    return socket.upstream if socket else PLAIN


def endpoint_tls(socket: TransportSocket | None, matches: list[SocketMatch], marks: Mapping[str, object]) -> str:
    """Towards one endpoint with these *marks* (`envoy.transport_socket_match`)."""
    match = chosen_match(matches, marks)
    if match is not None:
        return match.mode
    return socket.upstream if socket else PLAIN
