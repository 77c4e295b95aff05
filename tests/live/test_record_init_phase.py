"""Pods that do not run yet: a native sidecar does already, and its init containers call through it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshdoctor.cli import main
from meshdoctor.recording.bundle.reader import Bundle
from tests.live.apiserver import ApiServer
from tests.live.recorded_cluster import serving_recording

Captured = pytest.CaptureFixture[str]


def to_init_phase(pod: dict[str, Any], proxy_state: dict[str, Any]) -> None:
    """Make a running pod with a sidecar one that is Pending, with a native sidecar in that state."""
    spec, status = pod["spec"], pod["status"]
    sidecar = next(one for one in spec["containers"] if one["name"] == "istio-proxy")
    spec["containers"].remove(sidecar)
    spec.setdefault("initContainers", []).extend(
        [{**sidecar, "restartPolicy": "Always"}, {"name": "migrate", "image": "app"}]
    )
    waiting = {"waiting": {"reason": "PodInitializing"}}
    status["phase"] = "Pending"
    status["containerStatuses"] = [{"name": one["name"], "state": waiting} for one in spec["containers"]]
    status["initContainerStatuses"] = [
        {"name": "istio-proxy", "state": proxy_state, "started": "running" in proxy_state},
        {"name": "migrate", "state": {"running": {}}},
    ]


@pytest.fixture
def starting(folder: Path) -> Iterator[tuple[ApiServer, str, str, str]]:
    """The incident as a cluster, where one sidecar runs in the init phase of its pod and another one waits."""
    file = folder / "kube/core/v1/pods.json"
    pods = json.loads(file.read_bytes())
    sidecars = [path.name for path in sorted((folder / "envoy/shop").iterdir())]
    runs, waits = sidecars[0], sidecars[-1]
    for pod in pods["items"]:
        if pod["metadata"]["name"] == runs:
            to_init_phase(pod, {"running": {"startedAt": "2026-03-03T09:00:00Z"}})
        elif pod["metadata"]["name"] == waits:
            to_init_phase(pod, {"waiting": {"reason": "ImagePullBackOff"}})
    file.write_text(json.dumps(pods))
    with serving_recording(folder) as api:
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(api.kubeconfig()))
        yield api, str(path), runs, waits


def asked(api: ApiServer, pod: str) -> set[str]:
    return {path.rpartition("/")[2] for _, path in api.requests if f"/pods/{pod}/" in path}


def test_the_running_one_is_recorded_and_the_waiting_one_is_told(
    starting: tuple[ApiServer, str, str, str], tmp_path: Path, capsys: Captured
) -> None:
    api, kubeconfig, runs, waits = starting
    path = tmp_path / "a.mdb"
    assert main(["record", "--kubeconfig", kubeconfig, "-o", str(path)]) == 0
    with Bundle(path) as bundle:
        found = {entry.file: entry for entry in bundle.index(1).entries}
    assert found[f"envoy/shop/{runs}/config_dump.json"].status == "ok"
    assert found[f"logs/shop/{runs}/istio-proxy.log"].status == "ok"
    assert f"logs/shop/{runs}/app.log" not in found  # it never ran
    unread = found[f"envoy/shop/{waits}/config_dump.json"]
    assert (unread.status, unread.error) == ("failed", "its container istio-proxy does not run: ImagePullBackOff")
    assert (asked(api, runs), asked(api, waits)) == ({"log", "portforward"}, set())
    assert main(["bundle", "inspect", str(path)]) == 0
    proxies = len(list((tmp_path / "case").rglob("config_dump.json")))
    assert f"; {proxies - 1} of {proxies} proxies" in capsys.readouterr().out


def test_diagnose_reads_the_running_one_and_tells_of_the_waiting_one(
    starting: tuple[ApiServer, str, str, str], capsys: Captured
) -> None:
    api, kubeconfig, runs, waits = starting
    main(["diagnose", "--kubeconfig", kubeconfig, "-o", "json"])
    assert "log" in asked(api, runs)
    found = json.loads(capsys.readouterr().out)
    told = [entry["why"] for entry in found["not_checked"] if entry["probe"] == "ProxyServerInfo"]
    assert told == [
        f"failed: its container istio-proxy does not run: ImagePullBackOff (envoy/shop/{waits}/server_info.json)"
    ]


def test_a_proxy_that_waits_is_one_that_never_connected(
    starting: tuple[ApiServer, str, str, str], capsys: Captured
) -> None:
    _, kubeconfig, _, waits = starting
    main(["proxy-status", "--kubeconfig", kubeconfig])
    assert waits in capsys.readouterr().out
