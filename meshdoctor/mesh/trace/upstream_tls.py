"""The TLS that an Envoy speaks to an endpoint: which transport socket, and what the server must present.

Source: Envoy 1.40 and Istio's `istio.alpn` filter, which replaces the ALPN of HTTP requests towards sidecars.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from meshdoctor.mesh.trace.endpoint import Host
from meshdoctor.mesh.trace.request import ClientHello
from meshdoctor.model.envoy.any import EnvoyFact, typed
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.envoy.listener import HttpConnectionManager
from meshdoctor.model.envoy.tls import TlsContext, chosen_match

ALPN_FILTER = "istio.alpn"


class UpstreamTls(NamedTuple):
    """*hello* None is plain text; *mutual*: with the workload's certificate; *socket* names the chosen match."""

    hello: ClientHello | None
    socket: str = ""
    mutual: bool = False
    context: TlsContext | None = None
    tunnel: bool = False


class _Override(EnvoyFact, frozen=True):
    upstream_protocol: str = "HTTP10"
    alpn_override: list[str] = []


class _AlpnFilter(EnvoyFact, frozen=True):
    alpn_override: list[_Override] = []


class _Http2(EnvoyFact, frozen=True):
    http2_protocol_options: dict[str, Any] | None = None


class _ProtocolOptions(EnvoyFact, frozen=True):
    explicit_http_config: _Http2 | None = None
    use_downstream_protocol_config: dict[str, Any] | None = None


def http_version(cluster: Cluster, downstream: str) -> str:
    """The HTTP version that goes upstream: `2` where the cluster says so, or follows the client."""
    raw = cluster.typed_extension_protocol_options.get("envoy.extensions.upstreams.http.v3.HttpProtocolOptions")
    options = typed(raw, _ProtocolOptions, "HttpProtocolOptions") if raw is not None else None
    if options is None:
        return "1.1"
    if options.explicit_http_config and options.explicit_http_config.http2_protocol_options is not None:
        return "2"
    return "2" if options.use_downstream_protocol_config is not None and downstream == "2" else "1.1"


def towards(cluster: Cluster, host: Host | None, manager: HttpConnectionManager | None, version: str) -> UpstreamTls:
    """What the cluster speaks to an endpoint; *manager* is the chain's (None for TCP), *version* the upstream HTTP."""
    labels = dict(host.socket_labels) if host is not None else {}
    match = chosen_match(cluster.transport_socket_matches, labels)
    context, name = (cluster.tls, "the cluster's own") if match is None else (match.transport_socket.tls, match.name)
    if context is None:
        return UpstreamTls(None, name, tunnel="tunnel" in labels)
    common = context.common_tls_context
    certificate = bool(common.tls_certificate_sds_secret_configs or common.tls_certificates)
    hello = ClientHello(context.sni, _alpn(cluster, context, manager, version), certificate)
    return UpstreamTls(hello, name, context.presents_workload_certificate, context)


def _alpn(
    cluster: Cluster, context: TlsContext, manager: HttpConnectionManager | None, version: str
) -> tuple[str, ...]:
    own = tuple(context.common_tls_context.alpn_protocols)
    if manager is None or not own:
        return own
    # istio.alpn works on clusters of TLS mode ISTIO_MUTUAL only (istiod marks the others with alpn_override: "false").
    if str(cluster.istio.get("alpn_override", "")) == "false":
        return own
    entry = next((each for each in manager.http_filters if each.name == ALPN_FILTER), None)
    config = typed(entry.typed_config, _AlpnFilter, "FilterConfig") if entry is not None else None
    wanted = "HTTP2" if version == "2" else "HTTP11"
    for override in config.alpn_override if config is not None else []:
        if override.upstream_protocol == wanted:
            return tuple(override.alpn_override)
    return own
