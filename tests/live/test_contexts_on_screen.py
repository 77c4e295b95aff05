"""Contexts and the kubeconfig in the application: another one is entered, and a change of the file is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.apiserver import ApiServer, Fault
from tests.live.clusters import Cluster, running, serving, shows, until


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """An incident as a cluster."""
    with serving("cedar", tmp_path) as (api, _):
        yield Cluster(api, tmp_path)


def rows(text: str) -> list[str]:
    """The first rows of a table without its last column, the age of a pod."""
    return [line[:80] for line in text.splitlines()[3:8]]


def with_pine(cluster: Cluster, other: ApiServer) -> dict[str, Any]:
    """A kubeconfig that names *other* as well."""
    both = cluster.api.kubeconfig()
    for part in ("clusters", "contexts"):
        (entry,) = other.kubeconfig()[part]
        entry["name"] = "pine"
        both[part].append(entry)
    both["contexts"][1]["context"]["cluster"] = "pine"
    return both


async def test_another_context(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with serving("pine", tmp_path / "other") as (other, _):
        cluster.write(with_pine(cluster, other))
        async with running(cluster.session()) as pilot:
            await shows(pilot, "test  live  RO", "s ago")
            cluster.api.faults.append(Fault("/", hang=True))
            await shows(pilot, "NO ANSWER")
            await pilot.press(*":context p")
            await pilot.press("tab", "enter")
            await shows(pilot, "pine  live  RO", "CLERX", "s ago", "web-")
            await pilot.press(*":context nowhere", "enter")
            await shows(pilot, "context 'nowhere' does not exist", "pine  live  RO")


async def test_contexts_are_listed_and_entered(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with serving("pine", tmp_path / "other") as (other, _):
        cluster.write(with_pine(cluster, other))
        async with running(cluster.session()) as pilot:
            await shows(pilot, "test  live  RO", "s ago")
            await pilot.press(*":ctx", "enter")
            text = await shows(pilot, "> contexts[2]", "this, kubectl")
            assert other.url in text
            await pilot.press("k", "enter")
            await shows(pilot, "pine  live  RO", "CLERX", "web-")


async def test_kubectl_config_use_context_in_another_shell_is_told_and_not_followed(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with serving("pine", tmp_path / "other") as (other, _):
        both = with_pine(cluster, other)
        cluster.write(both)
        async with running(cluster.session()) as pilot:
            shown = rows(await shows(pilot, "test  live  RO", "s ago", "istio-system"))
            cluster.write(both | {"current-context": "pine"})
            text = await shows(pilot, "kubectl now uses pine; this stays test   :context switches")
            assert rows(text) == shown
            assert text.splitlines()[0].startswith(" test  live  RO  kubectl: pine ")
            await pilot.press("j")
            await until(pilot, lambda text: ":context switches" not in text and "kubectl: pine" in text)
            assert not other.requests
            await pilot.press(*":errors", "enter")
            await shows(pilot, "kubeconfig", "kubectl now uses pine")
            await pilot.press(*":context pine", "enter")
            await until(pilot, lambda text: text.startswith(" pine  live  RO  ") and "kubectl:" not in text)


async def test_a_kubeconfig_that_names_another_cluster_is_told_and_not_followed(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with serving("pine", tmp_path / "other") as (other, _):
        async with running(cluster.session()) as pilot:
            shown = rows(await shows(pilot, "test  live  RO", "s ago", "istio-system"))
            cluster.path.write_text("contexts: [")
            await shows(pilot, "is not YAML")
            cluster.write(other.kubeconfig())
            text = await shows(pilot, f"test now names {other.url}"[:40], "the old cluster")
            assert rows(text) == shown
            cluster.api.tokens = {"tomorrow"}  # not even when the old cluster refuses the credential
            await shows(pilot, "LOGIN REFUSED")
            await pilot.press("A")
            await shows(pilot, "names another cluster")
            assert not other.requests
            await pilot.press(*":context test", "enter")
            await shows(pilot, "CLERX", "web-")
            assert other.requests


async def test_new_credentials_in_the_kubeconfig_are_told(cluster: Cluster) -> None:
    async with running(cluster.session(), language="ko") as pilot:
        await shows(pilot, "초 전")
        cluster.api.tokens = {"test-token", "tomorrow"}
        cluster.write(cluster.api.kubeconfig(token="tomorrow"))
        await shows(pilot, "kubeconfig에 test 의 새 인증 정보   :login 으로 사용")
        await pilot.press(*":login", "enter")
        await shows(pilot, "다시 로그인했습니다")
        cluster.write(cluster.api.kubeconfig() | {"contexts": [], "current-context": ""})
        await shows(pilot, "test 이 kubeconfig에서 없어짐. 화면은 그대로", "CLERX")
