"""Envoy's admin answers in their text form, as the JSON that the same endpoint gives with `?format=json`.

`/clusters`: source/server/admin/clusters_handler.cc, `/listeners`: listeners_handler.cc, `/stats`: stats_render.cc
(Envoy 1.30 to 1.40).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from meshdoctor.model.decode import UnreadableError

_PER_CLUSTER = {"observability_name", "added_via_api", "eds_service_name"}
_PRIORITIES = {"default_priority", "high_priority"}
_THRESHOLDS = {"max_connections", "max_pending_requests", "max_requests", "max_retries"}
_STAT = re.compile(r"^(cx|rq)_")
_GAUGES = {"cx_active", "rq_active", "rq_pending_active"}
_ADDRESS = re.compile(r"^(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:]+)):(?P<port>\d+)$")
_FLAG = {
    "failed_active_hc": "failed_active_health_check",
    "failed_outlier_check": "failed_outlier_check",
    "degraded_active_hc": "failed_active_degraded_check",
    "pending_dynamic_removal": "pending_dynamic_removal",
    "pending_active_hc": "pending_active_hc",
    "excluded_via_immediate_hc_fail": "excluded_via_immediate_hc_fail",
    "active_hc_timeout": "active_hc_timeout",
}
_EDS_FLAG = {"failed_eds_health": "UNHEALTHY", "degraded_eds_health": "DEGRADED", "eds_status_draining": "DRAINING"}

_HOST_LINE = re.compile(
    r"^(?P<cluster>.+?)::(?P<host>\[[^\]]+\]:\d+|[^:\s]+:\d+|\.{0,2}/\S+?|envoy://\S+?)::(?P<rest>.*)$"
)
_CLUSTER_LINE = re.compile(
    r"^(?P<cluster>.+?)::(?P<key>observability_name|added_via_api|eds_service_name|version_info|default_priority"
    r"|high_priority|outlier)::(?P<rest>.*)$"
)


def clusters_json(body: bytes) -> bytes:
    """`/clusters` as `/clusters?format=json`; raises `UnreadableError` when no line of it is one."""
    clusters: dict[str, dict[str, Any]] = {}
    hosts: dict[tuple[str, str], dict[str, Any]] = {}
    for line in body.decode(errors="replace").splitlines():
        match = _CLUSTER_LINE.match(line)
        if match:
            cluster = clusters.setdefault(match["cluster"], {"name": match["cluster"], "host_statuses": []})
            _of_cluster(cluster, match["key"], match["rest"])
            continue
        match = _HOST_LINE.match(line)
        if match:
            cluster = clusters.setdefault(match["cluster"], {"name": match["cluster"], "host_statuses": []})
            key = (match["cluster"], match["host"])
            if key not in hosts:
                hosts[key] = {"address": _address(match["host"]), "stats": [], "health_status": {}}
                cluster["host_statuses"].append(hosts[key])
            _of_host(hosts[key], match["rest"])
    if not clusters:
        raise UnreadableError("no line of /clusters in it")
    return msgspec.json.encode({"cluster_statuses": list(clusters.values())})


def _of_cluster(cluster: dict[str, Any], key: str, rest: str) -> None:
    if key in _PER_CLUSTER:
        cluster[key] = rest == "true" if key == "added_via_api" else rest
    elif key in _PRIORITIES:
        name, _, value = rest.partition("::")
        if name in _THRESHOLDS and value.isdigit():
            thresholds = cluster.setdefault("circuit_breakers", {}).setdefault("thresholds", [])
            priority = {"priority": "HIGH"} if key == "high_priority" else {}
            found = next((entry for entry in thresholds if entry.get("priority") == priority.get("priority")), None)
            if found is None:
                found = dict(priority)
                thresholds.append(found)
            found[name] = int(value)


def _of_host(host: dict[str, Any], rest: str) -> None:
    name, _, value = rest.partition("::")
    if _STAT.match(name) and value.isdigit():
        host["stats"].append({"name": name, "value": value, "type": "GAUGE" if name in _GAUGES else "COUNTER"})
    elif name == "health_flags":
        status = {"eds_health_status": "HEALTHY"}
        for flag in value.strip("/").split("/"):
            if flag in _FLAG:
                status[_FLAG[flag]] = True  # type: ignore[assignment]
            elif flag in _EDS_FLAG:
                status["eds_health_status"] = _EDS_FLAG[flag]
        host["health_status"] = status
    elif name in ("weight", "priority") and value.isdigit():
        host[name] = int(value)
    elif name == "hostname":
        host[name] = value
    elif name in ("region", "zone", "sub_zone") and value:
        host.setdefault("locality", {})[name] = value


def _address(text: str) -> dict[str, Any]:
    match = _ADDRESS.match(text)
    if match:
        return {"socket_address": {"address": match["v6"] or match["v4"], "port_value": int(match["port"])}}
    if text.startswith("envoy://"):
        name, _, endpoint = text.removeprefix("envoy://").partition("/")
        return {"envoy_internal_address": {"server_listener_name": name, "endpoint_id": endpoint}}
    return {"pipe": {"path": text}}


def listeners_json(body: bytes) -> bytes:
    """`/listeners` as `/listeners?format=json`; raises `UnreadableError` when no line of it is one."""
    found = []
    for line in body.decode(errors="replace").splitlines():
        name, separator, address = line.strip().partition("::")
        if separator and address:
            found.append({"name": name, "local_address": _address(address)})
    if not found:
        raise UnreadableError("no line of /listeners in it")
    return msgspec.json.encode({"listener_statuses": found})


def stats_json(body: bytes) -> bytes:
    """`/stats` as `/stats?format=json`; histograms, which the text form prints as prose, are left out."""
    stats: list[dict[str, Any]] = []
    for line in body.decode(errors="replace").splitlines():
        name, separator, value = line.rpartition(": ")
        if separator:
            stats.append({"name": name, "value": int(value) if value.isdigit() else value.strip('"')})
    if not stats:
        raise UnreadableError("no line of /stats in it")
    return msgspec.json.encode({"stats": stats})
