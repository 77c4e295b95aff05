"""Istio's own names: what the name of an Envoy cluster says.

Istio builds `direction|port|subset|host` (`pilot/pkg/model/push_context.go`, BuildSubsetKey) and, for SNI,
`direction_.port_.subset_.host` (BuildDNSSrvSubsetKey).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

# Clusters that Istio adds to a proxy and that stand for no service (Istio 1.32, pilot/pkg/util and networking/core).
SPECIAL_CLUSTERS: frozenset[str] = frozenset(
    {
        "PassthroughCluster",
        "BlackHoleCluster",
        "InboundPassthroughCluster",
        "InboundPassthroughClusterIpv4",  # until 1.22
        "InboundPassthroughClusterIpv6",
        "AllowAnyDynamicDNSCluster",
        "connect_originate",
        "connect_terminate",
        "main_internal",
        "encap",
        "inbound-vip",
        "xds-grpc",
        "sds-grpc",
        "prometheus_stats",
        "agent",
        "zipkin",
    }
)


class ClusterName(msgspec.Struct, frozen=True):
    """The parts of an Envoy cluster name; a name that Istio did not build has only `name`."""

    name: str  # as Envoy has it, without the ";" that alt_stat_name appends
    direction: str | None = None  # outbound, inbound, inbound-vip, inbound-pod
    port: int | None = None
    subset: str = ""
    host: str = ""  # empty for inbound|PORT||

    @property
    def special(self) -> bool:
        """True for Istio's own helper clusters, which stand for no service."""
        return self.name in SPECIAL_CLUSTERS

    @property
    def inbound(self) -> bool:
        """True when the proxy that uses it is the server's side of the request."""
        return (self.direction or "").startswith("inbound") or self.name.startswith("InboundPassthroughCluster")


_NAME = re.compile(
    r"(?P<direction>[a-z][a-z-]*)(?:\||_\.)(?P<port>[0-9]{0,5})(?:\||_\.)(?P<subset>.*?)(?:\||_\.)(?P<host>.*)"
)


def parse_cluster_name(text: str) -> ClusterName:
    """Take `outbound|9080|v1|reviews.default.svc.cluster.local` (or its SNI form) apart. Never raises.

    >>> parse_cluster_name("outbound_.80_.v1_.web.shop.svc.cluster.local").subset
    'v1'
    """
    name = text.strip().removesuffix(";")
    match = _NAME.fullmatch(name)
    if match is None:
        return ClusterName(name)
    port = int(match["port"]) if match["port"] else None
    return ClusterName(name, match["direction"], port, match["subset"], match["host"])


def mistaken_for(proxy: str, others: Iterable[str]) -> str:
    """Which of its *others* istiod may answer for when it is asked about *proxy* (`NAME.NAMESPACE`); "" for none.

    It takes the first connection whose id, which is PROXY-NUMBER, has the name in it (pilot/pkg/xds/debug.go,
    getProxyConnection).
    """
    return next((one for one in others if one != proxy and proxy in f"{one}-"), "")
