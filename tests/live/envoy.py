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


def bootstrap(admin: int, clusters: int) -> dict[str, Any]:
    """A bootstrap with *clusters* static outbound clusters and the admin port *admin*."""
    return {
        "node": {"id": "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local", "cluster": "web.shop"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
        "static_resources": {"clusters": [_cluster(number) for number in range(clusters)]},
    }


def _cluster(number: int) -> dict[str, Any]:
    name = f"outbound|8080||svc-{number:04d}.shop.svc.cluster.local"
    address = {"socket_address": {"address": f"127.1.{number // 250}.{number % 250 + 1}", "port_value": 8080}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "metadata": {"filter_metadata": {"istio": {"services": [{"name": f"svc-{number:04d}", "namespace": "shop"}]}}},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


@contextlib.contextmanager
def running_envoy(folder: Path, *, clusters: int = 3) -> Iterator[int]:
    """Start Envoy and wait until it is ready; gives its admin port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        admin = probe.getsockname()[1]
    config = folder / "envoy.json"
    config.write_text(json.dumps(bootstrap(admin, clusters)))
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
