"""What a person asks: who calls what, and how."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from meshdoctor.mesh.trace.request import ClientHello, Request, wire


class TraceQuestion(msgspec.Struct, frozen=True):
    """A request in a person's words; *host* is dialled, and is the Host header too unless *authority* is set.

    *tls*: the application itself speaks TLS (SNI *sni*, else the host). *version* is 1.0, 1.1, 2, or "" for plain TCP.
    """

    namespace: str
    client: str
    host: str
    port: int = 0
    path: str = "/"
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    authority: str = ""
    tls: bool = False
    sni: str = ""
    alpn: tuple[str, ...] = ()
    version: str = "1.1"

    @property
    def dialled(self) -> int:
        """The port: as asked, else the default of http or https."""
        return self.port or (443 if self.tls else 80)

    @property
    def host_header(self) -> str:
        """What the client sends as Host: the port only where it is not the scheme's own."""
        if self.authority:
            return self.authority
        own = 443 if self.tls else 80
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.dialled == own else f"{host}:{self.dialled}"

    def request(self, direction: str, ip: str, port: int, source_ip: str, at: float | None) -> Request:
        """The request as its bytes reach an Envoy at *ip*:*port*."""
        hello = None
        if self.tls:
            sni = self.sni or ("" if self.host.replace(".", "").isdigit() or ":" in self.host else self.host)
            alpn = self.alpn or (("h2",) if self.version == "2" else ("http/1.1",) if self.version else ())
            hello = ClientHello(sni.lower(), alpn)
        return Request(
            direction=direction,
            ip=ip,
            port=port,
            source_ip=source_ip,
            tls=hello,
            version=self.version,
            method=self.method,
            authority=wire(self.host_header),
            path=wire(self.path) or "/",
            headers=tuple((wire(name), wire(value)) for name, value in self.headers),
            identity="",
            at=at,
        )


class Target(NamedTuple):
    """A target in parts; *port* 0 when none was written, *scheme* in lower case."""

    host: str
    port: int
    path: str
    scheme: str = ""

    @property
    def tls(self) -> bool:
        return self.scheme in ("https", "tls")


def parse_target(text: str) -> Target:
    """`[scheme://]host[:port][/path]`, an IPv6 address in brackets; raises `ValueError` with one line."""
    scheme, separator, rest = text.partition("://")
    if not separator or not scheme.isalnum():  # `cart/login?next=https://web` has none
        scheme, rest = "", text
    cut = min((place for place in (rest.find("/"), rest.find("?")) if place >= 0), default=len(rest))
    address, path = rest[:cut], rest[cut:]
    if address.startswith("["):
        host, _, tail = address[1:].partition("]")
        number = tail.removeprefix(":")
    elif address.count(":") > 1:
        host, number = address, ""
    else:
        host, _, number = address.partition(":")
    if not host or (number and not (number.isascii() and number.isdigit() and 0 < int(number) < 65536)):
        raise ValueError(f"{text!r} is no target")
    return Target(host, int(number or 0), path if path.startswith("/") else "/" + path, scheme.lower())


def parse_words(text: str) -> TraceQuestion:
    """`CLIENT TARGET [METHOD] [NAME:VALUE ...]` as one line, the client with or without its namespace.

    Raises `ValueError` with one line.
    """
    client, target, *rest = [*text.split(), "", ""][: max(2, len(text.split()))]
    namespace, slash, name = client.rpartition("/")
    if not name or (slash and not namespace):
        raise ValueError(f"{client!r} names no client")
    found = parse_target(target)
    method, headers = "GET", []
    for word in rest:
        header, colon, value = word.partition(":")
        if colon and header:
            headers.append((header.lower(), value))
        elif word.isalpha():
            method = word.upper()
        else:
            raise ValueError(f"{word!r} is no method and no header NAME:VALUE")
    return TraceQuestion(namespace, name, found.host, found.port, found.path, method, tuple(headers), tls=found.tls)
