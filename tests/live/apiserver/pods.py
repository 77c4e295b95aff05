"""Subresources of pods over a websocket: port-forward (v4 channels, and SPDY tunnelled as kubectl does) and exec."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Callable

from tests.live.apiserver import spdy
from tests.live.apiserver.websocket import ServerSocket, frame

TUNNEL = "SPDY/3.1+portforward.k8s.io"
Dial = Callable[[int], "tuple[str, int]"]
"""From a pod's port to the address on loopback that stands for it; raises LookupError when nothing listens."""


async def forward_v4(socket: ServerSocket, port: int, dial: Dial, cut_after: int | None) -> None:
    """One connection in v4.channel.k8s.io framing; *cut_after* bytes from the pod the caller drops the connection."""
    announced = struct.pack("<H", port)
    await socket.send(b"\x00" + announced)
    await socket.send(b"\x01" + announced)
    try:
        reader, writer = await asyncio.open_connection(*dial(port))
    except (OSError, LookupError):
        text = f"failed to connect to localhost:{port} inside namespace: dial tcp4 :{port}: connect: connection refused"
        await socket.send(b"\x01" + text.encode())
        await socket.close()
        return
    sent = 0

    async def from_pod() -> bool:
        nonlocal sent
        while data := await reader.read(32768):
            if cut_after is not None and sent + len(data) > cut_after:
                await socket.send(b"\x00" + data[: cut_after - sent])
                return False
            sent += len(data)
            await socket.send(b"\x00" + data)
        await socket.close()
        return True

    async def from_client() -> bool:
        while (message := await socket.receive()) is not None:
            if message[:1] == b"\x00":
                writer.write(message[1:])
                await writer.drain()
        return True

    try:
        await _first_of(from_pod(), from_client())
    finally:
        writer.transport.abort()  # nobody reads the rest any more, and a loop that ends does not wait for it


async def forward_canned(socket: ServerSocket, port: int, answer: bytes) -> None:
    """As `forward_v4` to a pod that gives *answer* to whatever it is asked, framed beforehand: as fast as a server in
    Go.
    """
    announced = struct.pack("<H", port)
    frames = frame(b"\x00" + announced) + frame(b"\x01" + announced)
    await socket.send_frames(frames)
    frames = b"".join(frame(b"\x00" + answer[start : start + 32768]) for start in range(0, len(answer), 32768))
    while await socket.receive() is not None:
        await socket.send_frames(frames)


async def _first_of(*work: object) -> None:
    tasks = [asyncio.ensure_future(each) for each in work]  # type: ignore[call-overload]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def forward_spdy(socket: ServerSocket, dial: Dial) -> None:
    """kubectl's own port-forward: SPDY streams in pairs (error, data) for each local connection."""
    framer = spdy.Framer()
    inboxes: dict[int, asyncio.Queue[bytes | None]] = {}
    error_streams: dict[str, int] = {}
    lock = asyncio.Lock()
    tasks: set[asyncio.Task[None]] = set()

    async def send(data: bytes) -> None:
        async with lock:
            await socket.send(data)

    async def serve(stream: int, error_stream: int, port: int) -> None:
        try:
            reader, writer = await asyncio.open_connection(*dial(port))
        except (OSError, LookupError) as error:
            await send(framer.data(error_stream, f"connection refused: {error}".encode(), final=True))
            return

        async def to_pod() -> None:
            while (data := await inboxes[stream].get()) is not None:
                writer.write(data)
                await writer.drain()
            with contextlib.suppress(OSError):
                writer.write_eof()

        sender = asyncio.ensure_future(to_pod())
        try:
            while data := await reader.read(16384):
                await send(framer.data(stream, data))
            await send(framer.data(stream, b"", final=True) + framer.data(error_stream, b"", final=True))
        finally:
            sender.cancel()
            writer.close()

    try:
        while (message := await socket.receive()) is not None:
            for frame in framer.feed(message):
                if frame.kind == spdy.SYN_STREAM:
                    headers = framer.headers(frame)
                    await send(framer.reply(frame.stream))
                    if headers.get("streamtype") == "error":
                        error_streams[headers["requestid"]] = frame.stream
                    else:
                        inboxes[frame.stream] = asyncio.Queue()
                        errors = error_streams[headers["requestid"]]
                        task = asyncio.ensure_future(serve(frame.stream, errors, int(headers["port"])))
                        tasks.add(task)
                        task.add_done_callback(tasks.discard)
                elif frame.kind == 0 and frame.stream in inboxes:
                    if frame.data:
                        inboxes[frame.stream].put_nowait(frame.data)
                    if frame.flags & spdy.FIN:
                        inboxes[frame.stream].put_nowait(None)
                elif frame.kind == spdy.PING:
                    await send(framer.pong(frame))
                elif frame.kind == spdy.GOAWAY:
                    return
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# The port that each program asks (pilot/cmd/pilot-agent/app/request.go, pilot/cmd/pilot-discovery/app/request.go).
REQUESTS: dict[tuple[str, ...], int] = {
    ("pilot-agent", "request", "GET"): 15000,
    ("pilot-discovery", "request", "GET"): 15014,
}


async def run_command(socket: ServerSocket, command: list[str], dial: Dial, cut_after: int | None) -> None:
    """`… request GET PATH` against the pod's admin port as pilot/pkg/request does it; anything else is not found."""
    for channel in (1, 2, 3):
        await socket.send(bytes((channel,)))
    port = REQUESTS.get((command[0], *command[1:3])) if len(command) == 4 else None
    if port is None:
        await socket.send(b"\x02" + f"exec: {command[0]!r}: executable file not found\n".encode())
        await socket.send(b"\x03" + json.dumps(_exit_status(127)).encode())
        await socket.close()
        return
    try:
        status, body = await _http_get(dial, port, f"/{command[3].removeprefix('/')}")
    except (OSError, LookupError) as error:
        status, body = 0, f"Error: {error}".encode()
    if status > 399 and status != 404:
        body = f"Error: received unsuccessful status code {status}: ".encode() + body
    if status == 0 or (status > 399 and status != 404):
        await socket.send(b"\x02" + body + b"\n")
        await socket.send(b"\x03" + json.dumps(_exit_status(1)).encode())
        await socket.close()
        return
    # As Kubernetes' v5 with a slow reader: the rest is lost and the status still says Success.
    body = (body + b"\n")[:cut_after]
    for start in range(0, len(body), 32000):
        await socket.send(b"\x01" + body[start : start + 32000])
    await socket.send(b'\x03{"metadata":{},"status":"Success"}')
    await socket.close()


def _exit_status(code: int) -> dict[str, object]:
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


async def _http_get(dial: Dial, port: int, target: str) -> tuple[int, bytes]:
    """Status and body of one GET."""
    reader, writer = await asyncio.open_connection(*dial(port))
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head.split(b" ", 2)[1])
        if b"transfer-encoding: chunked" not in head:
            return status, await reader.readexactly(int(head.partition(b"content-length:")[2].split()[0]))
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        return status, body
    finally:
        writer.close()
