"""TCP servers that stand for a proxy's admin port: a recorded one, and ones that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from tests.live.apiserver.running import close_server, running_loop
from tests.live.apiserver.server import Address

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.contextmanager
def running_pod_servers(*serves: Serve) -> Iterator[list[Address]]:
    """One TCP server for each function, on loopback."""
    with running_loop() as call:
        servers = [call(partial(asyncio.start_server, _guarded(serve), "127.0.0.1", 0)) for serve in serves]
        yield [server.sockets[0].getsockname() for server in servers]
        for server in servers:
            call(partial(close_server, server))


def _guarded(serve: Serve) -> Serve:
    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client left
        except asyncio.CancelledError:
            writer.transport.abort()  # the server ends: what is left to send would keep the connection open
        finally:
            writer.close()

    return guarded


def answering(bodies: dict[str, bytes] | Callable[[str], bytes | None], status: str = "200 OK") -> Serve:
    """Answers GETs by path (the query is ignored when the whole target is not found)."""
    look = bodies.get if isinstance(bodies, dict) else bodies

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode()
            body = look(target)
            if body is None:
                body = look(target.partition("?")[0])
            answer = status if body is not None else "404 Not Found"
            body = body if body is not None else b"no such path"
            writer.write(f"HTTP/1.1 {answer}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()

    return serve


async def hanging(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts and never says a word."""
    await reader.read(1 << 20)
    while await reader.read(1 << 16):
        pass


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One byte a second, for ever."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while True:
        writer.write(b"{")
        await writer.drain()
        await asyncio.sleep(1)


def streaming(size: int) -> Serve:
    """A JSON string of *size* bytes, in chunks, as Envoy streams a dump."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n"\r\n')
            chunk = b"x" * (1 << 20)
            left = size - 2
            while left:
                part = chunk[:left]
                writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                await writer.drain()
                left -= len(part)
            writer.write(b'1\r\n"\r\n0\r\n\r\n')
            await writer.drain()

    return serve
