"""The JSON of just one object of a proxy's configuration."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.mesh.proxy.joined_routing import CLUSTER, ROUTE
from meshdoctor.model.decode import decode_json
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.envoy.config_dump import ConfigDump, Resource
from meshdoctor.model.envoy.endpoint import ClusterLoadAssignment
from meshdoctor.model.envoy.listener import Listener
from meshdoctor.model.envoy.route import RouteConfiguration


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
