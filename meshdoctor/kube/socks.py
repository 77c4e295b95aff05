"""SOCKS5 to the API server (`proxy-url: socks5://…`), as a network backend of httpcore (RFC 1928 and 1929)."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore

_REFUSALS = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "command not supported",
    8: "address type not supported",
}


class SocksBackend(httpcore.AsyncNetworkBackend):
    """Opens each connection through one SOCKS5 proxy; names are resolved by the proxy, as Go does."""

    def __init__(self, proxy_url: str, inner: httpcore.AsyncNetworkBackend) -> None:
        url = urlsplit(proxy_url)
        self._host, self._port = url.hostname or "", url.port or 1080
        self._user = unquote(url.username or "").encode()
        self._password = unquote(url.password or "").encode()
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A stream to *host*:*port* as seen from the proxy. Raises httpcore's ConnectError, ProxyError and timeouts."""
        stream = await self._inner.connect_tcp(self._host, self._port, timeout, local_address, socket_options)
        try:
            await self._negotiate(stream, host, port, timeout)
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Not for SOCKS."""
        raise httpcore.UnsupportedProtocol("a SOCKS proxy cannot reach a unix socket")

    async def sleep(self, seconds: float) -> None:
        """As the inner backend."""
        await self._inner.sleep(seconds)

    async def _negotiate(
        self, stream: httpcore.AsyncNetworkStream, host: str, port: int, timeout: float | None
    ) -> None:
        methods = b"\x00\x02" if self._user else b"\x00"
        await stream.write(bytes((5, len(methods))) + methods, timeout)
        version, method = await _exactly(stream, 2, timeout)
        if version != 5 or method == 0xFF:
            raise httpcore.ProxyError("the SOCKS proxy accepts none of the offered ways to log in")
        if method == 2:
            login = bytes((1, len(self._user))) + self._user + bytes((len(self._password),)) + self._password
            await stream.write(login, timeout)
            if (await _exactly(stream, 2, timeout))[1] != 0:
                raise httpcore.ProxyError("the SOCKS proxy refused the user name or password of proxy-url")
        await stream.write(b"\x05\x01\x00" + _address(host) + struct.pack(">H", port), timeout)
        _, reply, _, kind = await _exactly(stream, 4, timeout)
        if reply:
            raise httpcore.ProxyError(f"the SOCKS proxy answered: {_REFUSALS.get(reply, f'error {reply}')}")
        length = {1: 4, 4: 16}.get(kind) or (await _exactly(stream, 1, timeout))[0]
        await _exactly(stream, length + 2, timeout)


def _address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode("idna")
        return bytes((3, len(name))) + name
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


async def _exactly(stream: httpcore.AsyncNetworkStream, size: int, timeout: float | None) -> bytes:
    got = b""
    while len(got) < size:
        more = await stream.read(size - len(got), timeout)
        if not more:
            raise httpcore.ProxyError("the SOCKS proxy closed the connection")
        got += more
    return got
