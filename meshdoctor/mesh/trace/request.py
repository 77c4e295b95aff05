"""The question of a trace: one connection, and the request that its client sends on it."""

from __future__ import annotations

import msgspec


class ClientHello(msgspec.Struct, frozen=True):
    """What the client offers in its TLS handshake; *certificate*: whether it sends a client certificate."""

    sni: str = ""
    alpn: tuple[str, ...] = ()
    certificate: bool = False


class Request(msgspec.Struct, frozen=True):
    """One request as its bytes arrive at an Envoy.

    *direction* is where Envoy meets it: `outbound` (an application behind a sidecar calls out), `inbound` (a peer calls
    the pod, port 15006) or `gateway` (no redirection: the destination is the listener's own address). *version* is the
    HTTP version on the wire (`1.1`, `2`, …) or "" for bytes that are not HTTP; *payload* replaces everything HTTP by
    raw bytes. Text is the wire's bytes as Latin-1 (see `wire`). *identity* is the SPIFFE name of the
    client's certificate: "" without one, None when it is not known. *at* is the Unix time of the request, by which
    tokens are judged.
    """

    direction: str
    ip: str
    port: int
    source_ip: str = ""
    source_port: int = 0
    tls: ClientHello | None = None
    version: str = "1.1"
    method: str = "GET"
    authority: str | None = None
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    payload: bytes | None = None
    identity: str | None = ""
    at: float | None = None

    @property
    def destination(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    @property
    def redirected(self) -> bool:
        """Whether iptables brought the connection here, so that Envoy knows the dialled address."""
        return self.direction != "gateway"


def wire(text: str) -> str:
    """*text* as the bytes of its UTF-8 form, one character a byte: what Envoy compares."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("latin-1")
