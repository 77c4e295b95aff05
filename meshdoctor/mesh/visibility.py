"""Which Sidecar limits what a proxy knows, and whether a service is exported to it, by the facts of one snapshot.

The rules are those of `mesh.sidecar_scope` and `mesh.services`.
"""

from __future__ import annotations

from meshdoctor.mesh.finding import Resource
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.services import EXPORT_TO, Registry, of_service, of_service_entry
from meshdoctor.mesh.sidecar_scope import SidecarScopes
from meshdoctor.mesh.workloads import proxy_kind
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.pods import GATEWAY, SIDECAR
from meshdoctor.model.snapshot import PodRef

_FIELD = f"metadata.annotations[{EXPORT_TO}]"


def _registry(mesh: MeshIndex) -> Registry:
    services = mesh.objects("Service", k8s.Service)
    return Registry(services, mesh.objects("ServiceEntry", istio.ServiceEntry), mesh.mesh_config)


def _scopes(mesh: MeshIndex) -> SidecarScopes:
    sidecars = mesh.objects("Sidecar", istio.Sidecar)
    return SidecarScopes(sidecars, mesh.derived(_registry), mesh.mesh_config.root_namespace)


def sidecar_of(mesh: MeshIndex, pod: PodRef) -> istio.Sidecar | None:
    """The Sidecar object in force for a pod's proxy, also of a pod that is gone; gateways and waypoints have none."""
    found = mesh.pods.get(pod)
    kind = GATEWAY if mesh.is_gateway(pod) else proxy_kind(found) if found else SIDECAR
    return mesh.derived(_scopes).sidecar(pod.namespace, found.metadata.labels if found else {}, kind)


def is_exported(mesh: MeshIndex, one: k8s.Service | istio.ServiceEntry, namespace: str) -> bool:
    """Whether the proxies of *namespace* may see a Service or ServiceEntry: by its own exportTo, else the mesh's."""
    hosts = (of_service(one),) if isinstance(one, k8s.Service) else of_service_entry(one)
    return any(mesh.derived(_registry).is_visible(host, namespace) for host in hosts)


def exporter(mesh: MeshIndex, one: k8s.Service | istio.ServiceEntry) -> tuple[Resource, ...]:
    """What says where *one* is exported to: its own field, and the mesh's default where it leaves that empty."""
    if isinstance(one, k8s.Service):
        own, said = Resource("Service", one.namespace, one.name, _FIELD), of_service(one).export_to
    else:
        own = Resource("ServiceEntry", one.namespace, one.name, "spec.exportTo")
        said = frozenset(one.spec.export_to)
    if said:
        return (own,)
    return (own, Resource("ConfigMap", mesh.mesh_config.root_namespace, "istio", "data.mesh.defaultServiceExportTo"))
