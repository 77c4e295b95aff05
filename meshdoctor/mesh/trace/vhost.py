"""Which virtual host takes a Host header: the exact name, the longest wildcard, then `*`.

Source: Envoy 1.40, RouteMatcher::findVirtualHost: case is ignored; a suffix wildcard needs a character in front.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshdoctor.mesh.trace.codec import port_start
from meshdoctor.mesh.trace.request import wire


class Domains:
    """The domains of one route configuration; values are places in its list of virtual hosts."""

    __slots__ = ("any", "exact", "ignore_port", "prefixes", "suffixes")

    def __init__(self, domains: Iterable[tuple[str, int]], ignore_port: bool) -> None:
        self.ignore_port = ignore_port
        self.exact: dict[str, int] = {}
        self.any: int | None = None
        suffixes: dict[int, dict[str, int]] = {}
        prefixes: dict[int, dict[str, int]] = {}
        for name, place in domains:
            domain = wire(name).lower()
            if domain == "*":
                self.any = place if self.any is None else self.any
            elif domain.startswith("*"):
                suffixes.setdefault(len(domain) - 1, {}).setdefault(domain[1:], place)
            elif domain.endswith("*"):
                prefixes.setdefault(len(domain) - 1, {}).setdefault(domain[:-1], place)
            else:
                self.exact.setdefault(domain, place)
        self.suffixes = sorted(suffixes.items(), reverse=True)
        self.prefixes = sorted(prefixes.items(), reverse=True)

    def key(self, authority: str) -> str:
        """The Host as it is looked up: lower case, without its port where the configuration says so."""
        host = authority.lower()
        if self.ignore_port:
            start = port_start(host)
            if start >= 0:
                return host[:start]
        return host

    def find(self, authority: str) -> tuple[int | None, str]:
        """The place of the virtual host and the domain that matched; (None, "") when none does."""
        host = self.key(authority)
        found = self.exact.get(host)
        if found is not None:
            return found, host
        for length, names in self.suffixes:
            if length < len(host) and (found := names.get(host[-length:])) is not None:
                return found, "*" + host[-length:]
        for length, names in self.prefixes:
            if length < len(host) and (found := names.get(host[:length])) is not None:
                return found, host[:length] + "*"
        return (self.any, "*") if self.any is not None else (None, "")
