"""TLS contexts and transport sockets (envoy.extensions.transport_sockets.tls.v3)."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.model.envoy.any import EnvoyFact, typed


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
        """The TLS context, or None for raw buffer and other sockets."""
        return typed(self.typed_config, TlsContext, "UpstreamTlsContext", "DownstreamTlsContext")


class TransportSocketMatch(EnvoyFact, frozen=True):
    name: str = ""
    match: dict[str, Any] = {}
    transport_socket: TransportSocket = TransportSocket()
