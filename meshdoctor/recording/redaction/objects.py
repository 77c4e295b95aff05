"""Kubernetes and Istio objects, rebuilt from the fields that questions are asked of: nothing else reaches a bundle."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from meshdoctor.model.decode import UnreadableError, convert, decode_json
from meshdoctor.model.istiod import MeshConfig
from meshdoctor.model.kinds import KINDS, Kind
from meshdoctor.recording.importing.yaml_guard import load_documents
from meshdoctor.recording.redaction.kubelet import clean_event, clean_status
from meshdoctor.recording.redaction.text import Redactor
from meshdoctor.recording.redaction.tree import clean, clean_proxy_config, is_shown

_PROXIES = ("istio-proxy", "istio-init", "istio-validation", "discovery", "ztunnel")
_SLEEP = re.compile(r"(?:/bin/)?(?:sleep|sh|bash|-c|\d+[smh]?|sleep \d+[smh]?)")
_COMMANDS = re.compile(r"proxy|sidecar|router|waypoint|ztunnel|discovery|istio-iptables|istio-clean-iptables")
_FLAG = re.compile(
    r"(?:--(?:domain|serviceCluster|drainDuration|parentShutdownDuration|discoveryAddress|connectTimeout|proxyAdminPort"
    r"|concurrency|controlPlaneAuthPolicy|statusPort|trust-domain|stsPort|proxyLogLevel|proxyComponentLogLevel"
    r"|log_output_level|log_as_json|log_caller|log_stacktrace_level|outlierLogPath|monitoringAddr|keepaliveMaxServerConnectionAge"
    r"|run-validation|skip-rule-apply|probe-timeout|iptables-[a-z-]+|istio-[a-z-]+|redirect-dns|capture-all-dns)"
    r"|-[pzumixbdoqkceti])(?:=|$)"
)
"""Flags of pilot-agent, pilot-discovery and istio-iptables (Istio 1.24 to 1.32)."""
_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")


_MESH_CONFIG = re.compile(r"^istio(?:-[a-z0-9-]+)?$")
_BY_KIND = {(kind.group, "Gateway" if kind.name == "K8sGateway" else kind.name): kind for kind in KINDS}


class _Head(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str = ""
    kind: str = ""


class _List(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw] | None = None


def clean_list(body: bytes, kind: Kind, redactor: Redactor) -> bytes:
    """The list with each object rebuilt. Raises `UnreadableError`.

    In the place of one that does not decode stands a text, so that whoever reads the list knows that it is not whole.
    """
    kept = []
    for raw in decode_json(body, _List).items or ():
        try:
            built: dict[str, Any] = msgspec.to_builtins(decode_json(bytes(raw), kind.struct))
            kept.append(msgspec.json.encode(clean_object(built, kind, redactor)))
        except (UnreadableError, RecursionError):
            redactor.counts["unreadable object"] += 1
            kept.append(b'"not kept: it did not decode"')
    return b'{"kind":"List","apiVersion":"v1","items":[' + b",".join(kept) + b"]}"


def clean_object(built: dict[str, Any], kind: Kind, redactor: Redactor) -> dict[str, Any]:
    """One object, already reduced to the fields of its struct."""
    built.get("metadata", {}).pop("managedFields", None)
    if kind.name == "ConfigMap":
        data = built.pop("data", None) or {}
        if _MESH_CONFIG.match(built.get("metadata", {}).get("name", "")) and isinstance(data.get("mesh"), str):
            built["data"] = {"mesh": _mesh_config(data["mesh"], redactor)}
        redactor.counts["ConfigMap data"] += len(data)
        return {**clean({name: value for name, value in built.items() if name != "data"}, redactor), **_data(built)}
    if kind.name == "Pod":
        _pod_spec(built.get("spec", {}), redactor)
        clean_status(built.get("status", {}), redactor)
    elif kind.name == "Event":
        clean_event(built, redactor)
    elif "template" in built.get("spec", {}) and kind.group == "apps":
        _pod_spec(built["spec"]["template"].get("spec", {}), redactor)
    found: dict[str, Any] = clean(built, redactor)
    return found


def _data(built: dict[str, Any]) -> dict[str, Any]:
    return {"data": built["data"]} if "data" in built else {}


def _mesh_config(text: str, redactor: Redactor) -> str:
    """The mesh config of istiod's ConfigMap, reduced as istiod's own answer is; empty when it cannot be read."""
    try:
        found = convert(next(load_documents(text.encode()), None) or {}, MeshConfig)
    except UnreadableError:
        return ""
    return msgspec.json.encode(clean(msgspec.to_builtins(found), redactor)).decode()


def clean_store(body: bytes, redactor: Redactor) -> bytes:
    """istiod's own store of objects (`/debug/configz`): those of the kinds that are read. Raises `UnreadableError`."""
    kept = []
    for raw in decode_json(body, list[msgspec.Raw] | None) or ():  # type: ignore[arg-type]
        head = decode_json(bytes(raw), _Head)
        kind = _BY_KIND.get((head.api_version.rpartition("/")[0], head.kind))
        if kind is not None:
            built: dict[str, Any] = msgspec.to_builtins(decode_json(bytes(raw), kind.struct))
            kept.append(msgspec.json.encode(clean_object(built, kind, redactor)))
    return b"[" + b",".join(kept) + b"]"


def _pod_spec(spec: dict[str, Any], redactor: Redactor) -> None:
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        _arguments(container, redactor)
        for variable in container.get("env", ()):
            name, value = variable.get("name", ""), variable.get("value")
            if value and not is_shown(name):
                redactor.counts["environment"] += 1
                del variable["value"]
            elif value and name == "PROXY_CONFIG":
                variable["value"] = clean_proxy_config(value, redactor)
        for name in _PROBES:
            _handler(container.get(name) or {}, redactor)
        for handler in (container.get("lifecycle") or {}).values():
            _handler(handler or {}, redactor)


def _arguments(container: dict[str, Any], redactor: Redactor) -> None:
    """Of an application none; of a proxy those that are known, each with its value."""
    arguments = container.pop("args", None)
    if not arguments:
        return
    redactor.counts["arguments"] += 1
    if container.get("name") not in _PROXIES:
        return
    kept, known = [], False
    for word in arguments:
        flag = word.startswith("-")
        known = bool(_FLAG.match(word)) if flag else known or bool(_COMMANDS.fullmatch(word))
        kept.append(word if known else "<redacted>")
        known = known and flag and "=" not in word
    container["args"] = kept


def _handler(handler: dict[str, Any], redactor: Redactor) -> None:
    """A probe or hook: its headers go, and its command unless it only sleeps."""
    request = handler.get("httpGet")
    if isinstance(request, dict) and request.pop("httpHeaders", None):
        redactor.counts["probe headers"] += 1
    if isinstance(request, dict) and isinstance(request.get("path"), str):
        request["path"] = redactor.line(request["path"])
    command = (handler.get("exec") or {}).get("command")
    if command and not all(isinstance(word, str) and _SLEEP.fullmatch(word) for word in command):
        redactor.counts["command"] += 1
        handler["exec"] = {"command": ["<redacted>"]}
