"""The JSON of just one object of a proxy's configuration."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.mesh.proxy.joined_routing import CLUSTER, ROUTE, describe_match
from meshdoctor.model.decode import decode_json
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.envoy.config_dump import ConfigDump, Resource
from meshdoctor.model.envoy.endpoint import ClusterLoadAssignment, HostStatus, LbEndpoint
from meshdoctor.model.envoy.listener import FilterChain, Listener
from meshdoctor.model.envoy.route import RouteConfiguration
from meshdoctor.model.mending import mended


def resource_json(config: ConfigDump, kind: str, name: str) -> list[msgspec.Raw]:
    """The JSON of a listener, route configuration, cluster, endpoint assignment or secret, as it stood in the dump."""
    found: dict[str, tuple[Resource[Any], ...]] = {
        "listener": (*config.listeners, *config.partly(Listener)),
        ROUTE: (*config.routes, *config.partly(RouteConfiguration)),
        CLUSTER: (*config.clusters, *config.partly(Cluster)),
        "endpoint": (*config.endpoints, *config.partly(ClusterLoadAssignment)),
        "secret": config.secrets,
    }
    named = [
        entry
        for entry in found.get(kind, ())
        if name in (entry.name, getattr(entry.body, "name", ""), getattr(entry.body, "cluster_name", ""))
    ]
    return [entry.raw if bytes(entry.raw) else msgspec.Raw(msgspec.json.encode(entry.error)) for entry in named]


def certificates_with(body: bytes, serial: str) -> list[dict[str, Any]]:
    """The certificates with this serial number in an answer of `/certs`, each once; raises `UnreadableError`."""
    found: list[dict[str, Any]] = []
    for certificate in decode_json(body, dict[str, list[dict[str, list[dict[str, Any]]]]]).get("certificates", ()):
        for entry in (entry for entries in certificate.values() for entry in entries):
            if entry.get("serial_number") == serial and entry not in found:
                found.append(entry)
    return found


def chain_json(config: ConfigDump, listener: str, match: str) -> list[dict[str, Any]]:
    """The filter chains of a listener of which *match* tells what leads to them (`describe_match`)."""
    found = []
    for raw in resource_json(config, "listener", listener):
        value = _object(raw)
        body = mended(raw, Listener) or Listener()
        last = value.get("default_filter_chain")
        for chain in (*_objects(value.get("filter_chains")), *((last,) if isinstance(last, dict) else ())):
            read = mended(msgspec.json.encode(chain), FilterChain)
            if read is not None and describe_match(body, read) == match:
                found.append(chain)
    return found


def endpoint_json(config: ConfigDump, cluster: str, address: str) -> list[dict[str, Any]]:
    """The endpoint of a cluster with this address, as the proxy was sent it."""
    found = []
    for raw in resource_json(config, "endpoint", cluster):
        for group in _objects(_object(raw).get("endpoints")):
            for entry in _objects(group.get("lb_endpoints")):
                endpoint = mended(msgspec.json.encode(entry), LbEndpoint)
                if endpoint is not None and str(endpoint.endpoint.address) == address:
                    found.append(entry)
    return found


def host_json(body: bytes, cluster: str, address: str) -> list[dict[str, Any]]:
    """The host of a cluster with this address ("": all) in an answer of `/clusters?format=json`: Envoy's own view.

    Raises `UnreadableError`.
    """
    found = []
    for status in decode_json(body, _Statuses).cluster_statuses:
        if status.name == cluster:
            for entry in status.host_statuses:
                host = mended(msgspec.json.encode(entry), HostStatus)
                if host is not None and address in ("", str(host.address)):
                    found.append(entry)
    return found


class _Status(msgspec.Struct):
    name: str = ""
    host_statuses: list[dict[str, Any]] = []


class _Statuses(msgspec.Struct):
    cluster_statuses: list[_Status] = []


def _object(raw: msgspec.Raw) -> dict[str, Any]:
    value = msgspec.json.decode(raw)
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
