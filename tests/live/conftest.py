"""A small mesh behind the test API server, with one real Envoy."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshdoctor.kube.connection import Connection
from meshdoctor.kube.settings import Retry, Settings
from meshdoctor.kube.target import ClusterFlags, resolve_target
from tests.live.apiserver import ApiServer, Objects, running_api_server
from tests.live.envoy import running_envoy
from tests.live.recorded_cluster import serving_recording

INCIDENT = min((Path(__file__).resolve().parents[2] / "fixtures").glob("*.tar.xz"))
KUBECTL = Path(sys.executable).parent / "kubectl"
FAST = Settings(retry=Retry(attempts=4, base=0.01, cap=0.02))


def pod(number: int, *, namespace: str = "shop", node: str = "", app: str = "web") -> dict[str, Any]:
    """A running sidecar pod."""
    return {
        "metadata": {"name": f"{app}-{number}", "namespace": namespace, "labels": {"app": app}, "resourceVersion": "1"},
        "spec": {
            "nodeName": node or f"node-{number % 50}",
            "containers": [{"name": "app", "image": "app"}, {"name": "istio-proxy", "image": "istio/proxyv2"}],
        },
        "status": {"phase": "Running", "podIP": f"10.0.{number // 250}.{number % 250 + 1}"},
    }


def small_mesh(pods: int = 3) -> Objects:
    """Some pods and a service."""
    objects = Objects()
    objects.add("/api/v1/pods", "Pod", [pod(number) for number in range(1, pods + 1)])
    objects.add("/api/v1/namespaces", "Namespace", [{"metadata": {"name": "shop"}}])
    objects.add("/api/v1/services", "Service", [{"metadata": {"name": "web", "namespace": "shop"}, "spec": {}}])
    objects.add(
        "/apis/networking.istio.io/v1/virtualservices",
        "VirtualService",
        [{"metadata": {"name": "web", "namespace": "shop"}, "spec": {"hosts": ["web"]}}],
    )
    return objects


@pytest.fixture(scope="session")
def envoy_admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The admin port of a real Envoy with 40 clusters."""
    with running_envoy(tmp_path_factory.mktemp("envoy"), clusters=40) as port:
        yield port


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """A running API server with a small mesh."""
    with running_api_server(small_mesh()) as server:
        server.logs[("shop", "web-1", "istio-proxy", False)] = b"first line\nsecond line\n"
        yield server


Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def kubeconfig(api: ApiServer, tmp_path: Path) -> Path:
    """A kubeconfig for `api`."""
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(api.kubeconfig()))
    return path


@pytest.fixture
def kubectl(kubeconfig: Path, tmp_path: Path) -> Kubectl:
    """Runs the real kubectl against `api`."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(KUBECTL), "--kubeconfig", str(kubeconfig), *arguments],
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def connect(api: ApiServer, folder: Path, settings: Settings = FAST, **options: Any) -> Connection:
    """A connection of this program to *api*."""
    path = folder / "own-kubeconfig"
    path.write_text(yaml.safe_dump(api.kubeconfig()))
    target = resolve_target(ClusterFlags(kubeconfig=str(path)), {"HOME": str(folder)})
    return Connection(target, settings, environment={}, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An unpacked incident: applications in shop, pay and legacy, the control plane in istio-system."""
    with tarfile.open(INCIDENT) as archive:
        archive.extractall(tmp_path / "case", filter="data")
    return next(path.parent for path in (tmp_path / "case").rglob("manifest.json"))


@pytest.fixture
def cluster(folder: Path) -> Iterator[tuple[ApiServer, str]]:
    """The incident as a cluster, and its kubeconfig."""
    with serving_recording(folder) as api:
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(api.kubeconfig()))
        yield api, str(path)
