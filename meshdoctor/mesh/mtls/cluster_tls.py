"""The TLS settings of a client's cluster: what a DestinationRule says, else what auto mTLS finds.

Rules of istiod 1.32: `pilot/pkg/networking/core/cluster_tls.go` (buildUpstreamTLSSettings,
buildUpstreamClusterTLSContext), `pilot/pkg/model/push_context.go` (BestEffortInferServiceMTLSMode),
`pilot/pkg/xds/endpoints/mtls_checker.go`.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from meshdoctor.mesh import protocols
from meshdoctor.mesh.destination_rules import EffectiveRule
from meshdoctor.mesh.endpoints import MeshEndpoint
from meshdoctor.mesh.mtls.peer_authentication import DISABLE, PeerAuthentications
from meshdoctor.mesh.services import MeshPort, MeshService
from meshdoctor.model.istio import ClientTls as TlsSettings
from meshdoctor.model.istio import TrafficPolicy
from meshdoctor.model.pods import SIDECAR

AUTO, MTLS, CUSTOM, SIMPLE, PLAINTEXT = "auto", "mtls-istio", "mtls-custom", "tls-simple", "plaintext"
ALPN = ("istio-peer-exchange", "istio")
"""What Istio's own mTLS offers to a port that is not HTTP/2."""


class Cause(Enum):
    """What decided a client's TLS; the sentence beside it says it with names."""

    NO_PROXY = "the client has no proxy"
    EXCLUDED = "the client's sidecar never sees the port"
    RULE = "a DestinationRule sets a TLS mode"
    CREDENTIAL = "a DestinationRule's credentialName has no effect on a sidecar"
    NO_CERTIFICATE = "a DestinationRule asks for a certificate that it does not name"
    EXTERNAL = "auto mTLS leaves MESH_EXTERNAL alone"
    AUTO_OFF = "auto mTLS is off for the mesh"
    NO_ENDPOINT = "a service without load balancing has no endpoint"
    BARE_ENDPOINT = "a service without load balancing has an endpoint without a sidecar"
    NAMESPACE_DISABLE = "the namespace's PeerAuthentication turns auto mTLS off"
    AUTO = "auto mTLS"
    LABEL = "the endpoint is not labelled as able to do mTLS"
    RULE_ABOVE_PORT = "a rule's own mode reaches the endpoints although a port entry hides it from the cluster"
    PORT_DISABLE = "the endpoint's PeerAuthentication disables mTLS on the port"
    HBONE = "both sides speak HBONE"


class ClusterTls(NamedTuple):
    """The decided *mode* (AUTO: each endpoint's label chooses), why, and the settings of the TLS context if any.

    *objects* are those that decided, as `Kind namespace/name`.
    """

    mode: str
    reason: str
    cause: Cause
    objects: tuple[str, ...] = ()
    settings: TlsSettings | None = None


class EndpointTls(NamedTuple):
    """The TLS used towards one endpoint (`mtls-istio`, `mtls-custom`, `tls-simple`, `plaintext`), and why."""

    endpoint: MeshEndpoint
    tls: str
    reason: str
    cause: Cause
    objects: tuple[str, ...] = ()


