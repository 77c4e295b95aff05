"""proxy-config and proxy-status of a cluster print what they print of its recording."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshdoctor.cli import main
from meshdoctor.kube.target import ClusterFlags, resolve_target
from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import Missing, PodRef
from meshdoctor.sources.live import LiveSource
from tests.live.apiserver import running_api_server
from tests.live.conftest import pod, small_mesh
from tests.live.pod_servers import answering, running_pod_servers
from tests.live.recorded_cluster import serving_recording

INCIDENTS = Path(__file__).resolve().parents[3] / "shared" / "incidents"
Captured = pytest.CaptureFixture[str]


def unpacked(pattern: str, folder: Path) -> Path:
    packed = sorted(INCIDENTS.glob(f"{pattern}/recording.tar.xz"))
    if not packed:
        pytest.skip(f"no incident {pattern} in {INCIDENTS}")
    with tarfile.open(packed[0]) as archive:
        archive.extractall(folder, filter="data")
    return next(path.parent for path in sorted(folder.rglob("manifest.json")))


@pytest.fixture
def sidecars(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A recorded mesh with sidecars, and the kubeconfig of the cluster that it is served as."""
    folder = unpacked("case-*", tmp_path / "case")
    with serving_recording(folder) as api:
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(api.kubeconfig()))
        yield folder, str(path)


def printed(capsys: Captured, *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_a_proxys_tables(capsys: Captured, sidecars: tuple[Path, str]) -> None:
    folder, kubeconfig = sidecars
    pod = next(path for path in sorted((folder / "envoy/shop").iterdir()))
    for table in ("cluster", "listener", "route", "endpoint", "secret", "bootstrap", "eds", "all"):
        command = ("proxy-config", table, f"{pod.name}.shop", "-o", "istioctl", "--now", "1795430000")
        recorded = printed(capsys, *command, "--recording", str(folder))
        assert printed(capsys, *command, "--kubeconfig", kubeconfig) == recorded, table


def test_the_admin_port_that_is_named_is_asked(capsys: Captured, tmp_path: Path) -> None:
    answers = answering({"/config_dump": b'{"configs":[]}', "/clusters": b'{"cluster_statuses":[]}'})
    with running_api_server(small_mesh()) as api, running_pod_servers(answers) as (address,):
        api.ports["shop", "web-1", 15999] = address
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(api.kubeconfig()))
        command = ["proxy-config", "endpoint", "web-1.shop", "--kubeconfig", str(path)]
        assert main(command) != 0
        assert "nothing listens on port 15000" in capsys.readouterr().err
        assert main([*command, "--proxy-admin-port", "15999"]) == 0


def test_the_status_of_proxies(capsys: Captured, sidecars: tuple[Path, str]) -> None:
    folder, kubeconfig = sidecars
    recorded = printed(capsys, "proxy-status", "-o", "istioctl", "--recording", str(folder))
    assert printed(capsys, "proxy-status", "-o", "istioctl", "--kubeconfig", kubeconfig) == recorded
    states = [line.split()[:3] for line in printed(capsys, "proxy-status", "--recording", str(folder)).splitlines()]
    live = [line.split()[:3] for line in printed(capsys, "proxy-status", "--kubeconfig", kubeconfig).splitlines()]
    assert live == states


def test_istiod_is_asked_what_it_would_send_a_sidecar_and_never_a_gateway(
    capsys: Captured, sidecars: tuple[Path, str]
) -> None:
    folder, kubeconfig = sidecars
    istiod = next(path.parent for path in sorted(folder.glob("istiod/*/syncz.json")))
    known = {entry["proxy"]: entry["proxy_type"] for entry in json.loads((istiod / "syncz.json").read_bytes())}
    sidecar = next(name for name, kind in known.items() if kind == "sidecar")
    gateway = next(name for name, kind in known.items() if kind == "router")
    pod, _, namespace = sidecar.partition(".")
    body = (folder / "envoy" / namespace / pod / "config_dump.json").read_bytes()
    # What the served istiod answers to /debug/config_dump, for whoever is asked about.
    sent = json.loads(body.replace(b'"connect_timeout": "10s"', b'"connect_timeout": "11s"'))
    endpoints = next(each for each in sent["configs"] if each["@type"].endswith(".EndpointsConfigDump"))
    assignment = next(
        each["endpoint_config"]
        for each in endpoints["dynamic_endpoint_configs"]
        if each["endpoint_config"]["cluster_name"].startswith("outbound|") and each["endpoint_config"].get("endpoints")
    )
    assignment["endpoints"] = []
    (istiod / "config_dump.json").write_text(json.dumps(sent))
    told = printed(capsys, "proxy-status", sidecar, "--kubeconfig", kubeconfig)
    assert 'connect_timeout: istiod "11s", Envoy "10s"' in told
    assert f"endpoints of {assignment['cluster_name']}: differs" in told
    told = printed(capsys, "proxy-status", gateway, "--kubeconfig", kubeconfig)
    assert "istiod would send now" not in told
    assert "what istiod would send is not known: istiod is asked this about sidecars only" in told
    target = resolve_target(ClusterFlags(kubeconfig=kubeconfig), {"HOME": str(folder)})
    with LiveSource(target, environment={}) as source:
        ref = PodRef(gateway.partition(".")[2], gateway.partition(".")[0])
        want = ask.SentConfig(istiod.name, ref)
        answer = source.read([want]).get(want)
    assert isinstance(answer, Missing)
    assert answer.reason == "not asked for"


def istiod(name: str, revision: str, namespace: str) -> dict[str, Any]:
    """A running istiod of a revision."""
    labels = {"app": "istiod", "istio.io/rev": revision}
    containers = [{"name": "discovery", "image": "istio/pilot:1.29.0"}]
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": containers},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_every_istiod_of_every_revision_is_asked(capsys: Captured, tmp_path: Path) -> None:
    istiods = [
        istiod("istiod-a", "default", "istio-system"),
        istiod("istiod-b", "default", "istio-system"),
        istiod("istiod-canary-c", "canary", "istio-system"),
        istiod("istiod-d", "old", "istio-old"),
    ]
    objects = small_mesh(0)
    objects.add("/api/v1/pods", "Pod", [*istiods, *(pod(number) for number in range(1, 5))])
    sync = {"proxy_type": "sidecar", "istio_version": "1.29.0", "cluster_sent": "n", "cluster_acked": "n"}
    synced = [{"proxy": f"web-{number}.shop", **sync} for number in range(1, len(istiods) + 1)]
    serves = [answering({"/debug/syncz": json.dumps([record]).encode()}) for record in synced]
    with running_api_server(objects) as api, running_pod_servers(*serves) as addresses:
        for each, address in zip(istiods, addresses, strict=True):
            api.ports[each["metadata"]["namespace"], each["metadata"]["name"], 15014] = address
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(api.kubeconfig()))
        told = printed(capsys, "proxy-status", "--kubeconfig", str(path))
        asked = {path for _, path in api.requests if path.endswith("/portforward")}
    assert len(asked) == len(istiods)
    for number, each in enumerate(istiods, 1):
        (row,) = [line for line in told.splitlines() if line.startswith(f"web-{number}.shop")]
        assert each["metadata"]["name"] in row.split()
