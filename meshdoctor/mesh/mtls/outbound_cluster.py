"""Which cluster istiod makes for a service port and a subset of it: its type, its endpoints and its traffic policy.

Rules of istiod 1.32: `pilot/pkg/networking/core/cluster.go` (buildOutboundClusters) and `cluster_builder.go`
(applyDestinationRule, buildSubsetCluster).
"""

from __future__ import annotations

from typing import NamedTuple

from meshdoctor.mesh import services as registry
from meshdoctor.mesh import traffic_policy
from meshdoctor.mesh.destination_rules import EffectiveRule
from meshdoctor.mesh.endpoints import MeshEndpoint
from meshdoctor.mesh.services import MeshService
from meshdoctor.model.istio import Subset, TrafficPolicy
from meshdoctor.model.labels import selects

EDS, STRICT_DNS, LOGICAL_DNS, ORIGINAL_DST = "EDS", "STRICT_DNS", "LOGICAL_DNS", "ORIGINAL_DST"
_CLUSTER_TYPES = {
    registry.CLIENT_SIDE: EDS,
    registry.DNS: STRICT_DNS,
    registry.DNS_ROUND_ROBIN: LOGICAL_DNS,
    registry.PASSTHROUGH: ORIGINAL_DST,
}
_NEED_ENDPOINTS = (STRICT_DNS, LOGICAL_DNS)


class OutboundCluster(NamedTuple):
    """A cluster before its TLS: its type, its policy, and the policy that auto mTLS looks at."""

    type: str
    policy: TrafficPolicy | None
    checked: TrafficPolicy | None
    endpoints: tuple[MeshEndpoint, ...]
    subset: Subset | None = None


def main_cluster(
    service: MeshService, rule: EffectiveRule | None, port: int, endpoints: tuple[MeshEndpoint, ...], direct: bool
) -> OutboundCluster | None:
    """The cluster of a service port itself; None when a DNS service has nothing to resolve.

    *direct*: the proxy may send to whatever address the client dialled (ORIGINAL_DST). A gateway has no such address.
    """
    kind = _CLUSTER_TYPES.get(service.resolution, EDS)
    if kind == ORIGINAL_DST and not direct:
        kind = EDS
    if kind in _NEED_ENDPOINTS and not endpoints:
        return None
    whole = rule.traffic_policy if rule else None
    policy = traffic_policy.for_port(whole, port)
    delivered = tuple(endpoint for endpoint in endpoints if endpoint.health != "terminating")
    return OutboundCluster(ORIGINAL_DST if traffic_policy.is_passthrough(policy) else kind, policy, whole, delivered)


def subset_cluster(
    cluster: OutboundCluster, rule: EffectiveRule | None, name: str, port: int
) -> OutboundCluster | None:
    """The cluster of a subset; None when no rule in force defines it, or DNS has no endpoint with its labels."""
    subset = rule.subset(name) if rule else None
    if rule is None or subset is None:
        return None
    picked = tuple(endpoint for endpoint in cluster.endpoints if selects(subset.labels, endpoint.labels))
    kind = ORIGINAL_DST if traffic_policy.is_passthrough(subset.traffic_policy) else cluster.type
    if kind in _NEED_ENDPOINTS and not picked:
        return None
    policy = traffic_policy.for_subset(rule.traffic_policy, subset, port)
    if traffic_policy.is_passthrough(policy):
        kind = ORIGINAL_DST
    # Auto mTLS checks the subset's own policy only, although the type follows the merged one.
    return OutboundCluster(kind, policy, subset.traffic_policy, picked, subset)


def why_none(service: MeshService, rule: EffectiveRule | None, subset: str) -> str:
    """Why neither of the two gives a cluster, in one sentence."""
    if subset and rule is None:
        return f"no DestinationRule in force for {service.host}, so there is no subset {subset}"
    if subset and rule is not None and rule.subset(subset) is None:
        return f"DestinationRule {rule.name}, the one in force, defines no subset {subset}"
    return f"{service.label} is resolved by DNS and has no endpoint{f' for subset {subset}' if subset else ''}"
