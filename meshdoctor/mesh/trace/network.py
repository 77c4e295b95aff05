"""Addresses and CIDR ranges of a configuration; what cannot be read answers "cannot be said"."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Any

from meshdoctor.mesh.trace.loose import message, whole
from meshdoctor.mesh.trace.strings import Answer

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=4096)
def ip_address(text: str) -> IpAddress | None:
    """The address, None when *text* is none."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def network(prefix: str, length: int) -> Network | None:
    """The range, None when it is not one."""
    try:
        return ipaddress.ip_network(f"{prefix}/{length}", strict=False)
    except ValueError:
        return None


def inside(text: str, cidr: Any) -> Answer:
    """Whether an address lies in an envoy.config.core.v3.CidrRange."""
    address = ip_address(text)
    given = message(cidr)
    found = network(str(given.get("address_prefix", "")), whole(given.get("prefix_len")))
    return None if address is None or found is None else address in found
