"""Every fault that a cluster or a proxy can have, and what the user is told of it by a command.

The application's screens under the same faults are in `test_application.py` and `test_faults_on_screen.py`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from meshdoctor.cli import main
from meshdoctor.kube.settings import FanOut, Settings
from tests.live.apiserver import ApiServer, Fault, running_api_server
from tests.live.clusters import Cluster, serving
from tests.live.conftest import pod, small_mesh
from tests.live.pod_servers import Serve, answering, dripping, hanging, running_pod_servers

Captured = pytest.CaptureFixture[str]


class Told(NamedTuple):
    """What a command said: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """An incident as a cluster."""
    with serving("cedar", tmp_path) as (api, _):
        yield Cluster(api, tmp_path)


def run(capsys: Captured, cluster: Cluster, *arguments: str) -> Told:
    status = main([*arguments, "--kubeconfig", str(cluster.path)])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return Told(status, captured.out, captured.err)


def sidecar(api: ApiServer) -> tuple[str, str, int]:
    """The admin port of a sidecar."""
    return next(key for key in sorted(api.ports) if key[2] == 15000 and key[0] == "shop")


def config_of(capsys: Captured, cluster: Cluster, serve: Serve, *flags: str) -> Told:
    """`proxy-config cluster` of a sidecar whose admin port is *serve*."""
    namespace, name, port = sidecar(cluster.api)
    with running_pod_servers(serve) as (address,):
        cluster.api.ports[namespace, name, port] = address
        return run(capsys, cluster, "proxy-config", "cluster", f"{name}.{namespace}", *flags)


# ---- the API server ----------------------------------------------------------------------------------------------


def test_401_in_the_middle(capsys: Captured, cluster: Cluster) -> None:
    cluster.api.faults.append(Fault("portforward", 401, "Unauthorized"))
    told = run(capsys, cluster, "proxy-status")
    assert "did not say which proxies it has: not logged in" in told.err
    assert "the cluster does not accept the credential (injected 401): log in again" in told.err
    assert "UNKNOWN" in told.out and "SYNCED" not in told.out


def test_401_from_the_beginning(capsys: Captured, cluster: Cluster) -> None:
    cluster.api.tokens = {"tomorrow"}
    told = run(capsys, cluster, "diagnose")
    assert told.status == 2
    assert told.err.endswith("the cluster does not accept the credential (Unauthorized): log in again\n")


@pytest.mark.parametrize(
    ("verb", "resource", "command", "told"),
    [
        ("list", "pods", "proxy-status", 'lacks {apiGroups: [""], resources: [pods], verbs: [list]}'),
        ("list", "services", "mtls", 'lacks {apiGroups: [""], resources: [services], verbs: [list]}'),
        ("list", "destinationrules", "mtls", "resources: [destinationrules], verbs: [list]}"),
        ("get", "pods/log", "diagnose", 'lacks {apiGroups: [""], resources: [pods/log], verbs: [get]}'),
        ("get", "pods/portforward", "proxy-status", "resources: [pods/portforward], verbs: [get, create]}"),
        ("create", "pods/portforward", "mtls", "resources: [pods/portforward], verbs: [get, create]}"),
    ],
)
def test_403_for_each_verb(
    capsys: Captured, cluster: Cluster, verb: str, resource: str, command: str, told: str
) -> None:
    cluster.api.denied = {(verb, resource)}
    out = run(capsys, cluster, command)
    assert told in " ".join((out.out + out.err).split())
    assert "forbidden" in out.out + out.err


def test_403_for_a_config_map(capsys: Captured, cluster: Cluster) -> None:
    """The mesh config comes from istiod; only where that is forbidden as well is it missed."""
    cluster.api.denied = {("get", "configmaps")}
    assert "mesh config" not in run(capsys, cluster, "mtls").out
    cluster.api.denied |= {("create", "pods/portforward")}
    out = run(capsys, cluster, "mtls").out
    assert "not read: mesh config: forbidden" in out
    assert "resources: [pods/portforward], verbs: [get, create]}, or the role in namespace istio-system lacks" in out
    assert "resources: [configmaps], resourceNames: [istio], verbs: [get]}" in out


