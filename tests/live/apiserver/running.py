"""Servers on event loops of their own threads, so that kubectl and asyncio tests can use them alike."""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tests.live.apiserver.objects import Objects
from tests.live.apiserver.server import ApiServer
from tests.live.certificates import authority


def tls_context() -> ssl.SSLContext:
    """Server TLS with the test CA."""
    pair = authority().issue("api", "127.0.0.1", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.certificate + pair.key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


@contextlib.contextmanager
def running_api_server(objects: Objects | None = None, *, tls: bool = True) -> Iterator[ApiServer]:
    """Start a server on loopback, on a thread of its own; everything is closed at the end."""
    server = ApiServer(objects)
    server.tls = tls
    with running_loop() as call:
        listening = call(lambda: asyncio.start_server(
            server.connection, "127.0.0.1", 0, ssl=tls_context() if tls else None, backlog=2048, limit=1 << 20
        ))  # fmt: skip
        server.port = listening.sockets[0].getsockname()[1]
        try:
            yield server
        finally:
            server.stopping = True
            call(lambda: close_server(listening))


@contextlib.contextmanager
def running_loop() -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """An event loop on a thread; gives a function that runs a coroutine function there and waits for its result."""
    selector = selectors.DefaultSelector()
    loop = asyncio.SelectorEventLoop(selector)
    own = _descriptors(selector)  # the loop wakes itself through it
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def finish() -> None:
        quiet = 0
        for _ in range(100):
            await asyncio.sleep(0.01)
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # Without a task: in a TLS handshake, waiting for the other side's close_notify, or with bytes left to send.
            connections = _descriptors(selector) - own
            for connection in connections:
                _cut(connection)
            # A connection that was accepted in the same moment begins its task later.
            quiet = 0 if tasks or connections else quiet + 1
            if quiet > 3:
                return

    try:
        yield lambda make: asyncio.run_coroutine_threadsafe(_run(make), loop).result(30)
    finally:
        asyncio.run_coroutine_threadsafe(finish(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _descriptors(selector: selectors.BaseSelector) -> set[int]:
    return {key.fd for key in selector.get_map().values()}


def _cut(descriptor: int) -> None:
    """End both directions of a socket, so that its transport sees the end and closes it."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.shutdown(socket.SHUT_RDWR)


async def close_server(server: asyncio.Server) -> None:
    """Stop listening; to be run on the server's own loop."""
    server.close()


async def _run(make: Callable[[], Any]) -> Any:
    return await make()
