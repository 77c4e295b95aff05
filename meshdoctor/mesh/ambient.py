"""The ambient mesh as objects and ztunnel's dump tell it: who belongs to it, who is captured, who serves whom.

A pod belongs to it by the label `istio.io/dataplane-mode` of itself or, where it has none, of its namespace; it is
captured once istio-cni has redirected it, which the annotation `ambient.istio.io/redirection: enabled` records
(istio 1.24 to 1.32, `cni/pkg/util/podutil.go`, `pkg/config/constants`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.owners import Workload
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model import ztunnel
from meshdoctor.model.labels import DATAPLANE_MODE, GATEWAY_NAME, REDIRECTION, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE
from meshdoctor.model.pods import WAYPOINT, ZTUNNEL, has_proxy, is_ready, proxy_role
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.wants import ZtunnelConfig

HBONE_PORT = 15008
AMBIENT, NONE = "ambient", "none"


# -- membership


def mode(mesh: MeshIndex, pod: k8s.Pod) -> str:
    """What the labels ask for: `ambient`, `none`, or "" when neither pod nor namespace says anything."""
    return pod.metadata.labels.get(DATAPLANE_MODE) or mesh.derived(_namespace_modes).get(pod.namespace, "")


def _namespace_modes(mesh: MeshIndex) -> Mapping[str, str]:
    return {
        found.name: found.metadata.labels.get(DATAPLANE_MODE, "") for found in mesh.objects("Namespace", k8s.Namespace)
    }


def is_captured(pod: k8s.Pod) -> bool:
    """Whether istio-cni says that the pod's traffic goes through ztunnel."""
    return pod.metadata.annotations.get(REDIRECTION) == "enabled"


def should_be_captured(mesh: MeshIndex, pod: k8s.Pod) -> bool:
    """Whether the labels ask for ambient and nothing about the pod forbids it (its own proxy, the host's network)."""
    return mode(mesh, pod) == AMBIENT and not has_proxy(pod) and not pod.spec.host_network


def is_enrolled(mesh: MeshIndex, pod: k8s.Pod) -> bool:
    return is_captured(pod) or should_be_captured(mesh, pod)


def serves_ambient(mesh: MeshIndex, client: Workload | None, service: tuple[str, str] | None) -> bool:
    """Whether any pod of the *client* or behind the *service* (namespace, name) belongs to the ambient mesh."""
    refs = mesh.workloads.get(client, ()) if client else ()
    if any(is_enrolled(mesh, mesh.pods[ref]) for ref in refs if ref in mesh.pods):
        return True
    found = mesh.services.get(service) if service else None
    return found is not None and any(is_enrolled(mesh, pod) for pod in mesh.selected_pods(found))


# -- ztunnel


def is_ztunnel_template(spec: k8s.PodSpec) -> bool:
    """Whether pods of a template, or a pod, run ztunnel."""
    return proxy_role(spec) == ZTUNNEL


def ztunnel_daemon_sets(mesh: MeshIndex) -> tuple[k8s.Workload, ...]:
    found = mesh.objects("DaemonSet", k8s.Workload)
    return tuple(one for one in found if is_ztunnel_template(one.spec.template.spec))


def is_ztunnel(mesh: MeshIndex, ref: PodRef) -> bool:
    """Whether a pod, also one that is gone, is a ztunnel."""
    if ref in mesh.inventory.ztunnels:
        return True
    pod = mesh.pods.get(ref)
    if pod:
        return is_ztunnel_template(pod.spec)
    owners = mesh.derived(ztunnel_daemon_sets)
    return any(ref.namespace == one.namespace and ref.name.rpartition("-")[0] == one.name for one in owners)


def ztunnels_on(mesh: MeshIndex, node: str) -> tuple[k8s.Pod, ...]:
    """The ztunnel pods of a node, ready or not."""
    return tuple(pod for pod in mesh.derived(_ztunnel_pods) if pod.spec.node_name == node)


def _ztunnel_pods(mesh: MeshIndex) -> tuple[k8s.Pod, ...]:
    return tuple(pod for pod in mesh.pods.values() if is_ztunnel_template(pod.spec))


def serves(pod: k8s.Pod) -> bool:
    """Whether a ztunnel pod is running and Ready."""
    return pod.status.phase == "Running" and is_ready(pod) and not pod.metadata.deletion_timestamp


def dump_wants(mesh: MeshIndex) -> list[ZtunnelConfig]:
    return [ZtunnelConfig(pod) for pod in mesh.inventory.ztunnels]


def dumps(mesh: MeshIndex) -> Iterator[tuple[PodRef, ztunnel.ZtunnelDump]]:
    """The dump of every ztunnel that was read."""
    for pod in mesh.inventory.ztunnels:
        found = mesh.snapshot.value(ZtunnelConfig(pod))
        if found:
            yield pod, found


def known_workload(mesh: MeshIndex, pod: k8s.Pod) -> ztunnel.Workload | None:
    """A pod as the ztunnels see it: the one of its own node when its dump was read, else any."""
    found = [
        (workload, mesh.pods.get(ref))
        for ref, dump in dumps(mesh)
        if (workload := dump.workload(pod.namespace, pod.name))
    ]
    own = [workload for workload, holder in found if holder and holder.spec.node_name == pod.spec.node_name]
    return own[0] if own else found[0][0] if found else None


# -- waypoints


def is_waypoint(pod: k8s.Pod) -> bool:
    """Whether a pod is a waypoint's proxy."""
    return proxy_role(pod.spec) == WAYPOINT


def waypoint_of(mesh: MeshIndex, service: k8s.Service) -> PodRef | None:
    """The waypoint that a Service, or else its namespace, asks for: namespace and name of a Gateway.

    Label `istio.io/use-waypoint`; `none` opts out (pilot/pkg/serviceregistry/ambient/waypoints.go).
    """
    namespaces = [one for one in mesh.objects("Namespace", k8s.Namespace) if one.name == service.namespace]
    for holder in (service, *namespaces):
        name = holder.metadata.labels.get(USE_WAYPOINT, "")
        if name == NONE:
            return None
        if name:
            where = holder.metadata.labels.get(USE_WAYPOINT_NAMESPACE) or service.namespace
            return PodRef(where, name)
    return None


def waypoint_pods(mesh: MeshIndex, waypoint: PodRef) -> tuple[k8s.Pod, ...]:
    return tuple(
        pod
        for pod in mesh.pods.values()
        if pod.namespace == waypoint.namespace and pod.metadata.labels.get(GATEWAY_NAME) == waypoint.name
    )


def dumped_waypoints(mesh: MeshIndex, service: k8s.Service) -> Iterable[str]:
    """Where the ztunnels send traffic for a Service first (`namespace/hostname` or `network/ip`)."""
    for _, dump in dumps(mesh):
        found = dump.service(service.namespace, service.name)
        if found and found.waypoint:
            yield found.waypoint.destination
