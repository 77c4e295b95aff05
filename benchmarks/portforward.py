"""Reading proxies through port-forward, against the usual ways, in one run.

    python -m benchmarks.portforward [PODS] [HANGING]

- a dump of 30 MB: this program against `kubernetes.stream.portforward` (goal: at least 5 times faster);
- `/server_info` and `/clusters` of 1,000 proxies: this program against `kubectl exec` one by one, of which a sample is
  run (goal: at least 5 times faster), and what 50 hanging proxies add (goal: under 2 s).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.stub_cluster import DUMP_BYTES, running_stub
from meshdoctor.kube.connection import Connection
from meshdoctor.kube.fanout import Heard, Job, Read, fan_out
from meshdoctor.kube.podhttp import PodHttp
from meshdoctor.kube.settings import FanOut
from meshdoctor.kube.target import ClusterFlags, Target, resolve_target
from meshdoctor.model.snapshot import PodRef

KUBECTL = Path(sys.executable).parent / "kubectl"
SAMPLE = 8
NODES = 50


async def dump(target: Target) -> float:
    """Seconds for 30 MB of one pod."""
    async with Connection(target, environment={}) as connection:
        begun = time.perf_counter()
        body = await PodHttp(connection).get(PodRef("mesh", "big"), "envoy", "/config_dump", deadline=120)
        assert len(body) == DUMP_BYTES
        return time.perf_counter() - begun


def dump_with_kubernetes(kubeconfig: Path) -> float:
    """The same with the official client."""
    from kubernetes import client, config
    from kubernetes.stream import portforward

    config.load_kube_config(str(kubeconfig))  # type: ignore[no-untyped-call]
    begun = time.perf_counter()
    forward = portforward(client.CoreV1Api().connect_get_namespaced_pod_portforward, "big", "mesh", ports="15000")
    http = HTTPConnection("localhost")
    http.sock = forward.socket(15000)
    http.sock.setblocking(True)
    http.request("GET", "/config_dump")
    body = http.getresponse().read()
    seconds = time.perf_counter() - begun
    assert len(body) == DUMP_BYTES
    http.close()
    return seconds


async def sweep(target: Target, pods: int) -> tuple[float, int]:
    """Seconds for two answers of each of *pods*, and how many were read."""
    async with Connection(target, environment={}) as connection:
        http = PodHttp(connection)

        async def read(pod: PodRef, _: Heard) -> None:
            async with http.visit(pod) as visit:
                await visit.get("envoy", "/server_info", deadline=15)
                await visit.get("envoy", "/clusters?format=json", deadline=15)

        jobs = [Job(PodRef("mesh", f"proxy-{number}"), f"node-{number % NODES}") for number in range(pods)]
        begun = time.perf_counter()
        results = await fan_out(jobs, read, FanOut())
        return time.perf_counter() - begun, sum(isinstance(result, Read) for result in results)


def exec_one_by_one(kubeconfig: Path) -> float:
    """Seconds for two `kubectl exec` of one pod, on average."""
    begun = time.perf_counter()
    for number in range(1, SAMPLE + 1):
        for path in ("server_info", "clusters?format=json"):
            subprocess.run(
                [str(KUBECTL), "--kubeconfig", str(kubeconfig), "exec", "-n", "mesh", f"proxy-{number}", "-c",
                 "istio-proxy", "--", "pilot-agent", "request", "GET", path],
                check=True, capture_output=True,
            )  # fmt: skip
    return (time.perf_counter() - begun) / SAMPLE


def write(folder: str, config: dict[str, Any]) -> tuple[Path, Target]:
    path = Path(folder) / "kubeconfig"
    path.write_text(json.dumps(config))
    return path, resolve_target(ClusterFlags(kubeconfig=str(path)), {})


def main() -> None:
    pods = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    hanging = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    with tempfile.TemporaryDirectory() as folder:
        with running_stub("proxies", str(pods), "0") as config:
            path, target = write(folder, config)
            ours, theirs = asyncio.run(dump(target)), dump_with_kubernetes(path)
            print(f"30 MB dump: {ours:.2f} s, kubernetes.stream.portforward {theirs:.2f} s: {theirs / ours:.1f} times")
            healthy, read = asyncio.run(sweep(target, pods))
            one = exec_one_by_one(path)
            print(
                f"{read} proxies: {healthy:.1f} s, kubectl exec one by one {one * pods:.0f} s ({SAMPLE} timed): "
                f"{one * pods / healthy:.1f} times"
            )
        with running_stub("proxies", str(pods), str(pods // hanging)) as config:
            _, target = write(folder, config)
            seconds, read = asyncio.run(sweep(target, pods))
            print(f"with {pods - read} hanging: {seconds:.1f} s, {seconds - healthy:+.1f} s")


if __name__ == "__main__":
    main()