@pytest.mark.parametrize("resource", ["destinationrules", "peerauthentications"])
def test_mtls_without_what_decides_it_is_not_known(capsys: Captured, cluster: Cluster, resource: str) -> None:
    cluster.api.denied = {("list", resource)}
    told = run(capsys, cluster, "mtls", "shop")
    assert told.status == 3
    assert "whether the two sides agree is not known" in told.out
    cells = {cell for line in told.out.splitlines() if line.startswith("shop/web ") for cell in line.split()[1:]}
    assert cells >= {"?"}
    assert not cells & {"mTLS", "plain", "REFUSED", "BROKEN", "BADTLS"}
    assert "DRIFT" not in told.out


@pytest.mark.parametrize("path", ["^/apis[?]", r"^/apis/networking\.istio\.io/v1[a-z0-9]*[?]"])
def test_an_api_that_lists_nothing_serves_not_nothing(capsys: Captured, cluster: Cluster, path: str) -> None:
    """A login page with 200 is no list of APIs: what is not known is not taken for none."""
    cluster.api.faults.append(Fault(path, body=b"<html>log in</html>"))
    out = run(capsys, cluster, "mtls").out
    assert "not read: DestinationRule: failed" in out
    assert "the answer is not a list of APIs" in out


def test_429_with_retry_after(capsys: Captured, cluster: Cluster) -> None:
    fine = run(capsys, cluster, "proxy-status")
    cluster.api.faults.append(Fault("/api/v1/pods", 429, "TooManyRequests", {"Retry-After": "1"}, times=1))
    again = run(capsys, cluster, "proxy-status")
    assert cluster.api.faults[0].hits == 1
    assert [line.split()[:3] for line in again.out.splitlines()] == [line.split()[:3] for line in fine.out.splitlines()]
    assert again.err == ""
    cluster.api.faults[:] = [Fault("/api/v1/pods", 429, "TooManyRequests", {"Retry-After": "0"})]
    told = run(capsys, cluster, "proxy-status")
    assert (told.status, told.out) == (2, "")
    assert told.err.endswith("HTTP 429 (injected 429): the server is busy or down; try later\n")


def test_a_list_cut_short(capsys: Captured, cluster: Cluster) -> None:
    cluster.api.faults.append(Fault("/api/v1/pods", cut_body_at=300))
    told = run(capsys, cluster, "proxy-status")
    assert (told.status, told.out) == (2, "")
    assert "the pods could not be read" in told.err and "try again" in told.err


def test_a_login_page_before_the_cluster(capsys: Captured, cluster: Cluster) -> None:
    fault = Fault("/version", 302, "Found", {"Location": "https://login.mesh.test/?next=/version"})
    cluster.api.faults.append(fault)
    told = run(capsys, cluster, "diagnose")
    assert told.status == 2
    assert "redirected to 'https://login.mesh.test/?next=/version', which is not followed" in told.err


def test_a_redirect_is_told_nothing(capsys: Captured, cluster: Cluster) -> None:
    """Neither another host nor another path gets the credential, whoever sends there."""
    with running_api_server(small_mesh()) as elsewhere:
        for status in (301, 302, 303, 307, 308):
            for place in (f"{elsewhere.url}/api/v1/pods", "/api/v1/secrets"):
                cluster.api.faults[:] = [Fault("/api/v1/pods$", status, "Found", {"Location": place})]
                cluster.api.faults.append(Fault("/api/v1/pods[?]", status, "Found", {"Location": place}))
                cluster.api.faults.append(Fault("portforward", status, "Found", {"Location": place}))
                told = run(capsys, cluster, "proxy-status")
                assert "which is not followed" in told.err
        assert elsewhere.requests == []
    assert not any("secrets" in path for _, path in cluster.api.requests)


# ---- a proxy -----------------------------------------------------------------------------------------------------


def test_a_cut_websocket(capsys: Captured, cluster: Cluster) -> None:
    namespace, name, _ = sidecar(cluster.api)
    cluster.api.faults.append(Fault("portforward", cut_websocket_after=5000))
    told = run(capsys, cluster, "proxy-config", "cluster", f"{name}.{namespace}")
    assert (told.status, told.out) == (2, "")
    assert f"the port-forward to {namespace}/{name} was cut): what arrived is not used; try again" in told.err


