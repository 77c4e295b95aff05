"""A real Envoy on loopback, with clusters and a listener as Istio names them."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

ENVOY = Path(sys.executable).parent / "envoy"
_STARTING_SECONDS = 30.0


def write_config(folder: Path, admin: int, clusters: int) -> Path:
    """A bootstrap with the admin port *admin*; clusters, endpoints and a listener come from files, as from istiod."""
    names = [f"outbound|8080||svc-{number:04d}.shop.svc.cluster.local" for number in range(clusters)]
    _discovery(
        folder / "eds.json", "endpoint.v3.ClusterLoadAssignment", [_endpoints(n, i) for i, n in enumerate(names)]
    )
    _discovery(folder / "cds.json", "cluster.v3.Cluster", [_cluster(name, folder / "eds.json") for name in names])
    _discovery(folder / "lds.json", "listener.v3.Listener", [_listener()])
    document = {
        "node": {"id": "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local", "cluster": "web.shop"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
        "dynamic_resources": {
            "cds_config": _from_file(folder / "cds.json"),
            "lds_config": _from_file(folder / "lds.json"),
        },
        "static_resources": {"clusters": [{"name": "agent", "type": "STATIC", "connect_timeout": "1s"}]},
    }
    path = folder / "envoy.json"
    path.write_text(json.dumps(document))
    return path


def _from_file(path: Path) -> dict[str, Any]:
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def _discovery(path: Path, kind: str, resources: list[dict[str, Any]]) -> None:
    typed = [{"@type": f"type.googleapis.com/envoy.config.{kind}", **resource} for resource in resources]
    path.write_text(json.dumps({"version_info": "2026-11-23/1", "resources": typed}))


def _cluster(name: str, endpoints: Path) -> dict[str, Any]:
    service = name.rpartition("|")[2]
    short, namespace = service.split(".")[:2]
    return {
        "name": name,
        "type": "EDS",
        "connect_timeout": "10s",
        "eds_cluster_config": {"eds_config": _from_file(endpoints), "service_name": name},
        "metadata": {"filter_metadata": {"istio": {"services": [{"name": short, "namespace": namespace}]}}},
    }


def _endpoints(name: str, number: int) -> dict[str, Any]:
    address = {"socket_address": {"address": f"127.1.{number // 250}.{number % 250 + 1}", "port_value": 8080}}
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}


def _listener() -> dict[str, Any]:
    return {
        "name": "virtualOutbound",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": []}],
    }


@contextlib.contextmanager
def running_envoy(folder: Path, *, clusters: int = 3) -> Iterator[int]:
    """Start Envoy and wait until it is ready; gives its admin port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        admin = probe.getsockname()[1]
    config = write_config(folder, admin, clusters)
    with (folder / "envoy.log").open("wb") as log:
        process = subprocess.Popen(
            [str(ENVOY), "-c", str(config), "--base-id", str(random.randrange(1, 1 << 31)), "--concurrency", "1",
             "--log-level", "warning"],
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        _wait_until_ready(process, admin, folder)
        yield admin
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], admin: int, folder: Path) -> None:
    end = time.monotonic() + _STARTING_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError((folder / "envoy.log").read_text()[-1000:])
        try:
            with urlopen(f"http://127.0.0.1:{admin}/ready", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("Envoy was not ready in time")
