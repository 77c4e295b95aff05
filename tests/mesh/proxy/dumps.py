"""Small config dumps for the tests of tables."""

from __future__ import annotations

import json
from typing import Any

from meshdoctor.model.envoy.sections import Sections, find_sections

ADMIN = "type.googleapis.com/envoy.admin.v3."


def dump(**sections: dict[str, Any]) -> bytes:
    """A dump laid out as Envoy prints it; sections by message name."""
    configs = [{"@type": ADMIN + name, **body} for name, body in sections.items()]
    return json.dumps({"configs": configs}, indent=1).encode()


def read(**sections: dict[str, Any]) -> Sections:
    return find_sections(dump(**sections))


def clusters(*bodies: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"dynamic_active_clusters": [{"cluster": body} for body in bodies], **more}


def listeners(*bodies: dict[str, Any]) -> dict[str, Any]:
    return {"dynamic_listeners": [{"name": body.get("name"), "active_state": {"listener": body}} for body in bodies]}


def routes(*bodies: dict[str, Any]) -> dict[str, Any]:
    return {"dynamic_route_configs": [{"route_config": body} for body in bodies]}


def socket(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}


def http(**config: Any) -> dict[str, Any]:
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": {"@type": "x/Hcm", **config}}


def tcp(**config: Any) -> dict[str, Any]:
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": {"@type": "x/TcpProxy", **config}}
