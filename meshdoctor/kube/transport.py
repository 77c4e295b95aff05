"""An httpx transport over httpcore's public connection pool, so that the network below it can be chosen.

httpx's own transport takes neither a network backend (a SOCKS proxy, a pod's port) nor a way to forget its
connections (a new client certificate), hence this one.
"""

from __future__ import annotations

import importlib.util
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import anyio
import httpcore
import httpx

# httpcore 1.0 tries `import sniffio` for every lock that it makes. anyio no longer brings that package, and a failing
# import searches the whole path: 40 % of the time of a thousand short reads. None is Python's own way to say "absent".
if importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]

Closed = Callable[[], Awaitable[None]]
"""What is done once an answer was read or given up."""

# Most specific first: the first class that matches is raised.
_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.ProxyError, httpx.ProxyError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
)


@contextmanager
def httpx_errors() -> Iterator[None]:
    """Raise httpcore's errors as httpx's of the same name."""
    try:
        yield
    except tuple(ours for ours, _ in _ERRORS) as error:
        for ours, theirs in _ERRORS:
            if isinstance(error, ours):
                raise theirs(str(error)) from error
        raise
    except ssl.SSLError as error:
        # With TLS 1.3 a server refuses a client's certificate after the handshake, which httpcore does not expect.
        raise httpx.ReadError(str(error)) from error


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response, closed: Closed) -> None:
        self._response = response
        self._closed = closed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with httpx_errors():
            async for chunk in self._response.aiter_stream():
                yield chunk

    async def aclose(self) -> None:
        with httpx_errors():
            try:
                await self._response.aclose()
            finally:
                await self._closed()


async def _send(pool: httpcore.AsyncConnectionPool, request: httpx.Request, closed: Closed) -> httpx.Response:
    url = request.url
    with httpx_errors():
        response = await pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=cast(httpx.AsyncByteStream, request.stream),
                extensions=request.extensions,
            )
        )
    body = _Body(response, closed)
    return httpx.Response(response.status, headers=response.headers, stream=body, extensions=dict(response.extensions))


class FreshTransport(httpx.AsyncBaseTransport):
    """Opens a connection for each request and closes it with the response: for upgrades, which use one up anyway.

    A shared pool looks at every connection it has for every request, which hundreds of websockets make slow.
    """

    def __init__(self, pool: Callable[[], httpcore.AsyncConnectionPool]) -> None:
        self._make = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """httpx's hook: one request. Raises httpx.TransportError."""
        pool = self._make()
        try:
            return await _send(pool, request, pool.aclose)
        except BaseException:
            await pool.aclose()
            raise


class PoolTransport(httpx.AsyncBaseTransport):
    """Sends each request through a connection pool made by *pool*."""

    def __init__(self, pool: Callable[[], httpcore.AsyncConnectionPool]) -> None:
        self._make = pool
        self._pool = pool()
        self._retired: list[httpcore.AsyncConnectionPool] = []
        self._busy: Counter[httpcore.AsyncConnectionPool] = Counter()
        """Requests that are under way, by pool."""

    def forget_connections(self) -> None:
        """Let the next request open a connection of its own; those in use live on until they end."""
        self._retired.append(self._pool)
        self._pool = self._make()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """httpx's hook: one request. Raises httpx.TransportError."""
        pool = self._pool
        self._busy[pool] += 1

        async def closed() -> None:
            self._busy[pool] -= 1
            await self._close_retired()

        try:
            await self._close_retired()
            return await _send(pool, request, closed)
        except BaseException:
            await closed()
            raise

    async def _close_retired(self) -> None:
        """A credential that is renewed every hour would leave connections open for ever."""
        idle = [pool for pool in self._retired if not self._busy[pool]]
        for pool in idle:
            self._retired.remove(pool)
            del self._busy[pool]
            await pool.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in (*self._retired, self._pool):
            await pool.aclose()


class _Stream(httpcore.AsyncNetworkStream):
    """A connection before TLS."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._inner.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            # httpcore 1.0 closes it after an Exception only: who is cancelled in a handshake would leave it open.
            with anyio.CancelScope(shield=True):
                await self._inner.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class Network(httpcore.AnyIOBackend):
    """Connections that are closed however their TLS handshake ends."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """One connection. Raises httpcore.ConnectError, httpcore.ConnectTimeout."""
        return _Stream(await super().connect_tcp(host, port, timeout, local_address, socket_options))


def connection_pool(
    *,
    context: ssl.SSLContext | None,
    proxy_url: str = "",
    most: int | None = None,
    keep: int | None = None,
    keep_for: float = 30.0,
) -> httpcore.AsyncConnectionPool:
    """A pool of HTTP/1.1 connections, direct or through an http(s) or socks5 proxy.

    HTTP/1.1 only: a websocket upgrade needs it, and HTTP/2 has one connection for everything.
    """
    proxy: httpcore.Proxy | None = None
    backend: httpcore.AsyncNetworkBackend = Network()
    if proxy_url:
        url = urlsplit(proxy_url)
        if url.scheme == "socks5":
            from meshdoctor.kube.socks import SocksBackend

            backend = SocksBackend(proxy_url, backend)
        else:
            proxy = _http_proxy(proxy_url, context)
    return httpcore.AsyncConnectionPool(
        ssl_context=context,
        proxy=proxy,
        max_connections=most,
        max_keepalive_connections=keep,
        keepalive_expiry=keep_for,
        network_backend=backend,
    )


def _http_proxy(proxy_url: str, context: ssl.SSLContext | None) -> httpcore.Proxy:
    url = urlsplit(proxy_url)
    login = None
    if url.username is not None:
        login = (unquote(url.username), unquote(url.password or ""))
    host = f"[{url.hostname}]" if url.hostname and ":" in url.hostname else url.hostname or ""
    port = url.port or (443 if url.scheme == "https" else 80)
    # Go's transport has one TLS configuration: the cluster's CA, name and client certificate are the proxy's as well.
    trust = (context or ssl.create_default_context()) if url.scheme == "https" else None
    return httpcore.Proxy(f"{url.scheme}://{host}:{port}", auth=login, ssl_context=trust)
