"""What one proxy does not run of what it should: against what istiod would send it, and without that, as far as the
proxy's dump tells (`slices.py`: as far as the cluster's objects tell).

istiod's `/debug/config_dump?proxyID=` generates anew what it would send (pilot/pkg/xds/debug.go, connectionHandler);
it is asked for sidecars only: istiod 1.27.1 served redacted keys to gateways after it had been asked (istio#57789).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from meshdoctor.mesh.proxy.difference import ResourceDifference, field, resource_differences, section_values
from meshdoctor.mesh.proxy.fields import field_differences
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.sections import Sections

ENDPOINTS = "Endpoints"


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


def warming(config: ConfigDump) -> list[tuple[str, str]]:
    """Kind and name of what the proxy took and cannot use yet, and has no older version of.

    It waits for something: a secret that never came, the endpoints or the address of a cluster (Envoy's "warming").
    """
    found = []
    for kind, resources in (("cluster", config.clusters), ("listener", config.listeners), ("secret", config.secrets)):
        used = {entry.name for entry in resources if entry.state in ("active", "static")}
        found += [(kind, entry.name) for entry in resources if entry.state == "warming" and entry.name not in used]
    return found
