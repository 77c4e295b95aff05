"""Connections that are forgotten: for a new client certificate, say."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import httpcore
import httpx
import pytest

from meshdoctor.kube.transport import PoolTransport, connection_pool


class Pool:
    """Answers everything, or fails."""

    def __init__(self) -> None:
        self.closed = 0
        self.fails = False

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        if self.fails:
            raise httpcore.ConnectError("no")
        return httpcore.Response(200, content=b"yes")

    async def aclose(self) -> None:
        self.closed += 1


@pytest.fixture
def pools() -> list[Pool]:
    return []


@pytest.fixture
def transport(pools: list[Pool]) -> PoolTransport:
    def make() -> Any:
        pools.append(Pool())
        return pools[-1]

    return PoolTransport(make)


def client(transport: PoolTransport) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def test_what_is_forgotten_is_closed_and_not_only_at_the_end(pools: list[Pool], transport: PoolTransport) -> None:
    async with client(transport) as http:
        for _ in range(20):
            await http.get("/")
            transport.forget_connections()
        await http.get("/")
        assert [pool.closed for pool in pools] == [1] * 20 + [0]


async def test_what_is_in_use_lives_on_until_it_ends(pools: list[Pool], transport: PoolTransport) -> None:
    async with client(transport) as http:
        async with http.stream("GET", "/watch") as watch:
            transport.forget_connections()
            await http.get("/")
            assert pools[0].closed == 0
            assert await watch.aread() == b"yes"
        assert pools[0].closed == 1
        assert pools[1].closed == 0


async def test_a_request_that_fails_holds_nothing(pools: list[Pool], transport: PoolTransport) -> None:
    async with client(transport) as http:
        pools[0].fails = True
        with pytest.raises(httpx.ConnectError):
            await http.get("/")
        transport.forget_connections()
        await http.get("/")
        assert [pool.closed for pool in pools] == [1, 0]


async def test_who_is_cancelled_in_a_handshake_leaves_no_connection() -> None:
    greeted, left = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            greeted.set()
        left.set()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    own = PoolTransport(lambda: connection_pool(context=ssl.create_default_context()))
    async with httpx.AsyncClient(transport=own) as http:
        asking = asyncio.create_task(http.get(f"https://127.0.0.1:{port}/"))
        await asyncio.wait_for(greeted.wait(), 30)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(left.wait(), 30)
    server.close()
