"""Which listener takes a connection: by original destination behind iptables, else by its own address."""

from __future__ import annotations

from collections.abc import Iterable

from meshdoctor.model.envoy.listener import Listener

VIRTUAL_OUTBOUND, VIRTUAL_INBOUND = 15001, 15006
WILDCARDS = ("0.0.0.0", "::")


class Listeners:
    """Listeners by address. Envoy looks for the exact address, then for the wildcard of the same port.

    Source: ConnectionHandlerImpl::getBalancedHandlerByAddress (Envoy 1.40); the listener that hands over
    (`use_original_dst`) serves what no other takes.
    """

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self.by_address: dict[tuple[str, int], Listener] = {}
        self.catch: dict[str, Listener] = {}
        """The listeners that iptables redirects to, `outbound` and `inbound`."""
        for listener in listeners:
            for address in (listener.address, *(extra.address for extra in listener.additional_addresses)):
                if address.port:
                    self.by_address.setdefault((address.ip, address.port), listener)
            port = listener.address.port
            if listener.name == "virtualOutbound" or (port == VIRTUAL_OUTBOUND and listener.use_original_dst):
                self.catch.setdefault("outbound", listener)
            elif listener.name == "virtualInbound" or (
                port == VIRTUAL_INBOUND and listener.traffic_direction == "INBOUND"
            ):
                self.catch.setdefault("inbound", listener)

    def choose(self, direction: str, ip: str, port: int) -> Listener | None:
        """The listener for a connection to *ip*:*port*; None when nothing listens there."""
        if direction == "inbound":
            return self.catch.get("inbound")
        found = self.exact(ip, port)
        if found is None and direction == "outbound":
            found = self.catch.get("outbound")
        return found

    def exact(self, ip: str, port: int) -> Listener | None:
        """The listener of that address, or of every address with that port."""
        found = self.by_address.get((ip, port))
        for wildcard in WILDCARDS if ":" not in ip else reversed(WILDCARDS):
            if found is None:
                found = self.by_address.get((wildcard, port))
        return found
