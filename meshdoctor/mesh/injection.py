"""Whether a pod should have a sidecar, and whether it is enrolled in ambient mode."""

from __future__ import annotations

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model import kubernetes as k8s

INJECT = "sidecar.istio.io/inject"
REVISION = "istio.io/rev"
NAMESPACE_LABEL = "istio-injection"
DATAPLANE = "istio.io/dataplane-mode"


def namespace_labels(mesh: MeshIndex, name: str) -> dict[str, str]:
    return next((found.metadata.labels for found in mesh.objects("Namespace", k8s.Namespace) if found.name == name), {})


def wants_sidecar(mesh: MeshIndex, pod: k8s.Pod) -> bool:
    """Whether the namespace (or the pod's own label) asks for injection, even if the pod opted out of it.

    A pod on the host's network is never injected (istiod's injection webhook).
    """
    if pod.spec.host_network:
        return False
    labels = namespace_labels(mesh, pod.namespace)
    if labels.get(NAMESPACE_LABEL) == "disabled":
        return pod.metadata.labels.get(INJECT) == "true"
    asked = labels.get(NAMESPACE_LABEL) == "enabled" or REVISION in labels
    return asked or pod.metadata.labels.get(INJECT) == "true" or REVISION in pod.metadata.labels


def is_enrolled(mesh: MeshIndex, pod: k8s.Pod) -> bool:
    """Whether the pod is labelled for ambient mode (its own label overrides its namespace's)."""
    mode = pod.metadata.labels.get(DATAPLANE) or namespace_labels(mesh, pod.namespace).get(DATAPLANE, "")
    return mode == "ambient"
