"""The clusters that istioctl's tests fake, as recordings in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())


def _pod(name: str, namespace: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
    return {"metadata": metadata, "status": {"phase": "Running"}}


def pod_world(folder: Path, bodies: dict[str, bytes], *, ztunnel: bool) -> None:
    """Pods whose admin port gives one answer, whatever is asked."""
    namespace = "istio-system" if ztunnel else "default"
    _write(folder / "kube/core/v1/pods.json", {"items": [_pod(name, namespace) for name in bodies]})
    for name, body in bodies.items():
        for file in ("config_dump.json", "clusters.json", "logging.txt"):
            _write(folder / ("ztunnel" if ztunnel else "envoy") / namespace / name / file, body)


def sync_world(folder: Path, world: dict[str, Any]) -> None:
    """One istiod of a revision that has no proxies, or none at all."""
    pods = []
    if world["istiod_running"]:
        pods.append(_pod("istiod-test", "istio-system", {"app": "istiod", "istio.io/rev": world["revision"]}))
        _write(folder / "istiod/istiod-test/syncz.json", world["proxies"])
    _write(folder / "kube/core/v1/pods.json", {"items": pods})


def gateway_world(folder: Path, gateways: Path) -> None:
    """Gateways of the Gateway API, from a YAML file of several documents."""
    items = [item for item in yaml.safe_load_all(gateways.read_text(encoding="utf-8")) if item]
    _write(folder / "kube/gateway.networking.k8s.io/v1/gateways.json", {"items": items})


def root_world(folder: Path, bundles: list[str]) -> None:
    """Pods `one` and `two`, each with a root bundle (PEM in base64)."""
    pod_names = ("one", "two")
    _write(folder / "kube/core/v1/pods.json", {"items": [_pod(name, "default") for name in pod_names]})
    for name, bundle in zip(pod_names, bundles, strict=True):
        secret = {"name": "ROOTCA", "validation_context": {"trusted_ca": {"inline_bytes": bundle}}}
        section = {
            "@type": "type.googleapis.com/envoy.admin.v3.SecretsConfigDump",
            "dynamic_active_secrets": [{"name": "ROOTCA", "secret": secret}],
        }
        _write(folder / "envoy/default" / name / "config_dump.json", {"configs": [section]})
