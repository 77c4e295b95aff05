"""Which clusters a route or TCP proxy may choose, and with which share of the requests."""

from __future__ import annotations

from typing import NamedTuple

from meshdoctor.mesh.trace.headers import Headers
from meshdoctor.model.envoy.listener import TcpProxy
from meshdoctor.model.envoy.route import RouteAction, WeightedClusters


class Choice(NamedTuple):
    """One possible cluster and its share, from 0 to 1."""

    cluster: str
    share: float


def of_route(action: RouteAction, headers: Headers) -> tuple[Choice, ...]:
    """The clusters of a route; one that no header names is "" (Envoy answers NC)."""
    if action.weighted_clusters:
        return of_weights(action.weighted_clusters, headers)
    if action.cluster_header:
        return (Choice(headers.first(action.cluster_header.lower()), 1.0),)
    return (Choice(action.cluster, 1.0),)


def of_tcp(proxy: TcpProxy, sni: str, by_sni: bool) -> tuple[Choice, ...]:
    """The clusters of a TCP proxy; behind the filter `sni_cluster` the server name is the cluster's name."""
    if by_sni and sni:
        return (Choice(sni, 1.0),)
    if proxy.weighted_clusters:
        return of_weights(proxy.weighted_clusters, Headers())
    return (Choice(proxy.cluster, 1.0),)


def of_weights(weighted: WeightedClusters, headers: Headers) -> tuple[Choice, ...]:
    """Clusters of weight 0 are never chosen; one cluster that is named twice has the sum of its weights."""
    shares: dict[str, float] = {}
    total = sum(entry.weight for entry in weighted.clusters)
    for entry in weighted.clusters:
        if entry.weight:
            name = entry.name or headers.first(entry.cluster_header.lower())
            shares[name] = shares.get(name, 0.0) + entry.weight / total
    return tuple(Choice(name, share) for name, share in shares.items())
