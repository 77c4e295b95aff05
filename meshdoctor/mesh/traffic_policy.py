"""The traffic policy of one port and subset: what port-level settings replace and what a subset overrides.

Rules of istiod 1.32: `pilot/pkg/networking/util/util.go` (GetPortLevelTrafficPolicy, MergeSubsetTrafficPolicy).
"""

from __future__ import annotations

from collections.abc import Iterator

from meshdoctor.model.istio import DestinationRule, PortTrafficPolicy, Subset, TrafficPolicy


def port_entry(policy: TrafficPolicy | None, port: int) -> PortTrafficPolicy | None:
    """The `portLevelSettings` entry of a service port."""
    if policy is None:
        return None
    return next((entry for entry in policy.port_level_settings if entry.port.number == port), None)


def for_port(policy: TrafficPolicy | None, port: int) -> TrafficPolicy | None:
    """*policy* for a service port: a port-level entry *replaces* the whole policy, nothing is inherited."""
    entry = port_entry(policy, port)
    if entry is None:
        return policy
    return TrafficPolicy(
        load_balancer=entry.load_balancer,
        connection_pool=entry.connection_pool,
        outlier_detection=entry.outlier_detection,
        tls=entry.tls,
    )


def for_subset(policy: TrafficPolicy | None, subset: Subset, port: int) -> TrafficPolicy | None:
    """*policy* (of the whole rule) as a subset changes it: field by field, or all four when it has a port entry."""
    base = for_port(policy, port)
    if subset.traffic_policy is None:
        return base
    own = for_port(subset.traffic_policy, port)
    if base is None or own is None:
        return own
    whole = port_entry(subset.traffic_policy, port) is not None
    return TrafficPolicy(
        load_balancer=own.load_balancer if own.load_balancer is not None or whole else base.load_balancer,
        connection_pool=own.connection_pool if own.connection_pool is not None or whole else base.connection_pool,
        outlier_detection=own.outlier_detection
        if own.outlier_detection is not None or whole
        else base.outlier_detection,
        tls=own.tls if own.tls is not None or whole else base.tls,
        tunnel=own.tunnel if own.tunnel is not None else base.tunnel,
        proxy_protocol=own.proxy_protocol if own.proxy_protocol is not None else base.proxy_protocol,
    )


def tls_mode(policy: TrafficPolicy | None, port: int) -> str | None:
    """The TLS mode that istiod's endpoint builder reads (mtls_checker.go, trafficPolicyTLSModeForPort).

    Unlike the cluster's own policy, a port entry without `tls` does not hide the mode of the whole policy here.
    """
    if policy is None:
        return None
    entry = next((e for e in policy.port_level_settings if e.port.number == port and e.tls is not None), None)
    tls = entry.tls if entry else policy.tls
    return tls.mode if tls else None


def is_passthrough(policy: TrafficPolicy | None) -> bool:
    """Whether `loadBalancer: simple: PASSTHROUGH` stands in it."""
    return policy is not None and (policy.load_balancer or {}).get("simple") == "PASSTHROUGH"


def every_policy(rule: DestinationRule) -> Iterator[TrafficPolicy | PortTrafficPolicy]:
    """The traffic policies of a rule: its own, those of its subsets, and the port-level ones of each."""
    for policy in (rule.spec.traffic_policy, *(subset.traffic_policy for subset in rule.spec.subsets)):
        if policy is not None:
            yield policy
            yield from policy.port_level_settings


def sets_tls(rule: DestinationRule) -> bool:
    """Whether a rule says anything about TLS, for any port or subset."""
    return any(policy.tls is not None for policy in every_policy(rule))


def sets_pool(rule: DestinationRule) -> bool:
    """Whether a rule limits a connection pool, for any port or subset."""
    return any(policy.connection_pool for policy in every_policy(rule))


def sets_connect_timeout(rule: DestinationRule) -> bool:
    """Whether a rule sets `connectionPool.tcp.connectTimeout`, for any port or subset."""
    return any("connectTimeout" in ((policy.connection_pool or {}).get("tcp") or {}) for policy in every_policy(rule))


def detects_outliers(rule: DestinationRule) -> bool:
    """Whether a rule sets outlier detection, for any port or subset."""
    return any(policy.outlier_detection is not None for policy in every_policy(rule))
