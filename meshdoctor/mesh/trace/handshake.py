"""The downstream TLS handshake of the chosen chain: does it succeed, and which protocol do both sides take?"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from meshdoctor.mesh.trace.request import ClientHello
from meshdoctor.model.envoy.tls import TlsContext


class Handshake(NamedTuple):
    """*terminated*: Envoy decrypts; *alpn*: what was negotiated, ""; *failure*: why no request can arrive, ""."""

    terminated: bool
    alpn: str = ""
    failure: str = ""


def shake(hello: ClientHello | None, server: TlsContext | None, missing: Collection[str] = ()) -> Handshake:
    """The handshake of a client (None: it sends plain text) with a chain (None: it speaks plain text).

    *missing* are the names of secrets that SDS has not delivered: without its certificate a chain resets every client.
    """
    if server is None:
        return Handshake(False)
    absent = next((name for name in server.certificate_names if name in missing), "")
    if absent:
        return Handshake(True, failure=f"no_secret:{absent}")
    if hello is None:
        return Handshake(True, failure="plain_text")
    if server.require_client_certificate and not hello.certificate:
        return Handshake(True, failure="no_client_certificate")
    return Handshake(True, negotiate(hello, server))


def negotiate(hello: ClientHello, server: TlsContext) -> str:
    """The server's preference decides (BoringSSL's SSL_select_next_proto); no overlap means no protocol, no error."""
    offered = set(hello.alpn)
    return next((name for name in server.common_tls_context.alpn_protocols if name in offered), "")
