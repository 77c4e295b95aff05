"""Faults of a watch and of a proxy, and what the application shows of them; those of the connection as a whole are in
`test_application.py`, and what commands say in `test_faults.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.apiserver import Fault
from tests.live.clusters import Cluster, running, serving, shows, until
from tests.live.pod_servers import dripping, running_pod_servers


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """An incident as a cluster."""
    with serving("cedar", tmp_path) as (api, _):
        yield Cluster(api, tmp_path)


def one_more_pod(cluster: Cluster, name: str) -> None:
    """A sidecar that was not there before."""
    old = json.loads(cluster.api.objects.select("/api/v1/pods", "shop", "", "")[0].body)
    new = json.loads(json.dumps(old).replace(old["metadata"]["name"], name))
    new["metadata"].pop("deletionTimestamp", None)
    new["status"]["phase"] = "Running"
    new["spec"]["containers"] = [{"name": "istio-proxy", "image": "istio/proxyv2:1.29.0"}]
    cluster.api.objects.change("ADDED", "/api/v1/pods", new)


async def test_410_on_a_watch_is_not_even_noticed(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        await shows(pilot, "CLERX", "s ago")
        await until(pilot, lambda _: any(path == "/api/v1/pods" for _, path in cluster.api.requests))
        cluster.api.objects.forget()
        one_more_pod(cluster, "after-the-gap")
        text = await shows(pilot, "after-the-gap")
        assert "STALE" not in text and "NOT READ" not in text


async def test_403_on_a_watch_leaves_the_interval(cluster: Cluster) -> None:
    cluster.api.denied = {("watch", "pods"), ("watch", "namespaces"), ("watch", "mutatingwebhookconfigurations")}
    async with running(cluster.session()) as pilot:
        await shows(pilot, "CLERX", "s ago")
        one_more_pod(cluster, "seen-by-listing")
        await shows(pilot, "seen-by-listing", "s ago")


async def test_429_is_told_and_passes(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        await shows(pilot, "CLERX", "s ago")
        cluster.api.faults.append(Fault("/", 429, "TooManyRequests", {"Retry-After": "0"}))
        await shows(pilot, "CLUSTER BUSY for", "STALE", "CLERX")
        cluster.api.faults.clear()
        await until(pilot, lambda text: "BUSY" not in text and "STALE" not in text and "s ago" in text)


async def test_a_cut_websocket_keeps_what_was_read(cluster: Cluster) -> None:
    session = cluster.session()
    async with running(session) as pilot:
        await shows(pilot, "CLERX", "s ago")
        pod = next(name for name in session.names("proxy") if name.startswith("shop/"))
        await pilot.app.go(f"proxy {pod}")
        await shows(pilot, "clusters", "s ago")
        cluster.api.faults.append(Fault("portforward", cut_websocket_after=5000))
        await pilot.press("r")
        text = await shows(pilot, "cut")
        assert "clusters" in text
        assert pilot.app.is_running
        cluster.api.faults.clear()
        await pilot.press("r")
        await until(pilot, lambda text: "clusters" in text and "cut" not in text and "STALE" not in text)


async def test_a_proxy_that_sends_a_byte_a_second_says_so_in_its_view(cluster: Cluster) -> None:
    session = cluster.session()
    async with running(session) as pilot:
        await shows(pilot, "CLERX", "s ago")
        namespace, name, port = next(key for key in sorted(cluster.api.ports) if key[2] == 15000 and key[0] == "shop")
        with running_pod_servers(dripping) as (address,):
            cluster.api.ports[namespace, name, port] = address
            await pilot.app.go(f"proxy {namespace}/{name}")
            told = "no complete answer in 5 s: the proxy is slow or stuck"
            await until(pilot, lambda text: told in " ".join(text.split()))
            await pilot.press("q")
            await shows(pilot, "CLERX", "s ago")
