"""Pods' admin ports through one websocket each: a real Envoy, and pods that misbehave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from meshdoctor.kube.errors import Forbidden, NotFound, PathRefused, PodError, Unauthorized, Unreachable
from meshdoctor.kube.exec_fallback import exec_get
from meshdoctor.kube.podhttp import PodHttp
from meshdoctor.model.snapshot import PodRef
from tests.kube.wire import running_wire
from tests.live.apiserver import ApiServer, Fault
from tests.live.conftest import connect
from tests.live.pod_servers import answering, dripping, hanging, running_pod_servers, streaming

WEB = PodRef("shop", "web-1")
BIG = 100_000_000


@pytest.fixture
async def pods(api: ApiServer, tmp_path: Path) -> AsyncIterator[PodHttp]:
    """The pods of `api`."""
    async with connect(api, tmp_path) as connection:
        yield PodHttp(connection)


@pytest.fixture
def envoy(api: ApiServer, envoy_admin: int) -> Iterator[PodRef]:
    """A pod whose proxy is a real Envoy."""
    api.ports["shop", "web-1", 15000] = ("127.0.0.1", envoy_admin)
    yield WEB


async def settle(api: ApiServer) -> int:
    """How many connections the server still has, after it had time to notice."""
    for _ in range(100):
        if api.open_sockets == 0:
            break
        await asyncio.sleep(0.02)
    return api.open_sockets


async def test_a_real_envoy_answers(pods: PodHttp, envoy: PodRef) -> None:
    dump = json.loads(await pods.get(envoy, "envoy", "/config_dump?include_eds", deadline=20))
    assert "svc-0039" in json.dumps(dump)
    assert (await pods.get(envoy, "envoy", "/ready", deadline=20)).strip() == b"LIVE"


async def test_requests_share_one_websocket(api: ApiServer, pods: PodHttp, envoy: PodRef) -> None:
    async with pods.visit(envoy) as visit:
        for _ in range(20):
            await visit.get("envoy", "/server_info", deadline=20)
    assert sum(path.endswith("/portforward") for _, path in api.requests) == 1


async def test_many_at_once_have_one_each(api: ApiServer, pods: PodHttp, envoy: PodRef) -> None:
    bodies = await asyncio.gather(*(pods.get(envoy, "envoy", "/clusters?format=json", deadline=20) for _ in range(24)))
    assert {len(json.loads(body)["cluster_statuses"]) for body in bodies} == {41}
    assert await settle(api) == 0


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
async def test_through_a_proxy(api: ApiServer, tmp_path: Path, envoy: PodRef, scheme: str) -> None:
    with running_wire() as wire:
        wire.server = api.port  # where every proxied connection ends
        port = {"http": wire.http_proxy, "https": wire.https_proxy, "socks5": wire.socks_proxy}[scheme]
        document = api.kubeconfig()
        document["clusters"][0]["cluster"]["proxy-url"] = f"{scheme}://127.0.0.1:{port}"
        api.kubeconfig = lambda **_: document  # type: ignore[method-assign]
        async with connect(api, tmp_path) as connection:
            pods = PodHttp(connection)
            assert "svc-0039" in (await pods.get(envoy, "envoy", "/config_dump", deadline=20)).decode()
            assert (await connection.reads.get("/version")).status_code == 200
        assert [seen["kind"] for seen in wire.seen.take()[1]] == [scheme] * 2


async def test_no_port_is_opened_here(pods: PodHttp, envoy: PodRef) -> None:
    def listening() -> set[str]:
        rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
        links = [entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink() and entry.exists()]
        own = {str(link.readlink()) for link in links}
        return {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own}  # 0A is LISTEN

    before = listening()
    await pods.get(envoy, "envoy", "/ready", deadline=20)
    assert listening() == before


async def test_nothing_listens_on_the_port(pods: PodHttp) -> None:
    with pytest.raises(PodError, match=r"shop/web-1: nothing listens on port 15000: the proxy is starting"):
        await pods.get(WEB, "envoy", "/ready", deadline=20)


async def test_a_path_that_changes_the_proxy_is_not_sent(api: ApiServer, pods: PodHttp, envoy: PodRef) -> None:
    with pytest.raises(PathRefused):
        await pods.get(envoy, "envoy", "/quitquitquit", deadline=20)
    assert api.requests == []


@pytest.mark.parametrize(("status", "kind"), [(401, Unauthorized), (404, NotFound)])
async def test_the_api_server_refuses(api: ApiServer, pods: PodHttp, status: int, kind: type[Exception]) -> None:
    api.faults.append(Fault("portforward", status, "x"))
    with pytest.raises(kind):
        await pods.get(WEB, "envoy", "/ready", deadline=20)


async def test_forbidden_names_both_verbs(api: ApiServer, pods: PodHttp) -> None:
    api.denied.add(("create", "pods/portforward"))
    with pytest.raises(Forbidden, match=r"resources: \[pods/portforward\], verbs: \[get, create\]"):
        await pods.get(WEB, "envoy", "/ready", deadline=20)


async def test_busy_is_tried_once_more(api: ApiServer, pods: PodHttp, envoy: PodRef) -> None:
    api.faults.append(Fault("portforward", 429, "TooManyRequests", {"Retry-After": "0"}, times=1))
    assert (await pods.get(envoy, "envoy", "/ready", deadline=20)).strip() == b"LIVE"


async def test_a_cut_websocket_is_no_short_answer(api: ApiServer, pods: PodHttp, envoy: PodRef) -> None:
    api.faults.append(Fault("portforward", cut_websocket_after=5000))
    with pytest.raises(PodError, match=r"cut after \d+ bytes"):
        await pods.get(envoy, "envoy", "/config_dump", deadline=20)


async def test_json_cut_short_by_the_proxy_is_an_error(api: ApiServer, pods: PodHttp) -> None:
    async def short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"configs": [')
        await writer.drain()

    with running_pod_servers(short) as (address,):
        api.ports["shop", "web-1", 15000] = address
        with pytest.raises(PodError, match="cut after 13 bytes"):
            await pods.get(WEB, "envoy", "/config_dump", deadline=20)


async def test_a_connection_that_closes_between_two_requests_costs_none(api: ApiServer, pods: PodHttp) -> None:
    async def one_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nLIVE")
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")  # the next one is read, and not answered

    with running_pod_servers(one_each) as (address,):
        api.ports["shop", "web-1", 15000] = address
        async with pods.visit(WEB) as visit:
            answers = [await visit.get("envoy", "/ready", deadline=20) for _ in range(3)]
    assert answers == [b"LIVE"] * 3


async def test_a_proxy_that_never_answers_is_asked_once(api: ApiServer, pods: PodHttp) -> None:
    asked = 0

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1

    with running_pod_servers(closing) as (address,):
        api.ports["shop", "web-1", 15000] = address
        with pytest.raises(PodError, match="no answer"):
            await pods.get(WEB, "envoy", "/ready", deadline=20)
    assert asked == 1


async def test_a_hanging_proxy_is_left_at_its_deadline(api: ApiServer, pods: PodHttp) -> None:
    with running_pod_servers(hanging, dripping) as (silent, slow):
        api.ports["shop", "web-1", 15000] = silent
        api.ports["shop", "web-2", 15000] = slow
        answers = await asyncio.gather(
            pods.get(WEB, "envoy", "/ready", deadline=0.3),
            pods.get(PodRef("shop", "web-2"), "envoy", "/ready", deadline=0.3),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers] == [Unreachable, Unreachable]
        assert "no complete answer in 0.3 s: the proxy is slow or stuck" in str(answers[0])
        assert await settle(api) == 0


async def test_a_cancelled_read_leaves_nothing_open(api: ApiServer, pods: PodHttp) -> None:
    with running_pod_servers(hanging) as (silent,):
        api.ports["shop", "web-1", 15000] = silent
        task = asyncio.create_task(pods.get(WEB, "envoy", "/ready", deadline=60))
        while api.open_sockets == 0:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await settle(api) == 0


async def test_a_dump_of_100_megabytes_arrives_whole(api: ApiServer, pods: PodHttp) -> None:
    with running_pod_servers(streaming(BIG)) as (address,):
        api.ports["shop", "web-1", 15000] = address
        assert len(await pods.get(WEB, "envoy", "/config_dump", deadline=80)) == BIG


async def test_more_than_the_limit_is_refused(api: ApiServer, pods: PodHttp) -> None:
    with running_pod_servers(streaming(5_000_000)) as (address,):
        api.ports["shop", "web-1", 15000] = address
        with pytest.raises(PodError, match="larger than 1000000 bytes"):
            await pods.get(WEB, "envoy", "/config_dump", deadline=20, limit=1_000_000)


async def test_an_error_status_of_the_proxy_is_told(api: ApiServer, pods: PodHttp) -> None:
    with running_pod_servers(answering({})) as (address,):
        api.ports["shop", "web-1", 15000] = address
        with pytest.raises(PodError, match=r"HTTP 404 \(no such path\)"):
            await pods.get(WEB, "envoy", "/certs", deadline=20)


async def test_exec_reads_a_real_envoy(api: ApiServer, tmp_path: Path, envoy: PodRef) -> None:
    async with connect(api, tmp_path, allow_exec=True) as connection:
        dump = json.loads(await exec_get(connection, envoy, "/config_dump", deadline=20))
    assert "svc-0039" in json.dumps(dump)


async def test_exec_needs_to_be_allowed(api: ApiServer, tmp_path: Path, envoy: PodRef) -> None:
    async with connect(api, tmp_path) as connection:
        with pytest.raises(PathRefused):
            await exec_get(connection, envoy, "/config_dump", deadline=20)
    assert api.requests == []


async def test_exec_output_that_lost_its_end_is_not_used(api: ApiServer, tmp_path: Path, envoy: PodRef) -> None:
    api.faults.append(Fault("/exec", cut_websocket_after=20000))
    async with connect(api, tmp_path, allow_exec=True) as connection:
        with pytest.raises(PodError, match=r"cut short after 20000 bytes"):
            await exec_get(connection, envoy, "/config_dump", deadline=20)


async def test_exec_of_a_dead_proxy_tells_its_status(api: ApiServer, tmp_path: Path) -> None:
    async with connect(api, tmp_path, allow_exec=True) as connection:
        with pytest.raises(PodError, match=r"exit status 1"):
            await exec_get(connection, WEB, "/config_dump", deadline=20)
