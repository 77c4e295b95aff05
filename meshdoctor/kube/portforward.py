"""`pods/portforward` as a network backend of httpcore: one websocket is one TCP connection inside the pod.

The v4.channel.k8s.io framing (verified on Kubernetes 1.34 with containerd): byte 0 is the channel, port i uses 2i for
data and 2i+1 for errors; the first message of each channel is the port (little endian); text on the error channel
means failure, and arrives after a successful upgrade. The end is a close frame. There is no half-close: closing aborts
what is under way, so completeness must come from HTTP (Content-Length, chunks). No port is opened on this machine.
"""

from __future__ import annotations

import ssl
import struct
from collections.abc import Iterable
from typing import Any

import anyio
import httpcore
import httpx

from meshdoctor.kube.errors import ClusterError, PodError
from meshdoctor.kube.websocket import WebSocket, open_websocket
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.text import visible_line

PROTOCOL = "v4.channel.k8s.io"
_HOST_END = "pod"
_CHUNK = 32768


class PortForwardFailed(httpcore.ConnectError):
    """The pod's port cannot be reached; *reason* says why in words for a user."""

    def __init__(self, reason: ClusterError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def pod_host(pod: PodRef) -> str:
    """The host name that stands for *pod* in URLs of the pod transport."""
    return f"{pod.name}.{pod.namespace}.{_HOST_END}"


class PodStream(httpcore.AsyncNetworkStream):
    """The bytes of one forwarded connection."""

    def __init__(self, websocket: WebSocket, pod: PodRef, port: int) -> None:
        self._websocket = websocket
        self._pod = pod
        self._port = port
        self._left = b""
        self._opened: set[int] = set()
        self._ended = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """The next bytes, b"" at the end. Raises PortForwardFailed, httpcore.ReadError for a cut, ReadTimeout."""
        if not self._left and not self._ended:
            try:
                with anyio.fail_after(timeout):
                    self._left = await self._next()
            except TimeoutError:
                raise httpcore.ReadTimeout(f"no data from {self._pod} in {timeout:g} s") from None
        data, self._left = self._left[:max_bytes], self._left[max_bytes:]
        return data

    async def _next(self) -> bytes:
        while True:
            message = await self._websocket.receive()
            if message is None:
                self._ended = True
                if not self._websocket.closed:
                    raise httpcore.ReadError(f"the port-forward to {self._pod} was cut")
                return b""
            if not message:
                continue
            channel, payload = message[0], message[1:]
            if channel not in self._opened:
                self._opened.add(channel)
                if len(payload) != 2 or struct.unpack("<H", payload)[0] != self._port:
                    raise httpcore.RemoteProtocolError(f"port-forward to {self._pod} began without its port")
            elif channel == 1:
                raise PortForwardFailed(_pod_error(self._pod, self._port, payload))
            elif channel == 0 and payload:
                return payload

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send *buffer* in messages of at most 32 KiB."""
        for start in range(0, len(buffer), _CHUNK):
            await self._websocket.send(b"\x00" + buffer[start : start + _CHUNK], timeout)

    async def aclose(self) -> None:
        """Close the websocket, and with it the connection in the pod."""
        await self._websocket.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Admin ports speak plain HTTP."""
        raise httpcore.UnsupportedProtocol("a pod's admin port is read without TLS")

    def get_extra_info(self, info: str) -> Any:
        """`is_readable` lets the pool drop a kept connection that has ended."""
        if info == "is_readable":
            return bool(self._left) or self._ended or self._websocket.readable
        return None


def _pod_error(pod: PodRef, port: int, payload: bytes) -> PodError:
    text = visible_line(payload.decode("utf-8", "replace"))[:300]
    if "connection refused" in text:
        return PodError(
            f"{pod}: nothing listens on port {port}", "the proxy is starting, ended, or uses another admin port"
        )
    return PodError(
        f"{pod}: port {port} cannot be reached ({text})", "the pod or its node may be gone; list the pods again"
    )


class PodBackend(httpcore.AsyncNetworkBackend):
    """Connects `<pod>.<namespace>.pod` by a port-forward; *http* is a client without a limit on connections."""

    def __init__(self, http: httpx.AsyncClient, connect_timeout: float) -> None:
        self._http = http
        self._timeout = httpx.Timeout(connect_timeout, pool=None)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """One websocket. Raises PortForwardFailed, httpcore.ConnectTimeout."""
        name, namespace, _ = host.rsplit(".", 2)
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/portforward"
        try:
            with anyio.fail_after(timeout):
                websocket = await open_websocket(self._http, path, [("ports", str(port))], [PROTOCOL], self._timeout)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"no port-forward to {namespace}/{name} in {timeout:g} s") from None
        except ClusterError as error:
            raise PortForwardFailed(error) from error
        return PodStream(websocket, PodRef(namespace, name), port)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Not for pods."""
        raise httpcore.UnsupportedProtocol("a pod has no unix socket")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)
