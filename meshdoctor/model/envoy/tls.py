"""TLS contexts and transport sockets (envoy.extensions.transport_sockets.tls.v3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from meshdoctor.model.envoy.any import EnvoyFact, type_name, typed

SOCKET_MATCH = "envoy.transport_socket_match"
"""The metadata of an endpoint by which a cluster chooses its transport socket."""

INTERNAL = ".InternalUpstreamTransport"
"""The way through a tunnel: what a waypoint or a sidecar uses towards a workload of the ambient mesh."""


class SdsConfig(EnvoyFact, frozen=True):
    name: str = ""


class CertificateValidationContext(EnvoyFact, frozen=True):
    match_typed_subject_alt_names: list[dict[str, Any]] = []
    match_subject_alt_names: list[dict[str, Any]] = []
    trusted_ca: dict[str, Any] | None = None


class CombinedValidationContext(EnvoyFact, frozen=True):
    default_validation_context: CertificateValidationContext = CertificateValidationContext()
    validation_context_sds_secret_config: SdsConfig | None = None


class CommonTlsContext(EnvoyFact, frozen=True):
    alpn_protocols: list[str] = []
    tls_certificates: list[dict[str, Any]] = []
    tls_certificate_sds_secret_configs: list[SdsConfig] = []
    combined_validation_context: CombinedValidationContext | None = None
    validation_context: CertificateValidationContext | None = None
    validation_context_sds_secret_config: SdsConfig | None = None
    tls_params: dict[str, Any] | None = None


class TlsContext(EnvoyFact, frozen=True):
    """An UpstreamTlsContext or DownstreamTlsContext."""

    common_tls_context: CommonTlsContext = CommonTlsContext()
    sni: str = ""
    auto_host_sni: bool = False
    require_client_certificate: bool | None = None

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """SDS names of the own certificates: `default` is the workload's, `kubernetes://NAME` a gateway's Secret."""
        return tuple(config.name for config in self.common_tls_context.tls_certificate_sds_secret_configs)

    @property
    def presents_workload_certificate(self) -> bool:
        return "default" in self.certificate_names

    @property
    def subject_alt_names(self) -> tuple[str, ...]:
        """The peer identities that are accepted (exact ones); empty accepts every identity that the root signed."""
        common = self.common_tls_context
        context = (
            common.combined_validation_context.default_validation_context
            if common.combined_validation_context
            else common.validation_context
        )
        if context is None:
            return ()
        matchers = [entry.get("matcher", {}) for entry in context.match_typed_subject_alt_names]
        matchers += context.match_subject_alt_names
        return tuple(str(matcher["exact"]) for matcher in matchers if "exact" in matcher)


class TransportSocket(EnvoyFact, frozen=True):
    name: str = ""
    typed_config: msgspec.Raw = msgspec.Raw()

    @property
    def tls(self) -> TlsContext | None:
        """The TLS context, also through QUIC or a socket around another one (PROXY protocol, tap, TCP statistics).

        None for raw buffer and other sockets. What goes through a tunnel (InternalUpstreamTransport) meets its TLS only
        behind the internal listener.
        """
        socket: TransportSocket | None = self
        while socket is not None:
            config = socket.typed_config
            found = typed(config, TlsContext, "UpstreamTlsContext", "DownstreamTlsContext")
            if found is not None:
                return found
            around = None if type_name(config).endswith(INTERNAL) else typed(config, _Around, "")
            if around is None:
                return None
            if around.transport_socket is None:
                return around.downstream_tls_context or around.upstream_tls_context
            socket = around.transport_socket
        return None


class _Around(EnvoyFact, frozen=True):
    transport_socket: TransportSocket | None = None
    downstream_tls_context: TlsContext | None = None
    upstream_tls_context: TlsContext | None = None


class TransportSocketMatch(EnvoyFact, frozen=True):
    name: str = ""
    match: dict[str, Any] = {}
    transport_socket: TransportSocket = TransportSocket()


class _Match(Protocol):
    @property
    def match(self) -> Mapping[str, object]: ...


M = TypeVar("M", bound=_Match)


def chosen_match(matches: Iterable[M], marks: Mapping[str, object]) -> M | None:
    """The first of a cluster's `transport_socket_matches` that an endpoint with these *marks* fulfils.

    *marks* are its metadata under `envoy.transport_socket_match`; None leaves it the cluster's own socket (Envoy 1.40,
    TransportSocketMatcherImpl::resolve).
    """
    fits = (one for one in matches if all(key in marks and marks[key] == value for key, value in one.match.items()))
    return next(fits, None)
