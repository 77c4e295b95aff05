"""Kubernetes and Istio objects, rebuilt from the fields that questions are asked of: nothing else reaches a bundle."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from meshdoctor.model.decode import decode_json
from meshdoctor.model.kinds import KINDS, Kind
from meshdoctor.recording.redaction.text import Redactor
from meshdoctor.recording.redaction.tree import VARIABLES, clean

_FILE = re.compile(r"^kube/(?P<group>[^/]+)/(?P<version>[^/]+)/(?P<resource>[^/]+)\.json$")
_PROXIES = ("istio-proxy", "istio-init", "istio-validation", "discovery", "ztunnel")
_SLEEP = re.compile(r"(?:/bin/)?(?:sleep|sh|bash|-c|\d+[smh]?|sleep \d+[smh]?)")
_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")


class _List(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw] | None = None


def kind_of(file: str) -> Kind | None:
    """The kind whose objects *file* lists; None for kinds that no question is asked of."""
    match = _FILE.match(file)
    if not match:
        return None
    group = "" if match["group"] == "core" else match["group"]
    return next((kind for kind in KINDS if kind.group == group and kind.resource == match["resource"]), None)


def clean_list(body: bytes, kind: Kind, redactor: Redactor) -> bytes:
    """The list with each object rebuilt; one that does not decode is left out. Raises `UnreadableError`."""
    kept = []
    for raw in decode_json(body, _List).items or ():
        built: dict[str, Any] = msgspec.to_builtins(decode_json(bytes(raw), kind.struct))
        kept.append(msgspec.json.encode(clean_object(built, kind, redactor)))
    return b'{"kind":"List","apiVersion":"v1","items":[' + b",".join(kept) + b"]}"


def clean_object(built: dict[str, Any], kind: Kind, redactor: Redactor) -> dict[str, Any]:
    """One object, already reduced to the fields of its struct."""
    built.get("metadata", {}).pop("managedFields", None)
    if kind.name == "ConfigMap":
        # What is asked of the mesh config comes from istiod; a ConfigMap may hold anything.
        if built.pop("data", None):
            redactor.counts["ConfigMap data"] += 1
    elif kind.name == "Pod":
        _pod_spec(built.get("spec", {}), redactor)
    elif "template" in built.get("spec", {}) and kind.group == "apps":
        _pod_spec(built["spec"]["template"].get("spec", {}), redactor)
    found: dict[str, Any] = clean(built, redactor)
    return found


def _pod_spec(spec: dict[str, Any], redactor: Redactor) -> None:
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        if container.get("name") not in _PROXIES and container.pop("args", None):
            redactor.counts["arguments"] += 1
        for variable in container.get("env", ()):
            if variable.get("value") and not VARIABLES.match(variable.get("name", "")):
                redactor.counts["environment"] += 1
                del variable["value"]
        for name in _PROBES:
            _handler(container.get(name) or {}, redactor)
        for handler in (container.get("lifecycle") or {}).values():
            _handler(handler or {}, redactor)


def _handler(handler: dict[str, Any], redactor: Redactor) -> None:
    """A probe or hook: its headers go, and its command unless it only sleeps."""
    request = handler.get("httpGet")
    if isinstance(request, dict) and request.pop("httpHeaders", None):
        redactor.counts["probe headers"] += 1
    command = (handler.get("exec") or {}).get("command")
    if command and not all(isinstance(word, str) and _SLEEP.fullmatch(word) for word in command):
        redactor.counts["command"] += 1
        handler["exec"] = {"command": ["<redacted>"]}
