"""What one proxy does not run of what it should: against what istiod would send it, and without that, as far as
the cluster's own objects and the proxy's dump tell.

istiod's `/debug/config_dump?proxyID=` generates anew what it would send (pilot/pkg/xds/debug.go, connectionHandler);
it is asked for sidecars only: istiod 1.27.1 served redacted keys to gateways after it had been asked (istio#57789).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.proxy.difference import ResourceDifference, field, resource_differences, section_values
from meshdoctor.mesh.proxy.fields import field_differences
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.endpoint import LbEndpoint
from meshdoctor.model.envoy.sections import Sections
from meshdoctor.model.names import parse_cluster_name
from meshdoctor.model.snapshot import PodRef

ENDPOINTS = "Endpoints"


class EndpointDifference(NamedTuple):
    """One cluster of a proxy against the EndpointSlices: the *old* addresses that it still has, the *new* it lacks."""

    cluster: str
    service: str
    old: tuple[str, ...]
    new: tuple[str, ...]


def sent_differences(istiod: Sections, envoy: Sections) -> list[ResourceDifference]:
    """Every cluster, listener, route configuration and load assignment that Envoy does not run as istiod sends it.

    A load assignment counts by its addresses, their weight and priority: their health is the proxy's own finding.
    Raises `UnreadableError`.
    """
    try:
        return [
            *resource_differences(istiod, envoy, with_lines=False, more=True),
            *_endpoint_differences(istiod, envoy),
        ]
    except (AttributeError, TypeError, RecursionError) as error:
        # A section whose JSON is sound but that is built like no section.
        raise UnreadableError(f"a section is not built as Envoy's: {error}") from None


def _endpoint_differences(istiod: Sections, envoy: Sections) -> Iterator[ResourceDifference]:
    sent, runs = (_assignments(side) for side in section_values(istiod, envoy, "EndpointsConfigDump"))
    if sent is None or runs is None:
        return
    # Envoy also lists what it resolved itself (STRICT_DNS, STATIC); istiod sends assignments for EDS clusters alone.
    for name in sorted(sent):
        if name not in runs and sent[name]:
            yield ResourceDifference(ENDPOINTS, name, "only istiod")
        elif fields := tuple(field_differences(sent[name], runs.get(name, {}))):
            yield ResourceDifference(ENDPOINTS, name, "differs", fields=fields)


def _assignments(section: dict[str, Any] | None) -> Mapping[str, dict[str, Any]] | None:
    """The endpoints of each cluster by address; None for a dump without endpoints (no `include_eds`)."""
    if section is None:
        return None
    found: dict[str, dict[str, Any]] = {}
    for entry in field(section, "dynamic_endpoint_configs") or ():
        body = field(entry, "endpoint_config") or {}
        hosts = found.setdefault(str(field(body, "cluster_name") or ""), {})
        for group in body.get("endpoints", ()):
            for one in field(group, "lb_endpoints") or ():
                shape = {"priority": group.get("priority", 0), "weight": field(one, "load_balancing_weight") or 1}
                hosts[_address(one)] = shape
    return found


def _address(endpoint: dict[str, Any]) -> str:
    address = (endpoint.get("endpoint") or {}).get("address") or {}
    socket, inner = field(address, "socket_address"), field(address, "envoy_internal_address")
    if socket:
        return f"{socket.get('address', '')}:{field(socket, 'port_value') or 0}"
    return str(field(inner, "endpoint_id") or "") if inner else str((address.get("pipe") or {}).get("path", ""))


def endpoint_differences(mesh: MeshIndex, pod: PodRef) -> list[EndpointDifference]:
    """The proxy's load assignments that are not what the EndpointSlices say; both must have been read.

    Only the local cluster's addresses are judged: with several clusters in the mesh, or machines in WorkloadEntries,
    an address that is in no slice may well be right.
    """
    config = mesh.config(pod)
    if config is None or not config.has("EndpointsConfigDump") or not mesh.complete("EndpointSlice"):
        return []
    clusters = {record.cluster_id for records in mesh.sync_records.values() for record in records}
    machines = {entry.spec.address for entry in mesh.objects("WorkloadEntry", istio.WorkloadEntry)}
    found = []
    for entry in config.clusters:
        name = parse_cluster_name(entry.name)
        service = mesh.service_by_host(name.host) if name.direction == "outbound" and not name.subset else None
        if service is None or entry.body.type != "EDS":
            continue
        assigned = config.load_assignment(entry.body)
        if assigned is None:
            continue
        held = {address for one in assigned.all if (address := _ip(one))}
        slices = _of_port(mesh, service, name.port)
        listed = {address for part in slices for one in part.endpoints or () for address in one.addresses}
        old = held - listed - machines if len(clusters) < 2 else set()
        new = _ready(slices, {_family(address) for address in held}) - held
        if old or new:
            found.append(EndpointDifference(entry.name, service.key, _ordered(old), _ordered(new)))
    return found


def _of_port(mesh: MeshIndex, service: k8s.Service, port: int | None) -> list[k8s.EndpointSlice]:
    """The slices that have the Service's port of that number, by its name as Kubernetes joins them."""
    names = {entry.name or "" for entry in service.spec.ports if entry.port == port}
    return [part for part in mesh.slices(service) if names & {entry.name or "" for entry in part.ports or ()}]


def _ready(slices: Iterable[k8s.EndpointSlice], families: set[int]) -> set[str]:
    """The ready addresses; only of the families that the proxy already has, as a pod has one address in each."""
    found = {
        address
        for part in slices
        for one in part.endpoints or ()
        if one.conditions.ready is not False
        for address in one.addresses[:1]
    }
    return {address for address in found if _family(address) in (families or {4})}


def _ip(endpoint: LbEndpoint) -> str:
    """An endpoint's address without its port, also of one that is reached through a tunnel (HBONE)."""
    address = endpoint.endpoint.address
    inner = address.envoy_internal_address
    return address.ip or (inner.endpoint_id.rpartition(":")[0].strip("[]") if inner else "")


def _family(address: str) -> int:
    try:
        return ipaddress.ip_address(address).version
    except ValueError:
        return 0


def _ordered(addresses: set[str]) -> tuple[str, ...]:
    return tuple(sorted(addresses))


def received(config: ConfigDump) -> dict[str, str]:
    """When the newest resource of each kind that the proxy runs arrived (RFC 3339), by kind; by the proxy's clock."""
    newest = {}
    for kind, resources in (("clusters", config.clusters), ("listeners", config.listeners), ("routes", config.routes)):
        times = [str(entry.last_updated) for entry in resources if entry.last_updated and entry.state != "static"]
        if times:
            newest[kind] = max(times)
    return newest


def missing_clusters(config: ConfigDump) -> dict[str, tuple[str, ...]]:
    """Clusters that the proxy's routes name and that it has not got, each with the route configurations that do.

    Routes and clusters arrive apart: a rejected update of the clusters leaves routes that lead nowhere. Nothing can be
    said of a dump of which a part could not be read.
    """
    if config.problems or not config.has("ClustersConfigDump"):
        return {}
    known = {entry.name for entry in config.clusters}
    found: dict[str, dict[str, None]] = {}
    for entry in config.routes:
        for host in entry.body.virtual_hosts:
            for route in host.routes:
                for name in route.route.clusters if route.route else ():
                    if name not in known:
                        found.setdefault(name, {})[entry.name] = None
    return {name: tuple(tables) for name, tables in sorted(found.items())}
