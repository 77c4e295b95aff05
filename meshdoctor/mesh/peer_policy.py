"""The PeerAuthentication in force for a pod, and the objects that decide it."""

from __future__ import annotations

from meshdoctor.mesh.finding import Resource
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.mtls.peer_authentication import MergedPolicy, PeerAuthentications
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.istio import PeerAuthentication


def _policies(mesh: MeshIndex) -> PeerAuthentications:
    found = mesh.objects("PeerAuthentication", PeerAuthentication)
    return PeerAuthentications(found, mesh.mesh_config.root_namespace)


def server_policy(mesh: MeshIndex, pod: k8s.Pod) -> MergedPolicy:
    """What holds for the ports of *pod*."""
    return mesh.derived(_policies).for_workload(pod.namespace, pod.metadata.labels)


def decider(policy: MergedPolicy, port: int) -> Resource | None:
    """The object that decides the mode of a container port; None for Istio's default."""
    found = policy.port_policy if port in policy.ports else policy.winner
    return Resource("PeerAuthentication", found.namespace, found.name, "spec.mtls.mode") if found else None