@pytest.mark.parametrize("serve", [dripping, hanging], ids=["one byte a second", "silence"])
def test_a_slow_proxy(capsys: Captured, cluster: Cluster, serve: Serve) -> None:
    told = config_of(capsys, cluster, serve, "--request-timeout=500ms")
    assert (told.status, told.out) == (2, "")
    assert told.err.endswith("no complete answer in 0.5 s: the proxy is slow or stuck\n")


def test_a_slow_proxy_hides_no_other(capsys: Captured, cluster: Cluster) -> None:
    namespace, name, port = sidecar(cluster.api)
    with running_pod_servers(dripping) as (address,):
        cluster.api.ports[namespace, name, port] = address
        told = run(capsys, cluster, "mtls", "--request-timeout=2s")
    assert "not read: configuration of 1 of 9 proxies: timeout" in told.out
    assert "mTLS: Istio's own" in told.out


@pytest.mark.parametrize("declared", [13, 1000], ids=["whole answer", "cut connection"])
def test_json_cut_short_by_a_proxy(capsys: Captured, cluster: Cluster, declared: int) -> None:
    async def short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {declared}\r\n\r\n".encode() + b'{"configs": [')
        await writer.drain()

    told = config_of(capsys, cluster, short)
    assert (told.status, told.out) == (2, "")
    assert "no complete JSON (13 bytes): try again" in told.err or "what arrived is not used; try again" in told.err


def test_a_dump_of_100_megabytes(capsys: Captured, cluster: Cluster) -> None:
    filler = "x" * (1 << 20)
    clusters = [
        {
            "version_info": "1",
            "cluster": {"name": f"outbound|80||svc-{n}.shop.svc.cluster.local", "alt_stat_name": filler},
        }
        for n in range(100)
    ]
    section = {"@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump", "dynamic_active_clusters": clusters}
    dump = json.dumps({"configs": [section]}).encode()
    stats = b'{"stats":[{"name":"cluster_manager.active_clusters","value":100}]}'
    assert len(dump) > 100_000_000
    answers = {"/stats": stats, "/memory": b'{"total_physical_bytes":"60000000"}', "/config_dump": dump}
    told = config_of(capsys, cluster, answering(answers))
    assert told.status == 0, told.err
    rows = told.out.splitlines()[1:]
    assert len(rows) == 100
    assert rows[0].startswith("svc-0.shop.svc.cluster.local")


PODS, EVERY = 1000, 20


def test_a_thousand_pods_of_which_fifty_hang(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Patient, as a healthy answer may take a while on a busy machine; without politeness towards a real cluster.
    settings = Settings(fan_out=FanOut(deadline=10, new_per_second=10_000, per_node=8))
    monkeypatch.setattr("meshdoctor.commands.cluster_flags.cluster_settings", lambda _: settings)
    monkeypatch.setattr("meshdoctor.mesh.sample.MOST_PODS", PODS)
    objects = small_mesh()
    objects.add("/api/v1/pods", "Pod", [pod(number) for number in range(PODS)])
    answers = {
        "/stats": b'{"stats":[{"name":"cluster_manager.active_clusters","value":1}]}',
        "/memory": b'{"total_physical_bytes":"60000000"}',
        "/config_dump": b'{"configs":[]}',
        "/certs": b'{"certificates":[]}',
    }
    # Without TLS: the handshakes of a thousand websockets in one process would be most of this test.
    with running_api_server(objects, tls=False) as api, running_pod_servers(answering(answers), hanging) as servers:
        alive, dead = servers
        for number in range(PODS):
            api.ports["shop", f"web-{number}", 15000] = dead if number % EVERY == 0 else alive
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(api.kubeconfig()))
        main(["mtls", "--kubeconfig", str(path)])
        assert api.most_sockets < 200
    out = capsys.readouterr().out
    lost = re.search(rf"not read: configuration of (\d+) of {PODS} proxies: timeout", out)
    # On a busy machine a few that answer are late, too; none that hangs is taken for read.
    assert lost and PODS // EVERY <= int(lost[1]) < PODS // 2
    assert "no complete answer in" in out and "the proxy is slow or stuck" in out
