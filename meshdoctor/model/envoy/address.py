"""Envoy addresses: sockets, pipes and internal listeners, as a dump has them and as a log prints them."""

from __future__ import annotations

from ipaddress import ip_address

from meshdoctor.model.envoy.any import EnvoyFact


class SocketAddress(EnvoyFact, frozen=True):
    address: str = ""
    port_value: int = 0
    protocol: str = "TCP"


class Pipe(EnvoyFact, frozen=True):
    path: str = ""


class InternalAddress(EnvoyFact, frozen=True):
    server_listener_name: str = ""
    endpoint_id: str = ""


class Address(EnvoyFact, frozen=True):
    """One of the three; `str()` gives what an access log prints."""

    socket_address: SocketAddress | None = None
    pipe: Pipe | None = None
    envoy_internal_address: InternalAddress | None = None

    def __str__(self) -> str:
        if self.socket_address:
            host = self.socket_address.address
            return f"[{host}]:{self.socket_address.port_value}" if ":" in host else f"{host}:{self.port}"
        if self.pipe:
            return self.pipe.path
        if self.envoy_internal_address:
            inner = self.envoy_internal_address
            return f"envoy://{inner.server_listener_name}/{inner.endpoint_id}"
        return "-"

    @property
    def ip(self) -> str:
        return self.socket_address.address if self.socket_address else ""

    @property
    def endpoint_ip(self) -> str:
        """Where the traffic ends: the IP address, also of an endpoint that is reached through a tunnel (HBONE).

        istiod names such an internal address's endpoint `IP:PORT` (pilot/pkg/networking/util, BuildInternalAddress).
        """
        inner = self.envoy_internal_address
        return self.ip or (split_address(inner.endpoint_id)[0] if inner else "")

    @property
    def port(self) -> int:
        return self.socket_address.port_value if self.socket_address else 0


def split_address(text: str | None) -> tuple[str, int]:
    """Host and port of an address as a proxy's log prints it; the port is 0 where none is told, ("", 0) is no host.

    Envoy writes `IP:PORT`, `[V6]:PORT`, an address alone (`%..._WITHOUT_PORT%`), the path of a pipe, and of an internal
    listener `envoy://LISTENER/ENDPOINT`, whose endpoint istiod names `IP:PORT` (source/common/network/address_impl.cc,
    1.30 to 1.40). ztunnel writes `HOST:PORT`, too.

    >>> split_address("envoy://connect_originate/[fd00::7]:8080")
    ('fd00::7', 8080)
    """
    told = text or ""
    if told.startswith("envoy://"):
        told = told.removeprefix("envoy://").partition("/")[2]
    if "/" in told or told == "-":
        return "", 0
    if told.startswith("["):
        host, _, port = told[1:].partition("]")
        port = port.removeprefix(":")
    elif told.count(":") == 1:
        host, _, port = told.partition(":")
    else:
        host, port = told if _is_ip(told) else "", ""
    return host, int(port) if host and port.isdecimal() and len(port) <= _DIGITS else 0


_DIGITS = len("65535")


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
