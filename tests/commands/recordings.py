"""Small recordings in a folder, for the tests of commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.mesh.proxy.dumps import clusters, dump, listeners, routes, socket, tcp

WEB = dump(
    BootstrapConfigDump={"bootstrap": {"node": {"metadata": {"ISTIO_VERSION": "1.29.0"}}}},
    ClustersConfigDump=clusters({"name": "outbound|80||cart.shop.svc.cluster.local", "type": "EDS"}),
    EndpointsConfigDump={},
    ListenersConfigDump=listeners(
        {"name": "l", "address": socket("0.0.0.0", 80), "filter_chains": [{"filters": [tcp(cluster="x")]}]}
    ),
    RoutesConfigDump=routes({"name": "80", "virtual_hosts": [{"name": "h", "domains": ["*"]}]}),
    SecretsConfigDump={},
)
HOSTS = json.dumps(
    {"cluster_statuses": [{"name": "c", "host_statuses": [{"address": socket("10.0.0.1", 80)}]}]}
).encode()


def pod(name: str, namespace: str, *, labels: dict[str, str] | None = None, kind: str = "sidecar") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "spec": {"nodeName": "n1", "containers": [{"name": "istio-proxy", "args": ["proxy", kind]}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "istio-proxy", "ready": True}]},
    }


def write(folder: Path, files: dict[str, Any]) -> Path:
    """A recording of *files*: bytes as they are, everything else as JSON; lists of objects become List objects."""
    for name, value in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        value = {"items": value} if name.startswith("kube/") else value
        path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return folder


def mesh(folder: Path) -> Path:
    """Two pods of a Deployment behind a Service, one of which has Envoy's answers."""
    labels = {"app": "web"}
    return write(
        folder,
        {
            "kube/core/v1/pods.json": [
                pod("web-2", "shop", labels=labels),
                pod("web-1", "shop", labels=labels),
                pod("dotted.name", "shop"),
                pod("same", "a"),
                pod("same", "b"),
            ],
            "kube/core/v1/services.json": [
                {"metadata": {"name": "web-svc", "namespace": "shop"}, "spec": {"selector": labels}}
            ],
            "kube/apps/v1/deployments.json": [
                {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"selector": {"matchLabels": labels}}}
            ],
            "envoy/shop/web-1/config_dump.json": WEB,
            "envoy/shop/web-1/clusters.json": HOSTS,
            "envoy/shop/web-1/logging.txt": b"active loggers:\n  http: warning\n",
            "envoy/shop/dotted.name/config_dump.json": WEB,
        },
    )
