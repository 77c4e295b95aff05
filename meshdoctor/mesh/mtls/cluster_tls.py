"""The TLS settings of a client's cluster: what a DestinationRule says, else what auto mTLS finds.

Rules of istiod 1.32: `pilot/pkg/networking/core/cluster_tls.go` (buildUpstreamTLSSettings,
buildUpstreamClusterTLSContext), `pilot/pkg/model/push_context.go` (BestEffortInferServiceMTLSMode),
`pilot/pkg/xds/endpoints/mtls_checker.go`.
"""

from __future__ import annotations

from typing import NamedTuple

from meshdoctor.mesh import protocols
from meshdoctor.mesh.destination_rules import EffectiveRule
from meshdoctor.mesh.endpoints import MeshEndpoint
from meshdoctor.mesh.mtls.peer_authentication import DISABLE, PeerAuthentications
from meshdoctor.mesh.services import MeshPort, MeshService
from meshdoctor.mesh.workloads import SIDECAR
from meshdoctor.model.istio import ClientTls as TlsSettings
from meshdoctor.model.istio import TrafficPolicy

AUTO, MTLS, CUSTOM, SIMPLE, PLAINTEXT = "auto", "mtls-istio", "mtls-custom", "tls-simple", "plaintext"
ALPN = ("istio-peer-exchange", "istio")
"""What Istio's own mTLS offers to a port that is not HTTP/2."""


class ClusterTls(NamedTuple):
    """The decided *mode* (AUTO: each endpoint's label chooses), why, and the settings of the TLS context if any."""

    mode: str
    reason: str
    settings: TlsSettings | None = None


class EndpointTls(NamedTuple):
    """The TLS used towards one endpoint (`mtls-istio`, `mtls-custom`, `tls-simple`, `plaintext`), and why."""

    endpoint: MeshEndpoint
    tls: str
    reason: str = ""


def user_supplied(proxy: str, rule: EffectiveRule, settings: TlsSettings) -> ClusterTls:
    """What a DestinationRule's `tls` makes of a cluster of a proxy of that kind."""
    where = f"DestinationRule {rule.name} sets tls mode {settings.mode}"
    if settings.mode == "ISTIO_MUTUAL":
        return ClusterTls(MTLS, where, settings)
    if settings.mode not in ("SIMPLE", "MUTUAL"):
        return ClusterTls(PLAINTEXT, where)
    name = settings.credential_name
    # A sidecar must not read Secrets of anybody: only a rule for chosen workloads may name one.
    if name and not name.startswith(("configmap://", "invalid://")) and proxy == SIDECAR and rule.selector is None:
        return ClusterTls(
            PLAINTEXT, f"{where}, but on a sidecar credentialName needs a workloadSelector: no TLS at all"
        )
    if settings.mode == "SIMPLE":
        return ClusterTls(SIMPLE, where, settings)
    if not name and not (settings.client_certificate and settings.private_key):
        return ClusterTls(PLAINTEXT, f"{where} without a certificate: istiod drops it")
    return ClusterTls(CUSTOM, where, settings)


def auto_mtls(
    enabled: bool,
    service: MeshService,
    policies: PeerAuthentications,
    instances: tuple[MeshEndpoint, ...] | None,
) -> ClusterTls:
    """Istio's own choice where no DestinationRule says anything.

    *enabled* is the mesh's `enableAutoMtls`; *instances* are the endpoints where the client's own choice of an address
    stays (headless, PASSTHROUGH), else None. Only mesh- and namespace-wide PeerAuthentications are asked here.
    """
    if service.external:
        return ClusterTls(PLAINTEXT, f"{service.label} is MESH_EXTERNAL: auto mTLS leaves it alone")
    if not enabled:
        return ClusterTls(PLAINTEXT, "enableAutoMtls is false and no DestinationRule sets a TLS mode")
    if instances is not None:
        if not instances:
            return ClusterTls(PLAINTEXT, f"{service.label} is not load balanced and has no endpoint")
        bare = next((endpoint for endpoint in instances if endpoint.tls_mode == "disabled"), None)
        if bare is not None:
            reason = f"{service.label} is not load balanced and {bare.name} has no sidecar: plaintext to all"
            return ClusterTls(PLAINTEXT, reason)
    mode, winner = policies.namespace_mode(service.namespace)
    if mode == DISABLE and winner is not None:
        reason = (
            f"PeerAuthentication {winner.key} has DISABLE for the namespace: auto mTLS is off for the whole service"
        )
        return ClusterTls(PLAINTEXT, reason)
    reason = "auto mTLS: no DestinationRule sets a TLS mode, each endpoint's label decides"
    return ClusterTls(AUTO, reason, TlsSettings(mode="ISTIO_MUTUAL"))


def to_endpoint(
    endpoint: MeshEndpoint, declared: str | None, rule: EffectiveRule | None, policies: PeerAuthentications
) -> EndpointTls:
    """What AUTO means for one endpoint: mTLS only where the workload can, and nothing forbids it.

    *declared* is the mode that the endpoint builder reads from *rule* although the cluster ignores it (a port-level
    entry without `tls` hides the rule's mode from the cluster, not from the endpoints).
    """
    if endpoint.tls_mode != "istio":
        return EndpointTls(endpoint, PLAINTEXT, f"{endpoint.name} is not labelled tlsMode=istio")
    if declared is not None:
        name = rule.name if rule else "-"
        if declared == "ISTIO_MUTUAL":
            return EndpointTls(
                endpoint, MTLS, f"DestinationRule {name} says ISTIO_MUTUAL above the port's own settings"
            )
        return EndpointTls(endpoint, PLAINTEXT, f"DestinationRule {name} says {declared} above the port's own settings")
    policy = policies.for_workload(endpoint.namespace, endpoint.labels)
    if policy.for_port(endpoint.port) == DISABLE:
        return EndpointTls(endpoint, PLAINTEXT, policy.reason_for(endpoint.port))
    return EndpointTls(endpoint, MTLS, f"{endpoint.name} is labelled tlsMode=istio")


def default_sni(host: str, port: int, subset: str = "") -> str:
    """The SNI of Istio's own mTLS (BuildDNSSrvSubsetKey)."""
    return f"outbound_.{port}_.{subset}_.{host}"


def speaks_http2(port: MeshPort, policy: TrafficPolicy | None) -> bool:
    """Whether the cluster is HTTP/2: by the port's protocol, or by `h2UpgradePolicy: UPGRADE`."""
    http = ((policy.connection_pool if policy else None) or {}).get("http") or {}
    upgrade = http.get("h2UpgradePolicy") == "UPGRADE" and not http.get("useClientProtocol")
    return protocols.is_http2(port.protocol) or upgrade
