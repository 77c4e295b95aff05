"""What a Pod object says of itself: whether it has a sidecar, of which kind, and whether it is ready."""

from __future__ import annotations

from meshdoctor.model import kubernetes as k8s

PROXY_CONTAINER = "istio-proxy"
"""The container of Envoy, and of ztunnel too (Istio's injection template and charts)."""


def has_sidecar(pod: k8s.Pod) -> bool:
    """Whether a pod has a proxy container, classic or native (an init container that restarts always)."""
    return any(container.name == PROXY_CONTAINER for container in (*pod.spec.containers, *pod.spec.init_containers))


def is_native_sidecar(spec: k8s.PodSpec) -> bool:
    """Whether the proxy is a native sidecar: an init container that restarts always, started before the application
    and ended after it (Kubernetes 1.29).
    """
    return any(one.name == PROXY_CONTAINER and one.restart_policy == "Always" for one in spec.init_containers)


def is_ready(pod: k8s.Pod) -> bool:
    return any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions)
