"""An httpx transport over httpcore's public connection pool, so that the network below it can be chosen.

httpx's own transport takes neither a network backend (a SOCKS proxy, a pod's port) nor a way to forget its
connections (a new client certificate), hence this one.
"""

from __future__ import annotations

import importlib.util
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import cast
from urllib.parse import unquote, urlsplit

import httpcore
import httpx

# httpcore 1.0 tries `import sniffio` for every lock that it makes. anyio no longer brings that package, and a failing
# import searches the whole path: 40 % of the time of a thousand short reads. None is Python's own way to say "absent".
if importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]

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
    def __init__(self, response: httpcore.Response, own: httpcore.AsyncConnectionPool | None = None) -> None:
        self._response = response
        self._own = own

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with httpx_errors():
            async for chunk in self._response.aiter_stream():
                yield chunk

    async def aclose(self) -> None:
        with httpx_errors():
            await self._response.aclose()
            if self._own is not None:
                await self._own.aclose()


async def _send(
    pool: httpcore.AsyncConnectionPool, request: httpx.Request, own: httpcore.AsyncConnectionPool | None = None
) -> httpx.Response:
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
    body = _Body(response, own)
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
            return await _send(pool, request, pool)
        except BaseException:
            await pool.aclose()
            raise


class PoolTransport(httpx.AsyncBaseTransport):
    """Sends each request through a connection pool made by *pool*."""

    def __init__(self, pool: Callable[[], httpcore.AsyncConnectionPool]) -> None:
        self._make = pool
        self._pool = pool()
        self._retired: list[httpcore.AsyncConnectionPool] = []

    def forget_connections(self) -> None:
        """Let the next request open a connection of its own; those in use live on until they end."""
        self._retired.append(self._pool)
        self._pool = self._make()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """httpx's hook: one request. Raises httpx.TransportError."""
        return await _send(self._pool, request)

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in (*self._retired, self._pool):
            await pool.aclose()


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
    backend: httpcore.AsyncNetworkBackend | None = None
    if proxy_url:
        url = urlsplit(proxy_url)
        if url.scheme == "socks5":
            from meshdoctor.kube.socks import SocksBackend

            backend = SocksBackend(proxy_url, httpcore.AnyIOBackend())
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
