"""Host names as Istio reads them: short names, wildcards, the most specific match.

Rules of istiod 1.32: `pilot/pkg/model/conversion.go` (ResolveShortnameToFQDN), `pkg/config/host/name.go` and
`pilot/pkg/model/context.go` (MostSpecificHostMatch).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")

DOMAIN = "cluster.local"
"""The DNS domain of a cluster unless istiod is told otherwise (`--domain`)."""


def is_address(text: str) -> bool:
    """Whether *text* is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def qualified(host: str, namespace: str, domain: str = DOMAIN) -> str:
    """*host* of an object in *namespace* as istiod completes it: a name without a dot is a Service of that namespace.

    >>> qualified("web", "shop")
    'web.shop.svc.cluster.local'
    >>> qualified("web.shop", "pay")
    'web.shop'
    """
    if not host or host == "*" or "." in host or is_address(host):
        return host
    return f"{host}.{namespace}.svc.{domain}" if namespace else host


def service_host(name: str, namespace: str, domain: str = DOMAIN) -> str:
    """The host name of a Kubernetes Service."""
    return f"{name}.{namespace}.svc.{domain}"


def is_wildcard(host: str) -> bool:
    return host.startswith("*")


def subset_of(host: str, pattern: str) -> bool:
    """Whether every name that *host* stands for is one that *pattern* stands for (host.Name.SubsetOf).

    >>> subset_of("web.shop.svc.cluster.local", "*.shop.svc.cluster.local")
    True
    >>> subset_of("*.local", "*.cluster.local")
    False
    """
    if not pattern.startswith("*"):
        return host == pattern
    suffix = pattern[1:]
    if host.startswith("*"):
        return len(host) >= len(pattern) and host[1:].endswith(suffix)
    return len(host) >= len(suffix) and host.endswith(suffix)


def most_specific(host: str, exact: Mapping[str, T], wildcard: Mapping[str, T]) -> tuple[str, T] | None:
    """The entry for *host*: its own name first, else the longest wildcard that covers it; None when nothing does."""
    own = (wildcard if is_wildcard(host) else exact).get(host)
    if own is not None:
        return host, own
    best = longest(pattern for pattern in wildcard if subset_of(host, pattern))
    return (best, wildcard[best]) if best is not None else None


def longest(patterns: Iterable[str]) -> str | None:
    """The most specific of wildcards that all cover one name: the longest, then the first by alphabet."""
    return min(patterns, key=lambda pattern: (-len(pattern), pattern), default=None)


def candidates(asked: str, namespace: str, domain: str = DOMAIN) -> tuple[str, ...]:
    """The names that *asked* may stand for when a pod of *namespace* resolves it, in the resolver's order.

    A pod's search path is `NS.svc.DOMAIN`, `svc.DOMAIN`, `DOMAIN` (kubelet's ClusterFirst, with ndots 5).

    >>> candidates("web.shop", "pay")[1]
    'web.shop.svc.cluster.local'
    """
    name = asked.rstrip(".").lower()
    if is_address(name) or is_wildcard(name):
        return (name,)
    search = (f"{name}.{namespace}.svc.{domain}", f"{name}.svc.{domain}", f"{name}.{domain}")
    return (*search, name) if name.count(".") < 5 else (name, *search)
