"""Where a trace begins and where its host name leads: workloads to pods, names to addresses, gateways by port."""

from __future__ import annotations

from difflib import get_close_matches
from typing import NamedTuple

from meshdoctor.mesh.gateways import pods_of, takes
from meshdoctor.mesh.hosts import candidates, is_address, most_specific, qualified, subset_of
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.named import best_first, named
from meshdoctor.model.istio import Gateway, ServiceEntry, VirtualService
from meshdoctor.model.kubernetes import Pod, Service
from meshdoctor.model.labels import selects_some
from meshdoctor.model.pods import target_port
from meshdoctor.model.snapshot import PodRef


class Destination(NamedTuple):
    """An address to dial ("" when only DNS would know it), and *why* that one."""

    ip: str
    port: int
    why: str
    service: Service | None = None
    unknown: bool = False
    """Whether no object has the name."""


def written_for(mesh: MeshIndex, namespace: str, host: str) -> tuple[tuple[str, str], ...]:
    """The VirtualServices (namespace, name) whose hosts cover *host* as a client in *namespace* writes it."""
    names = candidates(host, namespace)
    return tuple(
        (service.namespace, service.name)
        for service in mesh.objects("VirtualService", VirtualService)
        for pattern in service.spec.hosts
        if any(subset_of(name, qualified(pattern, service.namespace)) for name in names)
    )


def client_pods(mesh: MeshIndex, namespace: str, name: str) -> tuple[PodRef, ...]:
    """The pods of `namespace/name` (a workload or a pod), the best recorded ones first."""
    refs = tuple(ref for found in named(mesh, f"{namespace}/{name}") for ref in found.pods)
    return best_first(mesh, tuple(dict.fromkeys(refs)))


def resolve(mesh: MeshIndex, namespace: str, host: str, port: int) -> Destination:
    """Where a client in *namespace* would connect to for *host*:*port*."""
    if is_address(host):
        return Destination(host, port, "an address", mesh.service_by_ip(host))
    service = mesh.service_by_host(host, namespace)
    if service is not None:
        return _of_service(mesh, service, port)
    entry = _service_entry(mesh, host.rstrip(".").lower())
    if entry is None:
        return Destination("", port, _unknown(mesh), unknown=True)
    address = next((text.partition("/")[0] for text in entry.spec.addresses), "") or _allocated(entry)
    return Destination(address, port, f"ServiceEntry {entry.key}")


def _unknown(mesh: MeshIndex) -> str:
    if not mesh.known("Service"):
        read = "of every namespace were not read" if mesh.in_part("Service") else "could not be read"
        return f"the Services {read}: only DNS may know the address of this name"
    return "no Service and no ServiceEntry has this name: only DNS may know its address"


def near_hosts(mesh: MeshIndex, namespace: str, host: str) -> tuple[str, ...]:
    """Names that were perhaps meant by *host*, as a client in *namespace* would write them, nearest first."""
    name = host.rstrip(".").lower()
    label = name.partition(".")[0]
    known = {
        short if service.namespace == namespace and "." not in name else f"{short}.{service.namespace}"
        for service in mesh.services.values()
        for short in (service.name,)
    }
    known |= {each.lower() for entry in mesh.objects("ServiceEntry", ServiceEntry) for each in entry.spec.hosts}
    elsewhere = sorted(each for each in known if each.partition(".")[0] == label)
    # `cart.shpo.svc.cluster.local` is compared without its ending: it would make all names alike.
    asked = ".".join(name.split(".")[:2]) if ".svc" in name else name
    return tuple(dict.fromkeys((*elsewhere, *get_close_matches(asked, sorted(known), 3, 0.6))))[:3]


def _of_service(mesh: MeshIndex, service: Service, port: int) -> Destination:
    spec = service.spec
    if spec.type == "ExternalName":
        return Destination("", port, f"Service {service.key} is an alias of {spec.external_name}", service)
    if spec.cluster_ip and spec.cluster_ip != "None":
        return Destination(spec.cluster_ip, port, f"Service {service.key}", service)
    # A headless Service's name gives the pods' own addresses, so the dialled port is the pod's.
    addresses = ready_addresses(mesh, service)
    return Destination(addresses[0] if addresses else "", port, f"headless Service {service.key}", service)


def ready_addresses(mesh: MeshIndex, service: Service) -> tuple[str, ...]:
    """Addresses that DNS (headless) or kube-proxy uses: ready ones, in the EndpointSlices' order."""
    return tuple(
        address
        for entry in mesh.slices(service)
        for endpoint in entry.endpoints or []
        for address in endpoint.addresses
        if endpoint.conditions.ready is not False
    )


def backends(mesh: MeshIndex, service: Service, port: int) -> tuple[tuple[str, int], ...]:
    """Address and port of every ready endpoint behind a service port, as kube-proxy picks them."""
    named = next((entry for entry in service.spec.ports if entry.port == port), None)
    if named is None:
        return ()
    found = []
    for entry in mesh.slices(service):
        numbers = [each.port for each in entry.ports or [] if (each.name or "") == named.name and each.port]
        for endpoint in entry.endpoints or []:
            if endpoint.conditions.ready is not False:
                found += [(address, number) for address in endpoint.addresses for number in numbers]
    return tuple(found)


def _service_entry(mesh: MeshIndex, host: str) -> ServiceEntry | None:
    exact: dict[str, ServiceEntry] = {}
    wildcard: dict[str, ServiceEntry] = {}
    for entry in mesh.objects("ServiceEntry", ServiceEntry):
        for name in entry.spec.hosts:
            (wildcard if name.startswith("*") else exact).setdefault(name.lower(), entry)
    found = most_specific(host, exact, wildcard)
    return found[1] if found else None


def _allocated(entry: ServiceEntry) -> str:
    """The address that istiod gave a ServiceEntry without one (status.addresses, since 1.25)."""
    addresses = entry.status.get("addresses") if isinstance(entry.status, dict) else None
    for allocated in addresses if isinstance(addresses, list) else []:
        if isinstance(allocated, dict) and allocated.get("value"):
            return str(allocated["value"])
    return ""


def gateway_for(mesh: MeshIndex, host: str, port: int) -> tuple[PodRef, int] | None:
    """The gateway pod that serves *host*:*port*, and its own port behind the gateway's Service.

    A Gateway object that takes the host decides; without one, any gateway whose Service has that port.
    """
    candidates = [ref for ref in mesh.pods if mesh.is_gateway(ref)]
    taking = [gateway for gateway in mesh.objects("Gateway", Gateway) if takes(gateway, host)]
    chosen = {ref for gateway in taking for ref in pods_of(mesh, gateway)}

    def rank(ref: PodRef) -> tuple[bool, bool, bool, str]:
        waits = mesh.pods[ref].status.phase == "Pending"
        return ref not in chosen, ref not in mesh.inventory.proxies, waits, ref.name

    for ref in sorted(candidates, key=rank):
        target = _target_port(mesh, mesh.pods[ref], port)
        if target:
            return ref, target
    return None


def _target_port(mesh: MeshIndex, pod: Pod, port: int) -> int:
    """The pod's port behind *port* of a Service that selects it; 0 when no Service has that port."""
    for service in mesh.services.values():
        selector = service.spec.selector
        if service.namespace != pod.namespace or not selects_some(selector, pod.metadata.labels):
            continue
        for each in service.spec.ports:
            if each.port == port:
                return target_port(each, pod.spec) or 0
    return 0
