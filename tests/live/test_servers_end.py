"""The servers that tests start leave no connection behind, whatever the other side does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from functools import partial

import pytest

from tests.live.apiserver.running import close_server, running_loop, tls_context
from tests.live.certificates import authority


@pytest.mark.parametrize("client", ["never greets", "never answers close_notify", "reads nothing"])
def test_a_connection_ends_with_its_server(client: str) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if client == "reads nothing":
            writer.write(b"x" * 20_000_000)
        writer.close()

    with contextlib.ExitStack() as opened:
        with running_loop() as call:
            server = call(partial(asyncio.start_server, serve, "127.0.0.1", 0, ssl=tls_context()))
            connection = socket.create_connection(server.sockets[0].getsockname(), timeout=20)
            beneath = opened.enter_context(connection.dup())  # an end of TLS is not yet the end of the connection
            opened.enter_context(connection)
            if client != "never greets":
                trusted = ssl.create_default_context(cadata=authority().pem.decode())
                opened.enter_context(trusted.wrap_socket(connection, server_hostname="localhost"))
            time.sleep(0.1)  # the server has closed, and waits
            call(partial(close_server, server))
        assert _ends(beneath)


def _ends(connection: socket.socket) -> bool:
    """Whether the other side has closed; times out where it has not."""
    try:
        while connection.recv(1 << 20):
            pass
    except ConnectionError:
        return True
    return True
