"""Sync status as xDS answers it (`istio.io/debug/syncz`), which is what `istioctl proxy-status -o json` prints.

The HTTP endpoint `/debug/syncz` has the same facts in another shape; both are turned into each other here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from meshdoctor.mesh.sync import ERROR, TYPE_URLS, IstiodFacts, type_states
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.istiod import ResourceSync, SyncRecord

CLIENT_CONFIG = "type.googleapis.com/envoy.service.status.v3.ClientConfig"
# Before genericXdsConfigs (Istio 1.14) each type had its own field.
_LEGACY = {"listenerConfig": "LDS", "clusterConfig": "CDS", "routeConfig": "RDS", "endpointConfig": "EDS"}


def read_responses(text: str) -> list[dict[str, Any]]:
    """The discovery responses of a file: one JSON document after the other, or an array of them.

    Raises `UnreadableError` when it holds none.
    """
    decoder, found, at = json.JSONDecoder(), [], 0
    text = text.strip()
    while at < len(text):
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise UnreadableError(f"not what istioctl proxy-status -o json prints: {error}") from None
        found += value if isinstance(value, list) else [value]
        while at < len(text) and text[at].isspace():
            at += 1
    if not found or not all(isinstance(entry, dict) for entry in found):
        raise UnreadableError("not what istioctl proxy-status -o json prints")
    return found


def in_namespace(response: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """A response with the proxies of one namespace only ("" keeps all)."""
    if not namespace:
        return dict(response)
    kept = [client for client in response.get("resources", ()) if _metadata(client).get("NAMESPACE") == namespace]
    return {**response, "resources": kept}


def istiod_facts(response: Mapping[str, Any]) -> IstiodFacts:
    """A response as the facts that `sync_status` takes."""
    control_plane = _identifier(response)
    version = str(control_plane.get("Info", {}).get("version", ""))
    records = [_record(client) for client in response.get("resources", ()) if client.get("@type") == CLIENT_CONFIG]
    return IstiodFacts(str(control_plane.get("ID", "MISSING")), records, "", version)


def _identifier(response: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = json.loads(response.get("controlPlane", {}).get("identifier", "{}"))
    except (ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _metadata(client: Mapping[str, Any]) -> Mapping[str, Any]:
    found = client.get("node", {}).get("metadata", {})
    return found if isinstance(found, dict) else {}


def _record(client: Mapping[str, Any]) -> SyncRecord:
    metadata = _metadata(client)
    resources = {}
    for config in _configs(client):
        status = config.get("configStatus", "UNKNOWN")
        if status == "UNKNOWN":
            continue
        error = config.get("errorState", {}).get("details", "")
        resources[config.get("typeUrl", "")] = ResourceSync(
            sent="" if status == "NOT_SENT" else "sent",
            acked="sent" if status == "SYNCED" else "",
            sent_time=config.get("lastUpdated"),
            last_error=error or ("rejected" if status == ERROR else ""),
        )
    return SyncRecord(
        proxy=client.get("node", {}).get("id", ""),
        cluster_id=str(metadata.get("CLUSTER_ID", "")),
        istio_version=str(metadata.get("ISTIO_VERSION", "")),
        resources=resources,
    )


def _configs(client: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    generic = client.get("genericXdsConfigs")
    if generic is not None:
        return list(generic)
    found = []
    for config in client.get("xdsConfig", ()):
        url = next((TYPE_URLS[name] for field, name in _LEGACY.items() if field in config), "")
        if url:
            found.append({"typeUrl": url, "configStatus": config.get("status", "UNKNOWN")})
    return found


def discovery_response(istiod: IstiodFacts, now: float, namespace: str = "") -> dict[str, Any]:
    """What the istiod would answer over xDS, from its answer over HTTP; *now* in Unix seconds."""
    identifier = {
        "Component": "istiod",
        "ID": istiod.name,
        "Info": {"version": istiod.version, "revision": istiod.revision},
    }
    clients = [
        _client(record, now)
        for record in istiod.records or ()
        if record.proxy and (not namespace or record.namespace == namespace)
    ]
    return {
        "resources": clients,
        "typeUrl": "istio.io/debug/syncz",
        "controlPlane": {"identifier": json.dumps(identifier, separators=(",", ":"))},
    }


def _client(record: SyncRecord, now: float) -> dict[str, Any]:
    metadata = {"CLUSTER_ID": record.cluster_id, "ISTIO_VERSION": record.istio_version, "NAMESPACE": record.namespace}
    configs = []
    for entry in sorted(type_states(record, now), key=lambda state: state.url):
        config: dict[str, Any] = {"typeUrl": entry.url, "configStatus": entry.status.replace(" ", "_")}
        resource = record.resources.get(entry.url)
        if resource and resource.sent_time:
            config["lastUpdated"] = resource.sent_time
        if entry.error:
            config["errorState"] = {"details": entry.error}
        configs.append(config)
    node = {"id": record.proxy, "metadata": {key: value for key, value in metadata.items() if value}}
    return {"@type": CLIENT_CONFIG, "node": node, "genericXdsConfigs": configs}
