"""Which names go into which part, and when a dump is read in parts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.kube.allowlist import pod_path_allowed
from meshdoctor.kube.envoy_admin import (
    MIB,
    Size,
    name_patterns,
    proxy_size,
    read_config_dump,
)
from meshdoctor.kube.errors import PodError

NAMES = st.lists(st.text("ab|.-*\\+(1", max_size=12), max_size=60)


@given(NAMES, st.integers(1, 20))
def test_each_name_is_matched_by_exactly_one_part(names: list[str], most: int) -> None:
    patterns = list(name_patterns(names, most))
    for name in names:
        assert sum(bool(re.fullmatch(pattern, name)) for pattern in patterns) == 1
    for pattern in patterns:
        assert sum(bool(re.fullmatch(pattern, name)) for name in set(names)) <= most


def test_thousands_of_names_need_few_parts() -> None:
    names = [f"outbound|{port}||svc-{n:04d}.team-{n % 90}.svc.cluster.local" for n in range(3000) for port in (80, 443)]
    patterns = list(name_patterns(names, 400))
    assert len(patterns) <= 2 * 6000 / 400
    assert max(map(len, patterns)) < 5000


@pytest.mark.parametrize(
    ("size", "in_parts"),
    [
        (Size(200, 100 * MIB, 1024 * MIB), False),
        (Size(4000, 100 * MIB, 8192 * MIB), True),  # long on the main thread
        (Size(1000, 950 * MIB, 1024 * MIB), True),  # near its limit
        (Size(1000, 950 * MIB, None), False),
        (Size(None, 100 * MIB, 1024 * MIB), True),  # unknown
    ],
)
def test_when_a_dump_is_read_in_parts(size: Size, in_parts: bool) -> None:
    assert size.in_parts == in_parts


async def test_a_small_proxy_is_read_whole() -> None:
    asked: list[str] = []

    async def get(target: str) -> bytes:
        asked.append(target)
        if target.startswith("/stats"):
            return b'{"stats":[{"name":"cluster_manager.active_clusters","value":12}]}'
        return b'{"total_physical_bytes":"5000"}' if target == "/memory" else b'{"configs":[]}'

    assert await read_config_dump(get, 1 << 30) == b'{"configs":[]}'
    assert asked[-1] == "/config_dump?include_eds"
    assert all(pod_path_allowed("envoy", target) for target in asked)


async def test_an_old_proxy_without_these_answers_is_of_unknown_size() -> None:
    async def get(target: str) -> bytes:
        raise PodError("HTTP 404")

    assert await proxy_size(get, 5) == Size(None, None, 5)
