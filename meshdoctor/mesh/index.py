"""The facts of a snapshot, indexed: which pod has this address, which workload owns it, which Service that host is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TypeVar, cast

from meshdoctor.mesh.owners import Owners, Workload
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model import wants as ask
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.endpoint import ClusterStatus
from meshdoctor.model.istiod import MeshConfig, SyncRecord
from meshdoctor.model.labels import selects_some
from meshdoctor.model.meta import Object
from meshdoctor.model.moment import unix
from meshdoctor.model.pods import GATEWAY, proxy_role, target_port
from meshdoctor.model.snapshot import Missing, PodRef, Snapshot

T = TypeVar("T")
O = TypeVar("O", bound=Object)  # noqa: E741 - O for object, as K and V for a map

_WITH_TEMPLATE = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")


class MeshIndex:
    """Indexes over one snapshot; each is built the first time that it is asked for."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._derived: dict[object, object] = {}

    def derived(self, build: Callable[[MeshIndex], T]) -> T:
        """What *build* makes of this mesh, made once (pod lives, say)."""
        if build not in self._derived:
            self._derived[build] = build(self)
        return cast("T", self._derived[build])

    def extend(self, snapshot: Snapshot) -> None:
        """Takes a snapshot with more facts of the same moment; the indexes of what was known stay true."""
        self.snapshot = snapshot

    def objects(self, kind: str, struct: type[O]) -> tuple[O, ...]:
        """All objects of a kind; empty when they could not be read (ask `known` whether that is so)."""
        return cast("tuple[O, ...]", self.snapshot.value(ask.Objects(kind)) or ())

    def known(self, kind: str, *namespaces: str) -> bool:
        """Whether the objects of a kind were read: those of *namespaces*, or without any those of every namespace."""
        found = self.snapshot.get(ask.Objects(kind))
        return not isinstance(found, Missing) and found.covers(*namespaces)

    def complete(self, kind: str, *namespaces: str) -> bool:
        """As `known`, and all could be decoded: of an incomplete list, what is not in it proves nothing."""
        found = self.snapshot.get(ask.Objects(kind))
        return not isinstance(found, Missing) and not found.problems and found.covers(*namespaces)

    def in_part(self, kind: str) -> bool:
        """Whether the objects of a kind were read, but of some namespaces only."""
        found = self.snapshot.get(ask.Objects(kind))
        return not isinstance(found, Missing) and not found.covers()

    def file(self, kind: str) -> str:
        """The file that the objects of a kind come from."""
        found = self.snapshot.get(ask.Objects(kind))
        return found.file if isinstance(found, Missing) else found.origin.file

    @cached_property
    def inventory(self) -> ask.Inventory:
        return self.snapshot.value(ask.Contents()) or ask.Inventory()

    @cached_property
    def mesh_config(self) -> MeshConfig:
        return self.snapshot.value(ask.Mesh()) or MeshConfig()

    # -- pods and workloads

    @cached_property
    def pods(self) -> Mapping[PodRef, k8s.Pod]:
        return {pod.ref: pod for pod in self.objects("Pod", k8s.Pod)}

    @cached_property
    def _pods_by_ip(self) -> Mapping[str, k8s.Pod]:
        found: dict[str, k8s.Pod] = {}
        for pod in self.pods.values():
            if pod.spec.host_network:
                continue  # its address is the node's, and so no sign of the pod
            for address in (pod.status.pod_ip, *(entry.ip for entry in pod.status.pod_ips)):
                # A finished pod keeps its address in its status, and the address may have a new owner.
                if address and (address not in found or pod.status.phase == "Running"):
                    found[address] = pod
        return found

    def pod_by_ip(self, address: str) -> k8s.Pod | None:
        return self._pods_by_ip.get(address)

    @cached_property
    def _owners(self) -> Owners:
        return Owners(self.pods, self.objects("ReplicaSet", k8s.Workload))

    def workload(self, ref: PodRef) -> Workload:
        """The workload that owns a pod, also of one that exists no more (by its name then)."""
        return self._owners.of(ref)

    @cached_property
    def workloads(self) -> Mapping[Workload, tuple[PodRef, ...]]:
        """Every workload with the pods that exist or that anything was recorded of."""
        found: dict[Workload, list[PodRef]] = {}
        recorded = (*self.inventory.proxies, *(log.pod for log in self.inventory.logs))
        for ref in dict.fromkeys((*self.pods, *recorded)):
            found.setdefault(self.workload(ref), []).append(ref)
        return {workload: tuple(refs) for workload, refs in found.items()}

    def template(self, workload: Workload) -> k8s.Workload | None:
        """The Deployment, StatefulSet, DaemonSet or ReplicaSet object itself."""
        if workload.kind not in _WITH_TEMPLATE:
            return None
        objects = self.objects(workload.kind, k8s.Workload)
        return next((one for one in objects if (one.namespace, one.name) == workload[1:]), None)

    # -- services

    @cached_property
    def services(self) -> Mapping[tuple[str, str], k8s.Service]:
        return {(service.namespace, service.name): service for service in self.objects("Service", k8s.Service)}

    @cached_property
    def _services_by_ip(self) -> Mapping[str, k8s.Service]:
        return {
            address: service
            for service in self.services.values()
            for address in (service.spec.cluster_ip, *service.spec.cluster_ips)
            if address and address != "None"
        }

    def service_by_ip(self, address: str) -> k8s.Service | None:
        return self._services_by_ip.get(address)

    def service_by_host(self, host: str, namespace: str = "") -> k8s.Service | None:
        """The Service of a name as a client in *namespace* writes it (`cart`, `cart.shop`, `cart.shop.svc…`)."""
        name, _, rest = host.rstrip(".").partition(".")
        where, _, suffix = rest.partition(".")
        if not rest:
            return self.services.get((namespace, name))
        if suffix and not (suffix == "svc" or suffix.startswith("svc.")):
            return None
        return self.services.get((where, name))

    @cached_property
    def declared_hosts(self) -> frozenset[str]:
        """Hosts that ServiceEntries, VirtualServices and Gateways declare (wildcards left out)."""
        entries = self.objects("ServiceEntry", istio.ServiceEntry)
        services = self.objects("VirtualService", istio.VirtualService)
        gateways = self.objects("Gateway", istio.Gateway)
        hosts = [host for entry in entries for host in entry.spec.hosts]
        hosts += [host for service in services for host in service.spec.hosts]
        hosts += [host for gateway in gateways for server in gateway.spec.servers for host in server.hosts]
        return frozenset(name for host in hosts if not (name := host.rpartition("/")[2]).startswith("*"))

    @cached_property
    def _slices(self) -> Mapping[tuple[str, str], tuple[k8s.EndpointSlice, ...]]:
        found: dict[tuple[str, str], list[k8s.EndpointSlice]] = {}
        for entry in self.objects("EndpointSlice", k8s.EndpointSlice):
            name = entry.metadata.labels.get("kubernetes.io/service-name", "")
            found.setdefault((entry.namespace, name), []).append(entry)
        return {key: tuple(slices) for key, slices in found.items()}

    def slices(self, service: k8s.Service) -> tuple[k8s.EndpointSlice, ...]:
        return self._slices.get((service.namespace, service.name), ())

    def selected_pods(self, service: k8s.Service) -> tuple[k8s.Pod, ...]:
        """The pods that the Service's selector matches, ready or not."""
        selector = service.spec.selector
        return tuple(
            pod
            for pod in self.pods.values()
            if pod.namespace == service.namespace and selects_some(selector, pod.metadata.labels)
        )

    def served_ports(self, pod: PodRef, number: int) -> tuple[tuple[k8s.Service, int], ...]:
        """Every (Service, service port) that sends to port *number* of a pod (by its template when the pod is gone)."""
        found = self.pods.get(pod)
        owner = None if found else self.template(self.workload(pod))
        labels = found.metadata.labels if found else owner.spec.template.metadata.labels if owner else {}
        spec = found.spec if found else owner.spec.template.spec if owner else k8s.PodSpec()
        return tuple(
            (service, port.port)
            for service in self.services.values()
            if service.namespace == pod.namespace and selects_some(service.spec.selector, labels)
            for port in service.spec.ports
            if target_port(port, spec) == number
        )

    # -- proxies

    def is_gateway(self, pod: PodRef) -> bool:
        """Whether a pod's proxy is a gateway: its node type is `router` (pilot/pkg/model, node id `router~…`)."""
        info = self.snapshot.value(ask.ProxyServerInfo(pod))
        if info and info.node.id:
            return info.node.id.startswith("router~")
        found = self.pods.get(pod)
        return found is not None and proxy_role(found.spec) == GATEWAY

    def config(self, pod: PodRef) -> ConfigDump | None:
        return self.snapshot.value(ask.ProxyConfig(pod))

    def cluster_status(self, pod: PodRef, name: str) -> ClusterStatus | None:
        """Envoy's live view of one cluster of a proxy."""
        return self._cluster_statuses(pod).get(name)

    def _cluster_statuses(self, pod: PodRef) -> Mapping[str, ClusterStatus]:
        if pod not in self._statuses:
            found = self.snapshot.value(ask.ProxyClusters(pod))
            self._statuses[pod] = {status.name: status for status in found.cluster_statuses} if found else {}
        return self._statuses[pod]

    @cached_property
    def _statuses(self) -> dict[PodRef, Mapping[str, ClusterStatus]]:
        return {}

    @cached_property
    def sync_records(self) -> Mapping[PodRef, tuple[SyncRecord, ...]]:
        """What the istiods say of each connected proxy, from every istiod that was read."""
        found: dict[PodRef, list[SyncRecord]] = {}
        for istiod in self.inventory.istiods:
            for record in self.snapshot.value(ask.SyncStatus(istiod)) or ():
                found.setdefault(PodRef(record.namespace, record.pod), []).append(record)
        return {pod: tuple(records) for pod, records in found.items()}

    def sync_file(self, pod: PodRef) -> str:
        """The file in which some istiod speaks of that proxy; "" when none does."""
        for istiod in self.inventory.istiods:
            found = self.snapshot.get(ask.SyncStatus(istiod))
            if not isinstance(found, Missing) and any((one.namespace, one.pod) == pod for one in found.value):
                return found.origin.file
        return ""

    # -- events

    @cached_property
    def _events(self) -> Mapping[tuple[str, str, str], tuple[k8s.Event, ...]]:
        found: dict[tuple[str, str, str], list[k8s.Event]] = {}
        for event in self.objects("Event", k8s.Event):
            about = event.involved_object
            found.setdefault((about.kind, about.namespace, about.name), []).append(event)
        return {
            about: tuple(sorted(events, key=lambda event: unix(event.last) or 0.0)) for about, events in found.items()
        }

    def events(self, kind: str, namespace: str, name: str) -> tuple[k8s.Event, ...]:
        """Events about one object, oldest first."""
        return self._events.get((kind, namespace, name), ())
