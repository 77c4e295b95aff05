"""A real Envoy read in parts gives the same configuration as its whole dump."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from meshdoctor.kube.envoy_admin import Get, proxy_size, read_clusters, read_config_dump, read_in_parts
from meshdoctor.kube.podhttp import PodHttp
from meshdoctor.model.decode import decode_json
from meshdoctor.model.envoy.config_dump import ConfigDump, Resource, decode_config_dump
from meshdoctor.model.envoy.endpoint import ClusterStatuses
from meshdoctor.model.snapshot import PodRef
from tests.live.apiserver import ApiServer
from tests.live.conftest import connect

WEB = PodRef("shop", "web-1")


@pytest.fixture
async def get(api: ApiServer, tmp_path: Path, envoy_admin: int) -> AsyncIterator[Get]:
    """GETs of a real Envoy through the API server."""
    api.ports["shop", "web-1", 15000] = ("127.0.0.1", envoy_admin)
    async with connect(api, tmp_path) as connection:
        pods = PodHttp(connection)
        yield lambda target: pods.get(WEB, "envoy", target, deadline=20)


def facts(dump: ConfigDump) -> dict[str, list[tuple[str, str, str, bytes]]]:
    """Everything that the decoder makes of a dump, sorted."""
    kinds: dict[str, tuple[Resource[Any], ...]] = {
        "clusters": dump.clusters,
        "listeners": dump.listeners,
        "routes": dump.routes,
        "endpoints": dump.endpoints,
        "secrets": dump.secrets,
    }
    return {
        kind: sorted((item.name, item.state, item.version, repr(item.body).encode()) for item in items)
        for kind, items in kinds.items()
    }


async def test_parts_are_the_whole(get: Get) -> None:
    whole = decode_config_dump(await get("/config_dump?include_eds"))
    parts = decode_config_dump(await read_in_parts(get, names_per_part=7))
    assert facts(parts) == facts(whole)
    assert parts.bootstrap == whole.bootstrap
    assert len(whole.clusters) == 41
    assert {item.state for item in whole.clusters} == {"active", "static"}
    assert parts.problems == whole.problems == []


async def test_clusters_in_parts_are_the_whole(get: Get) -> None:
    asked: list[str] = []

    async def noting(target: str) -> bytes:
        asked.append(target)
        if target.startswith("/stats"):
            return b'{"stats":[{"name":"cluster_manager.active_clusters","value":9000}]}'
        return await get(target)

    whole = decode_json(await get("/clusters?format=json"), ClusterStatuses)
    parts = decode_json(await read_clusters(noting, names_per_part=7), ClusterStatuses)

    def by_name(statuses: ClusterStatuses) -> list[str]:
        return sorted(status.name for status in statuses.cluster_statuses)

    assert by_name(parts) == by_name(whole)
    assert "/clusters?format=json" not in asked
    assert sum("/clusters" in target for target in asked) >= 6


async def test_the_size_is_known_before(get: Get) -> None:
    size = await proxy_size(get, 1 << 30)
    assert size.clusters == 41
    assert size.memory is not None and 1 << 20 < size.memory < 1 << 30
    assert not size.in_parts


async def test_near_its_memory_limit_it_is_read_in_parts(get: Get) -> None:
    asked: list[str] = []

    async def noting(target: str) -> bytes:
        asked.append(target)
        return await get(target)

    size = await proxy_size(get, None)
    assert size.memory is not None
    await read_config_dump(noting, memory_limit=size.memory + 1000)
    assert "/config_dump?include_eds" not in asked
    asked.clear()
    await read_config_dump(noting, memory_limit=1 << 30)
    assert asked[-1] == "/config_dump?include_eds"
