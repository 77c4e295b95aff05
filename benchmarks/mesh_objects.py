"""What a large mesh is made of, as JSON of Kubernetes, istiod and Envoy."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

from benchmarks.stub_cluster import sidecar_pod

_TYPES = ("Cluster", "Listener", "ClusterLoadAssignment", "RouteConfiguration")
_PLACES = ("cluster", "listener", "endpoint", "route")


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sidecar(number: int, created: str) -> dict[str, Any]:
    pod = sidecar_pod(number)
    pod["metadata"]["creationTimestamp"] = created
    pod["metadata"]["annotations"]["sidecar.istio.io/status"] = json.dumps({"revision": "default"})
    pod["spec"]["containers"][1]["args"] = ["proxy", "sidecar"]
    return pod


def leaving(pod: dict[str, Any], now: float) -> dict[str, Any]:
    return {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": moment(now)}}


def istiod_pod(name: str) -> dict[str, Any]:
    labels = {"app": "istiod", "istio.io/rev": "default"}
    meta = {"name": name, "namespace": "istio-system", "labels": labels, "creationTimestamp": moment(time.time())}
    spec = {"nodeName": "node-0", "containers": [{"name": "discovery", "image": "registry.example/pilot:1.29.0"}]}
    return {"metadata": meta, "spec": spec, "status": {"phase": "Running", "podIP": "10.255.0.1"}}


def namespace(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"istio-injection": "enabled"} if name.startswith("team-") else {}}}


def service(number: int) -> dict[str, Any]:
    name = f"service-{number:03d}"
    spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}], "clusterIP": f"10.96.0.{number % 250}"}
    return {"metadata": {"name": name, "namespace": f"team-{number % 40:02d}"}, "spec": spec}


def replica_set(number: int) -> dict[str, Any]:
    owner = {"kind": "Deployment", "name": f"service-{number:03d}", "controller": True}
    name = f"service-{number:03d}-5d4f8c7b9"
    return {"metadata": {"name": name, "namespace": f"team-{number % 40:02d}", "ownerReferences": [owner]}, "spec": {}}


def sync_record(name: str, namespace: str) -> bytes:
    """A proxy in `/debug/syncz`, as istiod 1.29 writes it."""
    sent = {"sent": "2026-01-01T00:00:00Z/7e9-5d0a", "acked": "2026-01-01T00:00:00Z/7e9-5d0a"}
    flat = {f"{place}_{verb}": value for place in _PLACES for verb, value in sent.items()}
    resources = {
        f"type.googleapis.com/envoy.config.{place}.v3.{type}": {**sent, "sentTime": "2026-01-01T00:00:00.123456789Z"}
        for place, type in zip(_PLACES, _TYPES, strict=True)
    }
    who = {"cluster_id": "Kubernetes", "proxy": f"{name}.{namespace}", "proxy_type": "sidecar"}
    return json.dumps({**who, "istio_version": "1.29.0", **flat, "resources": resources}).encode()


def admin_answer(target: str) -> bytes | None:
    """An Envoy with little configuration; a real `/server_info` has 120 KB, of which this has the size."""
    path = target.partition("?")[0]
    if path == "/server_info":
        return _SERVER_INFO
    if path == "/memory":
        return b'{"total_physical_bytes":"60000000"}'
    if target.startswith("/stats?"):
        return b'{"stats":[{"name":"cluster_manager.active_clusters","value":3}]}'
    return {
        "/ready": b"LIVE\n",
        "/config_dump": b'{"configs":[]}',
        "/clusters": b'{"cluster_statuses":[]}',
        "/certs": b'{"certificates":[]}',
        "/listeners": b'{"listener_statuses":[]}',
        "/init_dump": b"{}",
        "/stats/prometheus": b"",
    }.get(path)


_SERVER_INFO = json.dumps(
    {"version": "c0ffee/1.37.0/Clean/RELEASE/BoringSSL", "state": "LIVE", "node": {"metadata": {"x": "m" * 120_000}}}
).encode()