def user_supplied(proxy: str, rule: EffectiveRule, settings: TlsSettings) -> ClusterTls:
    """What a DestinationRule's `tls` makes of a cluster of a proxy of that kind."""
    where = f"DestinationRule {rule.name} sets tls mode {settings.mode}"
    objects = (f"DestinationRule {rule.name}",)
    if settings.mode == "ISTIO_MUTUAL":
        return ClusterTls(MTLS, where, Cause.RULE, objects, settings)
    if settings.mode not in ("SIMPLE", "MUTUAL"):
        return ClusterTls(PLAINTEXT, where, Cause.RULE, objects)
    name = settings.credential_name
    # A sidecar must not read Secrets of anybody: only a rule for chosen workloads may name one.
    if name and not name.startswith(("configmap://", "invalid://")) and proxy == SIDECAR and rule.selector is None:
        reason = f"{where}, but on a sidecar credentialName needs a workloadSelector: no TLS at all"
        return ClusterTls(PLAINTEXT, reason, Cause.CREDENTIAL, objects)
    if settings.mode == "SIMPLE":
        return ClusterTls(SIMPLE, where, Cause.RULE, objects, settings)
    if not name and not (settings.client_certificate and settings.private_key):
        return ClusterTls(PLAINTEXT, f"{where} without a certificate: istiod drops it", Cause.NO_CERTIFICATE, objects)
    return ClusterTls(CUSTOM, where, Cause.RULE, objects, settings)


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
    own = (service.label,)
    if service.external:
        return ClusterTls(
            PLAINTEXT, f"{service.label} is MESH_EXTERNAL: auto mTLS leaves it alone", Cause.EXTERNAL, own
        )
    if not enabled:
        return ClusterTls(PLAINTEXT, "enableAutoMtls is false and no DestinationRule sets a TLS mode", Cause.AUTO_OFF)
    if instances is not None:
        if not instances:
            reason = f"{service.label} is not load balanced and has no endpoint"
            return ClusterTls(PLAINTEXT, reason, Cause.NO_ENDPOINT, own)
        bare = next((endpoint for endpoint in instances if endpoint.tls_mode == "disabled"), None)
        if bare is not None:
            reason = f"{service.label} is not load balanced and {bare.name} has no sidecar: plaintext to all"
            return ClusterTls(PLAINTEXT, reason, Cause.BARE_ENDPOINT, (*own, *owner(bare)))
    mode, winner = policies.namespace_mode(service.namespace)
    if mode == DISABLE and winner is not None:
        name = f"PeerAuthentication {winner.key}"
        reason = f"{name} has DISABLE for the namespace: auto mTLS is off for the whole service"
        return ClusterTls(PLAINTEXT, reason, Cause.NAMESPACE_DISABLE, (name,))
    reason = "auto mTLS: no DestinationRule sets a TLS mode, each endpoint's label decides"
    return ClusterTls(AUTO, reason, Cause.AUTO, (), TlsSettings(mode="ISTIO_MUTUAL"))


def to_endpoint(
    endpoint: MeshEndpoint, declared: str | None, rule: EffectiveRule | None, policies: PeerAuthentications
) -> EndpointTls:
    """What AUTO means for one endpoint: mTLS only where the workload can, and nothing forbids it.

    *declared* is the mode that the endpoint builder reads from *rule* although the cluster ignores it (a port-level
    entry without `tls` hides the rule's mode from the cluster, not from the endpoints).
    """
    if endpoint.tls_mode != "istio":
        reason = f"{endpoint.name} is not labelled tlsMode=istio"
        return EndpointTls(endpoint, PLAINTEXT, reason, Cause.LABEL, owner(endpoint))
    if declared is not None and rule is not None:
        name = f"DestinationRule {rule.name}"
        reason = f"{name} says {declared} above the port's own settings, and the endpoints follow that"
        tls = MTLS if declared == "ISTIO_MUTUAL" else PLAINTEXT
        return EndpointTls(endpoint, tls, reason, Cause.RULE_ABOVE_PORT, (name,))
    policy = policies.for_workload(endpoint.namespace, endpoint.labels)
    if policy.for_port(endpoint.port) == DISABLE:
        objects = policy.objects_for(endpoint.port)
        return EndpointTls(endpoint, PLAINTEXT, policy.reason_for(endpoint.port), Cause.PORT_DISABLE, objects)
    return EndpointTls(endpoint, MTLS, f"{endpoint.name} is labelled tlsMode=istio", Cause.AUTO)


def owner(endpoint: MeshEndpoint) -> tuple[str, ...]:
    """The object behind an endpoint, as `Kind namespace/name`; empty when nothing in the mesh has its address."""
    if endpoint.peer is None:
        return ()
    kind = "WorkloadEntry" if "/we:" in endpoint.peer.key else "Pod"
    return (f"{kind} {endpoint.peer.namespace}/{endpoint.peer.name}",)


def default_sni(host: str, port: int, subset: str = "") -> str:
    """The SNI of Istio's own mTLS (BuildDNSSrvSubsetKey)."""
    return f"outbound_.{port}_.{subset}_.{host}"


def speaks_http2(port: MeshPort, policy: TrafficPolicy | None) -> bool:
    """Whether the cluster is HTTP/2: by the port's protocol, or by `h2UpgradePolicy: UPGRADE`."""
    http = ((policy.connection_pool if policy else None) or {}).get("http") or {}
    upgrade = http.get("h2UpgradePolicy") == "UPGRADE" and not http.get("useClientProtocol")
    return protocols.is_http2(port.protocol) or upgrade
