"""The real kubectl works against the test API server, so the server is no mirror of this program's own mistakes."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from urllib.request import urlopen

from tests.live.apiserver import ApiServer
from tests.live.conftest import KUBECTL, Kubectl


def test_lists(kubectl: Kubectl) -> None:
    done = kubectl("get", "pods", "-n", "shop", "--chunk-size=2", "-o", "name")
    assert done.stdout.split() == ["pod/web-1", "pod/web-2", "pod/web-3"], done.stderr


def test_lists_with_a_selector(kubectl: Kubectl) -> None:
    done = kubectl("get", "pods", "-A", "-l", "app=none", "-o", "name")
    assert (done.stdout, done.returncode) == ("", 0), done.stderr


def test_finds_istio_objects_by_discovery(kubectl: Kubectl) -> None:
    done = kubectl("get", "virtualservices.networking.istio.io", "-A", "-o", "json")
    assert json.loads(done.stdout)["items"][0]["spec"] == {"hosts": ["web"]}, done.stderr


def test_watches(api: ApiServer, kubectl: Kubectl) -> None:
    done = kubectl("get", "pods", "-n", "shop", "--watch", "-o", "name", "--request-timeout=1s")
    assert "pod/web-1" in done.stdout


def test_reads_logs(kubectl: Kubectl) -> None:
    done = kubectl("logs", "-n", "shop", "web-1", "-c", "istio-proxy", "--tail=1")
    assert done.stdout == "second line\n", done.stderr


def test_asks_what_it_may_do(api: ApiServer, kubectl: Kubectl) -> None:
    api.denied.add(("list", "services"))
    assert kubectl("auth", "can-i", "list", "pods").stdout.strip() == "yes"
    assert kubectl("auth", "can-i", "list", "services").stdout.strip() == "no"


def test_execs_into_a_real_envoy(api: ApiServer, kubectl: Kubectl, envoy_admin: int) -> None:
    api.ports["shop", "web-1", 15000] = ("127.0.0.1", envoy_admin)
    done = kubectl(
        "exec", "-n", "shop", "web-1", "-c", "istio-proxy", "--", "pilot-agent", "request", "GET", "server_info"
    )
    assert json.loads(done.stdout)["state"] == "LIVE", done.stderr


def test_exec_of_something_else_fails_with_its_status(kubectl: Kubectl) -> None:
    done = kubectl("exec", "-n", "shop", "web-1", "--", "rm", "-rf", "/")
    assert done.returncode == 127


def test_forwards_a_port_to_a_real_envoy(api: ApiServer, kubeconfig: Path, envoy_admin: int) -> None:
    api.ports["shop", "web-1", 15000] = ("127.0.0.1", envoy_admin)
    process = subprocess.Popen(
        [str(KUBECTL), "--kubeconfig", str(kubeconfig), "port-forward", "-n", "shop", "web-1", ":15000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found, line
        for _ in range(3):
            with urlopen(f"http://127.0.0.1:{found[1]}/config_dump", timeout=20) as answer:
                sections = json.load(answer)["configs"]
        assert "svc-0039" in json.dumps(sections)
    finally:
        process.terminate()
        process.communicate(timeout=20)
