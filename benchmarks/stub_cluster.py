"""The test API server in a process of its own, so that its work does not count as the client's.

    python -m benchmarks.stub_cluster pods COUNT         an API server with COUNT sidecar pods of 19 KB each
    python -m benchmarks.stub_cluster proxies COUNT DEAD  COUNT pods with an admin port, every DEAD-th of which hangs

Prints one line of JSON (the kubeconfig) when it listens, and ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.live.apiserver import Objects, running_api_server
from tests.live.pod_servers import answering, hanging, running_pod_servers

ROOT = Path(__file__).resolve().parents[1]
DUMP_BYTES = 30 << 20


def sidecar_pod(number: int) -> dict[str, Any]:
    """About 19 KB of JSON, half of it managedFields, as the API server gives an injected pod."""
    name, namespace = f"service-{number % 400:03d}-{number:05d}", f"team-{number % 40:02d}"
    env = [{"name": f"SETTING_{index}", "value": "v" * 40} for index in range(30)]
    container = {"image": "registry.example/app:1.0", "env": env, "resources": {"limits": {"memory": "1Gi"}}}
    field: dict[str, Any] = {f"f:setting-{index:03d}": {".": {}, "f:name": {}, "f:value": {}} for index in range(200)}
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"00000000-0000-4000-8000-{number:012d}",
            "labels": {"app": name[:11], "pod-template-hash": "5d4f8c7b9"},
            "annotations": {"sidecar.istio.io/status": "s" * 600, "istio.io/rev": "default"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": name[:11], "controller": True}],
            "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": field}],
        },
        "spec": {
            "nodeName": f"node-{number % 100}",
            "containers": [{"name": "app", **container}, {"name": "istio-proxy", **container}],
            "initContainers": [{"name": "istio-init", **container}],
        },
        "status": {
            "phase": "Running",
            "podIP": f"10.{number // 65536}.{number // 256 % 256}.{number % 256}",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "istio-proxy", "ready": True, "restartCount": 0}],
        },
    }


def clusters_json() -> bytes:
    """A `/clusters?format=json` of 30 KB."""
    status = {"name": "outbound|80||a.b.svc.cluster.local", "added_via_api": True, "host_statuses": [{"weight": 1}] * 4}
    return json.dumps({"cluster_statuses": [status] * 200}).encode()


@contextlib.contextmanager
def running_stub(*arguments: str) -> Iterator[dict[str, Any]]:
    """Start this module as a child; gives its kubeconfig."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.stub_cluster", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.communicate(timeout=30)


def main() -> None:
    kind, count = sys.argv[1], int(sys.argv[2])
    if kind == "pods":
        objects = Objects()
        objects.add("/api/v1/pods", "Pod", (sidecar_pod(number) for number in range(count)))
        with running_api_server(objects) as api:
            _serve(api.kubeconfig())
        return
    every = int(sys.argv[3])
    bodies = {"/clusters": clusters_json(), "/server_info": b'{"state":"LIVE"}'}
    objects = Objects()
    objects.add("/api/v1/pods", "Pod", (_proxy(number) for number in range(count)))
    with (
        running_api_server(objects) as api,
        running_pod_servers(answering(bodies), hanging) as (alive, dead),
    ):
        for number in range(count):
            api.ports["mesh", f"proxy-{number}", 15000] = dead if every and number % every == 0 else alive
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {DUMP_BYTES}\r\n\r\n"
        api.canned["mesh", "big"] = head.encode() + b"x" * DUMP_BYTES
        _serve(api.kubeconfig())


def _proxy(number: int) -> dict[str, Any]:
    spec = {"containers": [{"name": "istio-proxy", "image": "proxy"}]}
    return {"metadata": {"name": f"proxy-{number}", "namespace": "mesh"}, "spec": spec, "status": {"phase": "Running"}}


def _serve(kubeconfig: dict[str, Any]) -> None:
    print(json.dumps(kubeconfig), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
