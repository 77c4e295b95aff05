"""What istiod answers over xDS of its proxies (`istio.io/debug/syncz`): what `istioctl proxy-status -o json` prints.

An answer is a DiscoveryResponse with a ClientConfig for each proxy (pilot/pkg/xds/statusgen.go, istiod 1.7 to 1.32). It
has states, not nonces, which `SyncRecord` has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.model.istiod import ResourceSync, SyncRecord

CLIENT_CONFIG = "type.googleapis.com/envoy.service.status.v3.ClientConfig"
_GOOGLE = "type.googleapis.com/"
# pilot/pkg/xds/v3/model.go and pkg/model/xds.go, GetShortType.
SHORT_TYPES = {
    f"{_GOOGLE}envoy.config.cluster.v3.Cluster": "CDS",
    f"{_GOOGLE}envoy.config.listener.v3.Listener": "LDS",
    f"{_GOOGLE}envoy.config.endpoint.v3.ClusterLoadAssignment": "EDS",
    f"{_GOOGLE}envoy.config.route.v3.RouteConfiguration": "RDS",
    f"{_GOOGLE}envoy.config.core.v3.TypedExtensionConfig": "ECDS",
    f"{_GOOGLE}envoy.extensions.transport_sockets.tls.v3.Secret": "SDS",
    f"{_GOOGLE}istio.networking.nds.v1.NameTable": "NDS",
    f"{_GOOGLE}istio.mesh.v1alpha1.ProxyConfig": "PCDS",
    f"{_GOOGLE}istio.workload.Address": "WDS",
    f"{_GOOGLE}istio.workload.Workload": "WDS",
    f"{_GOOGLE}istio.security.Authorization": "WADS",
}
TYPE_URLS = {short: url for url, short in reversed(SHORT_TYPES.items())}
# Before genericXdsConfigs (Istio 1.14) each type had its own field.
_LEGACY = {"listenerConfig": "LDS", "clusterConfig": "CDS", "routeConfig": "RDS", "endpointConfig": "EDS"}
_NONCE = "sent"
"""Any nonce stands for what was sent, and for the acknowledgement when it came."""
_UNTOLD_ERROR = "rejected"


def read_responses(text: str) -> list[dict[str, Any]]:
    """The discovery responses of a file: one JSON document after the other, or an array of them.

    Raises `UnreadableError` when it holds none.
    """
    decoder, at = json.JSONDecoder(), 0
    found: list[Any] = []
    text = text.removeprefix("\ufeff").strip()
    while at < len(text):
        try:
            _, end = decoder.raw_decode(text, at)
            value = decode_json(text[at:end].encode(), object)
        except (ValueError, RecursionError) as error:
            raise UnreadableError(f"not what istioctl proxy-status -o json prints: {error}") from None
        at = end
        found += value if isinstance(value, list) else [value]
        while at < len(text) and text[at].isspace():
            at += 1
    if not found or not all(isinstance(entry, dict) for entry in found):
        raise UnreadableError("not what istioctl proxy-status -o json prints")
    return found


def control_plane(response: Any) -> Mapping[str, Any]:
    """Which istiod answers: `ID`, and its version in `Info`; empty when it does not say (pkg/istio-agent, CpInfo)."""
    identifier = _get(_get(response, "controlPlane"), "identifier")
    try:
        found = json.loads(identifier)
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def sync_records(response: Any) -> Iterator[SyncRecord]:
    """Each proxy of a response."""
    for client in _list(_get(response, "resources")):
        proxy = _get(_get(client, "node"), "id")
        if not isinstance(proxy, str) or _get(client, "@type") not in (None, CLIENT_CONFIG):
            continue
        metadata = client_metadata(client)
        yield SyncRecord(
            # NAME.NAMESPACE in istiod's own answers, TYPE~IP~NAME.NAMESPACE~DOMAIN in Envoy's.
            proxy=proxy.split("~")[2] if proxy.count("~") == 3 else proxy,
            cluster_id=_text(metadata.get("CLUSTER_ID")),
            istio_version=_text(metadata.get("ISTIO_VERSION")),
            resources=dict(_resources(client)),
        )


def client_metadata(client: Any) -> Mapping[str, Any]:
    """A ClientConfig's node metadata; {} when it has none."""
    found = _get(_get(client, "node"), "metadata")
    return found if isinstance(found, dict) else {}


def resource_sync(status: str, moment: Any = None, error: Any = None) -> ResourceSync | None:
    """One type's state (`SYNCED`, `STALE`, `ERROR`, `NOT_SENT`) with its last send; None: not subscribed to.

    An error has its text from Istio 1.23 on only.
    """
    if status == "NOT_SENT":
        return ResourceSync()
    if status not in ("SYNCED", "STALE", "ERROR"):
        return None
    return ResourceSync(
        sent=_NONCE,
        acked=_NONCE if status == "SYNCED" else "",
        sent_time=moment if isinstance(moment, str) else None,
        last_error=_text(error) or (_UNTOLD_ERROR if status == "ERROR" else ""),
    )


def _resources(client: Any) -> Iterator[tuple[str, ResourceSync]]:
    generic = _get(client, "genericXdsConfigs")
    for config in _list(generic if generic is not None else _get(client, "xdsConfig")):
        url = _get(config, "typeUrl") if generic is not None else _legacy_url(config)
        status = _get(config, "configStatus" if generic is not None else "status")
        error = _get(_get(config, "errorState"), "details")
        state = resource_sync(_text(status), _get(config, "lastUpdated"), error)
        if isinstance(url, str) and url and state is not None:
            yield url, state


def _legacy_url(config: Any) -> str:
    fields = config if isinstance(config, dict) else {}
    return next((TYPE_URLS[name] for field, name in _LEGACY.items() if field in fields), "")


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    """A text or a number that YAML read as one; "" for anything else."""
    return str(value) if isinstance(value, str | int | float) else ""
