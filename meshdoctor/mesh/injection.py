"""Whether a pod should have a sidecar."""

from __future__ import annotations

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.labels import INJECT, INJECTION, REVISION


def namespace_labels(mesh: MeshIndex, name: str) -> dict[str, str]:
    return next((found.metadata.labels for found in mesh.objects("Namespace", k8s.Namespace) if found.name == name), {})


def wants_sidecar(mesh: MeshIndex, pod: k8s.Pod) -> bool:
    """Whether the namespace (or the pod's own label) asks for injection, even if the pod opted out of it.

    A pod on the host's network is never injected (istiod's injection webhook).
    """
    if pod.spec.host_network:
        return False
    labels = namespace_labels(mesh, pod.namespace)
    if labels.get(INJECTION) == "disabled":
        return pod.metadata.labels.get(INJECT) == "true"
    asked = labels.get(INJECTION) == "enabled" or REVISION in labels
    return asked or pod.metadata.labels.get(INJECT) == "true" or REVISION in pod.metadata.labels
