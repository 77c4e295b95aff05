"""The application on more proxies than are asked one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meshdoctor.cli import main
from meshdoctor.mesh import sample
from meshdoctor.mesh.overview import FEW
from tests.live.apiserver import ApiServer, running_api_server
from tests.live.clusters import Cluster, running, shows, until
from tests.live.conftest import small_mesh
from tests.live.pod_servers import answering, hanging, running_pod_servers

PODS = 3 * FEW
VERSION = b'{"version":"c0ffee/1.37.0/Clean/RELEASE/BoringSSL","state":"LIVE"}'


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Many proxies, every other of which hangs."""
    with (
        running_api_server(small_mesh(PODS)) as api,
        running_pod_servers(answering({"/server_info": VERSION}), hanging) as (alive, dead),
    ):
        for number in range(1, PODS + 1):
            api.ports["shop", f"web-{number}", 15000] = alive if number % 2 else dead
        yield Cluster(api, tmp_path)


def visited(api: ApiServer) -> set[str]:
    return {path.split("/")[-2] for _, path in api.requests if path.endswith("/portforward")}


async def test_proxies_in_sight_are_asked_and_rows_do_not_wait_for_them(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        await shows(pilot, f"mesh[{PODS}]", "web-1 ", "reading")
        await until(pilot, lambda text: "1.37.0" in text and "reading" not in text)
        first = visited(cluster.api)
        assert 0 < len(first) <= FEW
        await pilot.press("G")
        await until(pilot, lambda _: bool(visited(cluster.api) - first))
        await until(pilot, lambda text: "1.37.0" in text)
        assert len(visited(cluster.api)) < PODS


def test_mtls_says_how_many_proxies_it_spared(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "MOST_PODS", 5)
    main(["mtls", "--kubeconfig", str(cluster.path)])
    told = " ".join(capsys.readouterr().out.split())
    assert f"configuration of {PODS - 5} of {PODS} proxies: of a large mesh, who is named is asked" in told
    assert len(visited(cluster.api) - {"istiod-1"}) == 5


def test_diagnose_reads_the_logs_of_some_pods_of_each_workload(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "MOST_PODS", 5)
    assert main(["diagnose", "--kubeconfig", str(cluster.path)]) == 3
    told = " ".join(capsys.readouterr().out.split())
    assert "logs: read of 5 pods, some of each workload: name who is meant with --from and --to" in told
    logs = {path.split("/")[-2] for _, path in cluster.api.requests if path.partition("?")[0].endswith("/log")}
    assert len(logs) == 5
