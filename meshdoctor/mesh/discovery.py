"""Sync status as xDS answers it (`istio.io/debug/syncz`), which is what `istioctl proxy-status -o json` prints.

The HTTP endpoint `/debug/syncz` has the same facts in another shape; both are turned into each other here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from meshdoctor.mesh.sync import IstiodFacts, type_states
from meshdoctor.model.discovery import CLIENT_CONFIG, client_metadata, control_plane, sync_records
from meshdoctor.model.istiod import SyncRecord


def in_namespace(response: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """A response with the proxies of one namespace only ("" keeps all)."""
    if not namespace:
        return dict(response)
    kept = [client for client in response.get("resources", ()) if client_metadata(client).get("NAMESPACE") == namespace]
    return {**response, "resources": kept}


def istiod_facts(response: Mapping[str, Any]) -> IstiodFacts:
    """A response as the facts that `sync_status` takes."""
    said = control_plane(response)
    info = said.get("Info")
    version = str(info.get("version", "")) if isinstance(info, dict) else ""
    return IstiodFacts(str(said.get("ID", "MISSING")), list(sync_records(response)), "", version)


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
