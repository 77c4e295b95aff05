"""A small RFC 6455 client over httpx's own 101 upgrade: authentication, TLS, proxy, impersonation are the API client's.

Nothing runs in the background: frames are pulled by `receive`, so back-pressure reaches the pod, nothing is buffered.
"""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Sequence

import anyio
import httpcore
import httpx

from meshdoctor.kube.answers import error_of, reachable
from meshdoctor.kube.errors import ApiError, PodError

# The API server and the kubelet never send more than 32 KiB + 1; a larger frame is a fault or an attack.
_MAX_FRAME = 1 << 20
_BINARY, _CLOSE, _PING, _PONG = 2, 8, 9, 10
_CLOSE_SECONDS = 1.0


class WebSocket:
    """One websocket: binary messages out, data messages in."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._stream: httpcore.AsyncNetworkStream = response.extensions["network_stream"]
        self._buffer = bytearray()
        self._write_lock = anyio.Lock()
        self.closed = False
        """The peer ended it with a close frame: what came before is complete."""
        self._broken = False

    @property
    def readable(self) -> bool:
        """Whether something, an end included, can be read now."""
        return bool(self._buffer) or self.closed or self._broken or bool(self._stream.get_extra_info("is_readable"))

    async def receive(self, timeout: float | None = None) -> bytes | None:
        """The next data message; None at the end, after a close frame (`closed`) or a cut connection.

        Raises httpcore.RemoteProtocolError for a malformed frame, and httpcore's read errors.
        """
        parts: list[bytes] = []
        while True:
            frame = await self._frame(timeout)
            if frame is None:
                self._broken = True
                return None
            final, opcode, payload = frame
            if opcode == _PING:
                await self._send_frame(_PONG, payload, timeout)
            elif opcode == _CLOSE:
                self.closed = True
                return None
            elif opcode != _PONG:
                parts.append(payload)
                if sum(map(len, parts)) > _MAX_FRAME:
                    raise httpcore.RemoteProtocolError("a websocket message is larger than 1 MiB")
                if final:
                    return parts[0] if len(parts) == 1 else b"".join(parts)

    async def send(self, data: bytes, timeout: float | None = None) -> None:
        """Send one binary message."""
        await self._send_frame(_BINARY, data, timeout)

    async def aclose(self) -> None:
        """Say goodbye if still possible and close the connection; takes two seconds at most, also when cancelled."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_SECONDS):
            if not (self.closed or self._broken):
                self.closed = True
                try:
                    await self._send_frame(_CLOSE, struct.pack(">H", 1000), _CLOSE_SECONDS)
                except (httpcore.NetworkError, httpcore.TimeoutException):
                    self._broken = True
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_SECONDS):
            await self._response.aclose()

    async def _need(self, size: int, timeout: float | None) -> bool:
        while len(self._buffer) < size:
            data = await self._stream.read(65536, timeout)
            if not data:
                return False
            self._buffer += data
        return True

    async def _frame(self, timeout: float | None) -> tuple[bool, int, bytes] | None:
        if not await self._need(2, timeout):
            return None
        first, second = self._buffer[0], self._buffer[1]
        if second & 0x80:
            raise httpcore.RemoteProtocolError("the server masked a websocket frame")
        size, start = second & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if not await self._need(start, timeout):
                return None
            size = int.from_bytes(self._buffer[2:start], "big")
        if size > _MAX_FRAME:
            raise httpcore.RemoteProtocolError(f"a websocket frame of {size} bytes")
        if not await self._need(start + size, timeout):
            return None
        payload = bytes(memoryview(self._buffer)[start : start + size])
        del self._buffer[: start + size]
        return bool(first & 0x80), first & 0x0F, payload

    async def _send_frame(self, opcode: int, data: bytes, timeout: float | None) -> None:
        mask = os.urandom(4)
        size = len(data)
        if size < 126:
            head = bytes((0x80 | opcode, 0x80 | size))
        elif size < 1 << 16:
            head = struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, size)
        else:
            head = struct.pack(">BBQ", 0x80 | opcode, 0x80 | 127, size)
        async with self._write_lock:
            await self._stream.write(head + mask + _masked(data, mask), timeout)


def _masked(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


async def open_websocket(
    http: httpx.AsyncClient,
    path: str,
    params: Sequence[tuple[str, str]],
    protocols: Sequence[str],
    timeout: httpx.Timeout,
) -> WebSocket:
    """Upgrade a GET of *path*. Raises ApiError by status, Unreachable, PodError when the subprotocol is refused."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Protocol": ", ".join(protocols),
    }
    with reachable(f"GET {path}"):
        request = http.build_request("GET", path, params=list(params), headers=headers, timeout=timeout)
        response = await http.send(request, stream=True)
        if response.status_code == 101:
            return WebSocket(response)
        try:
            body = await response.aread()
        finally:
            await response.aclose()
    raise _refusal(response, body, path, protocols)


def _refusal(response: httpx.Response, body: bytes, path: str, protocols: Sequence[str]) -> ApiError | PodError:
    if response.status_code == 403 and not body:
        # Not RBAC (that has a Status as its body): the kubelet or a proxy in between refused the subprotocol.
        return PodError(
            f"GET {path}: the server does not speak {', '.join(protocols)}",
            "a proxy before the API server may refuse websockets",
        )
    if response.status_code in (200, 400, 426):
        return PodError(
            f"GET {path}: the websocket upgrade was refused (HTTP {response.status_code})",
            "a proxy before the API server may refuse websockets",
        )
    return error_of(response.status_code, response.headers, body, path)
