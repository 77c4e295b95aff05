"""Envoy addresses: sockets, pipes and internal listeners."""

from __future__ import annotations

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
        return self.ip or (inner.endpoint_id.rpartition(":")[0].strip("[]") if inner else "")

    @property
    def port(self) -> int:
        return self.socket_address.port_value if self.socket_address else 0
