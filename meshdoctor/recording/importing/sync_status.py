"""`istioctl proxy-status` in its three forms, as istiod's `/debug/syncz`.

istioctl/pkg/writer/pilot/status.go and istioctl/pkg/proxystatus, 1.20 to 1.32.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.recording.importing.yaml_guard import load_documents

_NONCE = "unknown"
"""istioctl tells states, not nonces: any one stands for what was sent, and for the acknowledgement when it came."""
_SHORT = {
    "CDS": "envoy.config.cluster.v3.Cluster",
    "LDS": "envoy.config.listener.v3.Listener",
    "EDS": "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "RDS": "envoy.config.route.v3.RouteConfiguration",
    "ECDS": "envoy.config.core.v3.TypedExtensionConfig",
    "SDS": "envoy.extensions.transport_sockets.tls.v3.Secret",
    "WDS": "istio.workload.Address",
    "WADS": "istio.security.Authorization",
}
_ZTUNNEL = {"WADS", "WDS"}
_SUBSCRIBED = "SUBSCRIBED TYPES"
_PREFIX = "type.googleapis.com/"
_COLUMN = re.compile(r"\S+(?: \([^)]*\)| \S+)*")
_STATES = ("SYNCED", "STALE", "NOT SENT", "NOT_SENT", "IGNORED", "ERROR")


def sync_json(body: bytes) -> dict[str, bytes]:
    """By istiod its records, from `-o json`; raises `UnreadableError`."""
    return _responses([decode_json(body, object)])


def sync_yaml(body: bytes) -> dict[str, bytes]:
    """The same from `-o yaml`."""
    return _responses(load_documents(body))


def _responses(documents: Any) -> dict[str, bytes]:
    found: dict[str, list[dict[str, Any]]] = {}
    for document in documents:
        for response in document if isinstance(document, list) else [document]:
            istiod = _istiod(response)
            found.setdefault(istiod, []).extend(_records(response))
    if not any(found.values()):
        raise UnreadableError("no proxy in it")
    return {istiod: msgspec.json.encode(records) for istiod, records in found.items()}


def _istiod(response: Any) -> str:
    identifier = _get(_get(response, "controlPlane"), "identifier")
    if isinstance(identifier, str):
        try:
            name = _get(decode_json(identifier.encode(), object), "ID")
        except UnreadableError:
            name = identifier
        if isinstance(name, str) and re.fullmatch(r"[a-z0-9][-a-z0-9.]{0,252}", name):
            return name
    return "istiod"


def _records(response: Any) -> Iterator[dict[str, Any]]:
    for resource in _get(response, "resources") or ():
        node = _get(resource, "node")
        proxy = _get(node, "id")
        if not isinstance(proxy, str):
            continue
        metadata = _get(node, "metadata") or {}
        resources = {}
        for config in _get(resource, "genericXdsConfigs") or ():
            url = _get(config, "typeUrl")
            if isinstance(url, str):
                resources[url] = _state(str(_get(config, "configStatus") or ""), _get(config, "lastUpdated"), config)
        # `id` is NAME.NAMESPACE in istiod's own answers, and TYPE~IP~NAME.NAMESPACE~DOMAIN in Envoy's.
        yield {
            "proxy": proxy.split("~")[2] if proxy.count("~") == 3 else proxy,
            "cluster_id": str(_get(metadata, "CLUSTER_ID") or ""),
            "istio_version": str(_get(metadata, "ISTIO_VERSION") or ""),
            "resources": resources,
        }


def _state(status: str, moment: Any, config: Any) -> dict[str, str]:
    state: dict[str, str] = {}
    if status in ("SYNCED", "STALE", "ERROR"):
        state = {"sent": _NONCE, "acked": _NONCE if status == "SYNCED" else ""}
        if isinstance(moment, str):
            state["sentTime"] = moment
            if status == "SYNCED":
                state["ackedTime"] = moment
    details = _get(_get(config, "errorState"), "details")
    if isinstance(details, str):
        state["lastError"] = details
    return state


def sync_table(body: bytes) -> dict[str, bytes]:
    """The same from the table: one column per type to 1.26; from 1.27 on only what each proxy subscribed to."""
    lines = body.decode(errors="replace").splitlines()
    header = re.split(r"\s{2,}", lines[0].strip())
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines[1:]:
        cells = re.split(r"\s{2,}", line.strip())
        if len(cells) < 3:
            continue
        # An empty cell leaves no trace but its width, so that a short row is read by position.
        row = dict(zip(header, cells, strict=False)) if len(cells) == len(header) else _by_position(lines[0], line)
        resources: dict[str, Any] = {}
        for short, name in _SHORT.items():
            state = next((known for known in _STATES if row.get(short, "").upper().startswith(known)), "")
            if state:
                resources[_PREFIX + name] = _state(state.split()[0].replace("NOT", ""), None, {})
        subscribed = set(re.findall(r"\w+", row.get(_SUBSCRIBED, "").partition("(")[2]))
        resources |= {_PREFIX + name: {"told": False} for short, name in _SHORT.items() if short in subscribed}
        record = {
            "proxy": row.get("NAME", ""),
            "proxy_type": "ztunnel" if subscribed and subscribed <= _ZTUNNEL else "",
            "cluster_id": row.get("CLUSTER", ""),
            "istio_version": row.get("VERSION", ""),
            "resources": resources,
        }
        found.setdefault(row.get("ISTIOD") or row.get("PILOT") or "istiod", []).append(record)
    if not found:
        raise UnreadableError("no proxy in the table")
    return {istiod: msgspec.json.encode(records) for istiod, records in found.items()}


def _by_position(header: str, line: str) -> dict[str, str]:
    starts = [(match.start(), match[0]) for match in _COLUMN.finditer(header)]
    ends = [start for start, _ in starts[1:]] + [max(len(line), starts[-1][0])]
    return {name: line[start:end].strip() for (start, name), end in zip(starts, ends, strict=True)}


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None
