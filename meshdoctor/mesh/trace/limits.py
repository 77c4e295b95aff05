"""Limits of a cluster that an ordinary caller meets: a handful of requests at once, a hasty connect timeout."""

from __future__ import annotations

from meshdoctor.mesh.trace.outcome import Outcome
from meshdoctor.model.envoy.cluster import UNLIMITED, Cluster
from meshdoctor.model.moment import duration

FEW_AT_ONCE = 4
"""A cluster that admits no more requests at once than this refuses some of any caller that is not alone."""
HASTY = 0.01
"""Seconds: TCP and TLS handshakes inside one cluster take longer than this now and then."""
_TOLD = 1024
"""Limits below Envoy's own default are worth a word."""


def words(cluster: Cluster) -> tuple[str, ...]:
    """The limits that someone set, and the time to connect."""
    limits = cluster.thresholds
    each = (
        ("connections", limits.max_connections),
        ("waiting requests", limits.max_pending_requests),
        ("requests at once", limits.max_requests),
    )
    found = [f"at most {value} {word}, then 503 UO" for word, value in each if value < _TOLD]
    if cluster.connect_timeout:
        found.append(f"connects within {cluster.connect_timeout}")
    if cluster.lb_subset_config:
        found.append("its subset load balancer is not judged here")
    return tuple(found)


def risk(cluster: Cluster, http: bool) -> Outcome | None:
    """How requests must be expected to fail at the cluster's limits; None when the limits are ordinary ones."""
    limits = cluster.thresholds
    admitted = limits.max_requests
    if limits.max_connections < UNLIMITED:
        admitted = min(admitted, limits.max_connections + limits.max_pending_requests)
    if not http:
        admitted = limits.max_connections
    fix = "raise the limits of the DestinationRule's (or Sidecar's) connectionPool"
    if admitted <= FEW_AT_ONCE:
        why = f"the cluster admits {admitted} requests at once, the next one is refused"
        details = "upstream_reset_before_response_started{overflow}"
        return _outcome("UO", details, why, fix, http)
    timeout = duration(cluster.connect_timeout)
    if timeout is not None and 0 < timeout < HASTY:
        why = f"a connection must stand within {timeout * 1000:g} ms, TLS handshake included"
        fix = "raise connectTimeout in the DestinationRule's connectionPool"
        details = "upstream_reset_before_response_started{connection_timeout}"
        return _outcome("UF", details, why, fix, http)
    return None


def _outcome(flags: str, details: str, why: str, fix: str, http: bool) -> Outcome:
    if http:
        return Outcome("http", 503, flags, details, why=why, fix=fix)
    return Outcome("tcp", None, flags, why=why, fix=fix)
