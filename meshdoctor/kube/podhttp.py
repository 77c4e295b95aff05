"""HTTP GET of a pod's admin port through port-forward: Envoy, ztunnel, istiod, the agent.

Port-forward itself could reach what changes a proxy (`POST /quitquitquit`), so this is where "read-only" is kept: GET,
and only the paths of `allowlist.pod_path_allowed`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpcore
import httpx

from meshdoctor.kube.allowlist import check_shape, pod_path_allowed
from meshdoctor.kube.connection import Connection
from meshdoctor.kube.errors import SLOW, ClusterError, PathRefused, PodError, Unreachable
from meshdoctor.kube.portforward import PodBackend, PortForwardFailed, pod_host
from meshdoctor.kube.retry import with_retries
from meshdoctor.kube.settings import Retry
from meshdoctor.kube.transport import PoolTransport
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.text import visible_line

PORTS = {"envoy": 15000, "ztunnel": 15000, "istiod": 15014, "agent": 15020}
_LIMIT = 512 << 20
# Load balancers cut idle streams after a minute or more; ten seconds spans the requests of one visit to a pod.
_KEEP_FOR = 10.0
# Only opening is tried again, once: a dump that timed out may still be running on the proxy's main thread.
_OPEN_RETRY = Retry(attempts=2, base=1.0, cap=2.0)


class _GetOnly(httpx.AsyncBaseTransport):
    """Lets GETs of known admin paths through; the request's extension `pod_role` says which list applies."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        role = request.extensions.get("pod_role", "")
        target = request.url.raw_path.decode("ascii", "replace")
        check_shape(request)
        if request.method != "GET" or role not in PORTS or not pod_path_allowed(role, target):
            raise PathRefused(f"{request.method} {target[:200]} is not read from a pod", "this program only reads")
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class PodHttp:
    """GETs on pods' ports. Use `get` for one, `visit` for several on the same pod over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._backend = PodBackend(connection.upgrades, connection.settings.timeouts.connect)

    @asynccontextmanager
    async def visit(self, pod: PodRef) -> AsyncIterator[PodVisit]:
        """A pod for a few requests, one after another; the connection lives until the end of the block."""
        transport = PoolTransport(
            lambda: httpcore.AsyncConnectionPool(
                network_backend=self._backend, max_connections=1, keepalive_expiry=_KEEP_FOR
            )
        )
        http = httpx.AsyncClient(
            transport=_GetOnly(transport),
            trust_env=False,
            follow_redirects=False,
            verify=False,
            headers={"Accept": "*/*", "Accept-Encoding": "identity"},
        )
        try:
            yield PodVisit(http, pod)
        finally:
            await http.aclose()

    async def get(
        self, pod: PodRef, role: str, target: str, *, deadline: float, port: int | None = None, limit: int = _LIMIT
    ) -> bytes:
        """One GET in a visit of its own; see `PodVisit.get`."""
        async with self.visit(pod) as visit:
            return await visit.get(role, target, deadline=deadline, port=port, limit=limit)


class _Unanswered(PodError):
    """The connection ended before the first byte of an answer."""


class PodVisit:
    """One pod while it is visited."""

    def __init__(self, http: httpx.AsyncClient, pod: PodRef) -> None:
        self._http = http
        self.pod = pod
        self._connected = False
        """Whether a request of this visit was answered, so that the next one may find its connection closed."""

    async def get(
        self,
        role: str,
        target: str,
        *,
        deadline: float,
        port: int | None = None,
        limit: int = _LIMIT,
        statuses: tuple[int, ...] = (200,),
    ) -> bytes:
        """The body of `GET target`, complete; *role* is a key of PORTS and gives the port unless *port* does.

        *deadline*: seconds for everything, the port-forward included (a stuck pod accepts it and never answers).
        Raises PodError (by the pod or its proxy), Unreachable (too slow), ApiError (by the API server), PathRefused.
        """
        what = f"GET {target} of {self.pod}"
        try:
            with anyio.fail_after(deadline):
                return await with_retries(_OPEN_RETRY, lambda: self._get(role, target, port, limit, statuses))
        except TimeoutError:
            raise Unreachable(f"{what}: no complete answer in {deadline:g} s", SLOW) from None

    async def _get(self, role: str, target: str, port: int | None, limit: int, statuses: tuple[int, ...]) -> bytes:
        reused, self._connected = self._connected, False
        try:
            return await self._get_once(role, target, port, limit, statuses)
        except _Unanswered:
            if not reused:
                raise
        # A server may close a connection that rests just when the next request is sent: a GET is sent again on a new
        # one (RFC 9110, 9.2.2).
        return await self._get_once(role, target, port, limit, statuses)

    async def _get_once(self, role: str, target: str, port: int | None, limit: int, statuses: tuple[int, ...]) -> bytes:
        what = f"GET {target} of {self.pod}"
        number = port or PORTS[role]
        request = self._http.build_request(
            "GET",
            f"http://{pod_host(self.pod)}:{number}{target}",
            headers={"Host": f"localhost:{number}"},
            extensions={"pod_role": role},
            timeout=None,
        )
        try:
            response = await self._http.send(request, stream=True)
        except httpx.TransportError as error:
            raise _opening(error, what) from error
        self._connected = True
        try:
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > limit:
                    raise PodError(f"{what}: the answer is larger than {limit} bytes", "ask for a part of it")
        except httpx.TransportError as error:
            raise _reading(error, what, len(body)) from error
        finally:
            await response.aclose()
        if response.status_code not in statuses:
            text = visible_line(bytes(body[:200]).decode("utf-8", "replace"))
            raise PodError(f"{what}: HTTP {response.status_code} ({text})", _after(role, response.status_code))
        return bytes(body)


def _after(role: str, status: int) -> str:
    """What an answer with an error *status* means, by who gave it."""
    if status != 404:
        return f"see the log of the {'proxy' if role in ('envoy', 'agent') else role}"
    if role == "istiod":  # pilot/pkg/xds/debug.go, 1.32: a proxy is known to the istiod that it is connected to
        return "this istiod does not know the path, or is not the one that the proxy is connected to"
    return "the proxy's version may not know this path"


def _forward_reason(error: BaseException) -> ClusterError | None:
    cause = error.__cause__
    return cause.reason if isinstance(cause, PortForwardFailed) else None


def _opening(error: httpx.TransportError, what: str) -> ClusterError:
    reason = _forward_reason(error)
    if reason is not None:
        return reason
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return Unreachable(f"{what}: no port-forward ({visible_line(str(error))[:200]})", "try again")
    kind = _Unanswered if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError) else PodError
    return kind(f"{what}: no answer ({visible_line(str(error))[:200]})", "the proxy may have restarted; try again")


def _reading(error: httpx.TransportError, what: str, got: int) -> ClusterError:
    reason = _forward_reason(error)
    if reason is not None:
        return reason
    return PodError(
        f"{what}: cut after {got} bytes ({visible_line(str(error))[:200]})", "what arrived is not used; try again"
    )
