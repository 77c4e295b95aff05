"""Would the two sides agree? What a client sends against what a server's filter chains take.

Rules: Envoy 1.40's filter chain selection (destination port, transport protocol, ALPN) on the chains that istiod builds
(`pilot/pkg/networking/core/filterchain_options.go`, 1.32). Only TLS on the wire counts.
"""

from __future__ import annotations

from meshdoctor.mesh.mtls.cluster_tls import CUSTOM, MTLS, PLAINTEXT
from meshdoctor.mesh.mtls.peer_authentication import UNKNOWN
from meshdoctor.mesh.mtls.server import CUSTOM_MUTUAL, CUSTOM_SIMPLE, GATEWAY_LISTENER, NO_PROXY, ServerMode

OK_MTLS, OK_PLAINTEXT, OK_TLS = "ok-mtls", "ok-plaintext", "ok-tls"
PLAINTEXT_TO_STRICT, MTLS_TO_PLAINTEXT, OTHER = "fail-plaintext-to-strict", "fail-mtls-to-plaintext", "fail-other"
EXTERNAL = "external"
FAILURES = frozenset({PLAINTEXT_TO_STRICT, MTLS_TO_PLAINTEXT, OTHER})


def outcome(tls: str, server: ServerMode) -> str:
    """What becomes of a connection with the client's *tls* at a port in the *server*'s mode.

    `ok-tls` means that the user's own TLS is terminated by the sidecar, or reaches the application untouched, which
    must then speak it.
    """
    mode = server.mode
    if mode == GATEWAY_LISTENER:
        return EXTERNAL
    if UNKNOWN in (tls, mode):
        return UNKNOWN
    if mode in (CUSTOM_SIMPLE, CUSTOM_MUTUAL):
        if tls in (MTLS, PLAINTEXT):
            return OTHER  # the only chain is for TLS, with a certificate that is not the mesh's
        return OK_TLS if mode == CUSTOM_SIMPLE or tls == CUSTOM else OTHER
    if tls == PLAINTEXT:
        return PLAINTEXT_TO_STRICT if mode == "STRICT" else OK_PLAINTEXT
    if tls == MTLS:
        # With DISABLE the port has no TLS inspector: the handshake reaches the application or the HTTP codec.
        return MTLS_TO_PLAINTEXT if mode in ("DISABLE", NO_PROXY) else OK_MTLS
    if mode == NO_PROXY:
        return OK_TLS
    if mode == "STRICT":
        return OTHER  # the certificate is not the mesh's
    # PERMISSIVE has no chain for foreign TLS on a port declared HTTP; DISABLE would read the handshake as HTTP there.
    return OTHER if server.protocol == "http" else OK_TLS
