"""A target as two httpx clients: one for lists and logs, one for upgrades (port-forward, exec)."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType

import httpx

from meshdoctor import __version__
from meshdoctor.kube.allowlist import ReadOnly, Rule, exec_allowed, port_forward_allowed, reads_allowed
from meshdoctor.kube.certificate_end import certificate_end
from meshdoctor.kube.credentials import Credentials
from meshdoctor.kube.errors import CredentialError
from meshdoctor.kube.proxies import proxy_for
from meshdoctor.kube.settings import Settings
from meshdoctor.kube.target import Target
from meshdoctor.kube.tls import client_certificate, load_client_certificate, tls_context
from meshdoctor.kube.transport import FreshTransport, PoolTransport, connection_pool


class _Explaining(httpx.AsyncBaseTransport):
    """Says of a connection that failed when *ended* gives the reason: the server may have closed it before its own."""

    def __init__(self, inner: httpx.AsyncBaseTransport, ended: Callable[[], str]) -> None:
        self._inner = inner
        self._ended = ended

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._inner.handle_async_request(request)
        except httpx.TransportError as error:
            if why := self._ended():
                raise CredentialError(why, "log in again") from error
            raise

    async def aclose(self) -> None:
        await self._inner.aclose()


class Connection:
    """The way to one API server; use as `async with`.

    *allow_exec* lets the one allowed exec command out. *terminal*: whether an exec plugin may ask the user.
    """

    def __init__(
        self,
        target: Target,
        settings: Settings | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        allow_exec: bool = False,
        terminal: bool = False,
    ) -> None:
        self.target = target
        self.settings = settings or Settings()
        self._context: ssl.SSLContext | None = None
        self._certificate_end: float | None = None
        environment = os.environ if environment is None else environment
        if target.secure:
            self._context = tls_context(target.cluster)
            pair = client_certificate(target.user)
            if pair is not None:
                load_client_certificate(self._context, *pair)
                self._certificate_end = certificate_end(pair[0])
        self.credentials = Credentials(
            target,
            environment,
            timeout=self.settings.timeouts.exec_plugin,
            terminal=terminal,
            on_certificate=self._new_certificate,
        )
        self.proxy_url = proxy_for(target, environment)
        context, proxy, kept = self._context, self.proxy_url, self.settings.connections
        self._reads = PoolTransport(lambda: connection_pool(context=context, proxy_url=proxy, most=kept, keep=kept))
        # A websocket holds its connection for its life: these must never wait for one another, nor be kept.
        fresh = FreshTransport(lambda: connection_pool(context=context, proxy_url=proxy, keep=0))
        upgrade_rules: tuple[Rule, ...] = (
            (port_forward_allowed, exec_allowed) if allow_exec else (port_forward_allowed,)
        )
        self.reads = self._client(ReadOnly(_Explaining(self._reads, self._ended), target.server, reads_allowed))
        self.upgrades = self._client(ReadOnly(_Explaining(fresh, self._ended), target.server, *upgrade_rules))

    def _client(self, transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
        timeouts = self.settings.timeouts
        headers = {"User-Agent": f"meshdoctor/{__version__}", "Accept": "application/json"}
        if self.target.cluster.disable_compression:
            headers["Accept-Encoding"] = "identity"
        return httpx.AsyncClient(
            base_url=self.target.server,
            auth=self.credentials,
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(timeouts.read, connect=timeouts.connect, write=timeouts.write, pool=None),
            headers=headers,
        )

    def review_transport(self) -> httpx.AsyncBaseTransport:
        """The unguarded way for access reviews alone (`access.py` puts its own guard before it)."""
        return self._reads

    def _ended(self) -> str:
        """Why the client certificate is no good any more, "" while it is."""
        end = self._certificate_end
        if end is None or time.time() < end:
            return ""
        return f"the client certificate ended at {datetime.fromtimestamp(end, UTC):%Y-%m-%d %H:%M:%S} UTC"

    def _new_certificate(self, certificate: bytes, key: bytes) -> None:
        if self._context is not None:
            load_client_certificate(self._context, certificate, key)
            self._certificate_end = certificate_end(certificate)
            self._reads.forget_connections()

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self.reads.aclose()
        await self.upgrades.aclose()
