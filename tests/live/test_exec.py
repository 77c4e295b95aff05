"""`--allow-exec`: `pilot-agent` and `pilot-discovery` answer where port-forward is forbidden, and only there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshdoctor.cli import main
from meshdoctor.kube.envoy_admin import read_in_parts
from meshdoctor.kube.errors import PodError
from meshdoctor.kube.exec_fallback import exec_get
from meshdoctor.model.envoy.config_dump import decode_config_dump
from meshdoctor.model.snapshot import PodRef
from tests.live.apiserver import ApiServer
from tests.live.clusters import Cluster, serving
from tests.live.conftest import connect
from tests.live.pod_servers import answering, running_pod_servers
from tests.live.test_polite_reading import facts

Captured = pytest.CaptureFixture[str]
WEB = PodRef("shop", "web-1")
NO_PORT_FORWARD = {("create", "pods/portforward")}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """An incident as a cluster."""
    with serving("cedar", tmp_path) as (api, _):
        yield Cluster(api, tmp_path)


def execs(api: ApiServer) -> list[str]:
    return [path for _, path in api.requests if path.endswith("/exec")]


def printed(capsys: Captured, cluster: Cluster, *arguments: str) -> str:
    main([*arguments, "--kubeconfig", str(cluster.path)])
    captured = capsys.readouterr()
    return captured.out + captured.err


def proxy(cluster: Cluster) -> str:
    """A sidecar as `POD.NAMESPACE`."""
    namespace, name, _ = next(key for key in sorted(cluster.api.ports) if key[2] == 15000 and key[0] == "shop")
    return f"{name}.{namespace}"


@pytest.mark.parametrize("command", [("proxy-config", "cluster"), ("proxy-config", "listener"), ("proxy-status",)])
def test_the_same_is_printed(capsys: Captured, cluster: Cluster, command: tuple[str, ...]) -> None:
    words = (*command, proxy(cluster)) if len(command) > 1 else command
    forwarded = printed(capsys, cluster, *words, "--allow-exec")
    assert execs(cluster.api) == []  # never where port-forward is allowed
    cluster.api.denied = NO_PORT_FORWARD
    assert printed(capsys, cluster, *words, "--allow-exec") == forwarded
    assert execs(cluster.api)
    assert "forbidden" not in forwarded


def test_without_the_flag_the_missing_rule_is_told(capsys: Captured, cluster: Cluster) -> None:
    cluster.api.denied = NO_PORT_FORWARD
    told = printed(capsys, cluster, "proxy-config", "cluster", proxy(cluster))
    assert 'lacks {apiGroups: [""], resources: [pods/portforward], verbs: [get, create]}' in told
    assert execs(cluster.api) == []


def test_where_exec_is_forbidden_too_its_rule_is_told(capsys: Captured, cluster: Cluster) -> None:
    cluster.api.denied = NO_PORT_FORWARD | {("create", "pods/exec")}
    told = printed(capsys, cluster, "proxy-config", "cluster", proxy(cluster), "--allow-exec")
    assert 'lacks {apiGroups: [""], resources: [pods/exec], verbs: [get, create]}' in told


async def test_a_real_envoy_in_parts(api: ApiServer, tmp_path: Path, envoy_admin: int) -> None:
    """Sections that an Envoy does not have are a 404, which pilot-agent prints and calls a success."""
    api.ports["shop", "web-1", 15000] = ("127.0.0.1", envoy_admin)
    async with connect(api, tmp_path, allow_exec=True) as connection:

        async def get(target: str) -> bytes:
            return await exec_get(connection, WEB, target, deadline=20)

        whole = decode_config_dump(await get("/config_dump?include_eds"))
        assert facts(decode_config_dump(await read_in_parts(get, names_per_part=7))) == facts(whole)
        assert len(whole.clusters) == 41
        with pytest.raises(PodError, match="HTTP 404"):
            await get("/config_dump?resource=nothing_like_this")


async def test_an_istiod(api: ApiServer, tmp_path: Path) -> None:
    syncz = json.dumps([{"proxy": "web-1.shop"}]).encode()
    with running_pod_servers(answering({"/debug/syncz": syncz})) as (address,):
        api.ports["shop", "web-1", 15014] = address
        async with connect(api, tmp_path, allow_exec=True) as connection:
            assert json.loads(await exec_get(connection, WEB, "/debug/syncz", deadline=20, role="istiod")) == [
                {"proxy": "web-1.shop"}
            ]
            with pytest.raises(PodError, match=r"HTTP 404 \(no such path\)"):
                await exec_get(connection, WEB, "/debug/registryz", deadline=20, role="istiod")


async def test_a_proxy_that_is_not_ready_says_so(api: ApiServer, tmp_path: Path) -> None:
    with running_pod_servers(answering({"/ready": b"PRE_INITIALIZING\n"}, status="503 Service Unavailable")) as pods:
        api.ports["shop", "web-1", 15000] = pods[0]
        async with connect(api, tmp_path, allow_exec=True) as connection:
            body = await exec_get(connection, WEB, "/ready", deadline=20, statuses=(200, 503))
            assert body.strip() == b"PRE_INITIALIZING"
            with pytest.raises(PodError, match=r"exit status 1 .*503"):
                await exec_get(connection, WEB, "/ready", deadline=20)
