"""Envoy dumps in camelCase (protojson, as istiod and istioctl print) turned into the admin endpoint's snake_case."""

from __future__ import annotations

import re
from typing import Any

_CAMEL = re.compile(r"^[a-z][a-z0-9]*(?:[A-Z][a-z0-9]*)+$")
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")
# The keys below these are data (labels, filter names, log fields), not field names: google.protobuf.Struct and
# map<string, scalar> of the Envoy API v3.
_DATA_MAPS = frozenset(
    (
        "filter_metadata",
        "filterMetadata",
        "labels",
        "metadata_exchange",
        "json_format",
        "jsonFormat",
        "static_layer",
        "staticLayer",
        "dynamic_parameters",
        "dynamicParameters",
        "context_extensions",
        "contextExtensions",
        "key_values",
        "keyValues",
        "default_subset",
        "defaultSubset",
        "fallback_subset",
        "fallbackSubset",
        "filter_context",
        "filterContext",
    )
)
# An Any of these has its JSON, which is data, in `value`.
_VALUE_TYPES = ("google.protobuf.Struct", "google.protobuf.Value", ".v3.TypedStruct", ".v1.TypedStruct")
_SOCKET_MATCHES = ("transportSocketMatches", "transport_socket_matches")
"""Where `match` is a Struct (`tlsMode`); elsewhere it is a message."""


def to_snake(value: Any, parent: str = "") -> Any:
    """*value*, the field *parent* of a message, with its field names in snake_case; keys of data maps stay as they are.

    Raises RecursionError for JSON that is nested too deep.
    """
    if isinstance(value, list):
        return [to_snake(entry, parent) for entry in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("@type")
    holds_data = isinstance(kind, str) and kind.endswith(_VALUE_TYPES)
    return {
        snake_name(key): entry if _is_data(key, parent, holds_data) else to_snake(entry, key)
        for key, entry in value.items()
    }


def _is_data(key: str, parent: str, holds_data: bool) -> bool:
    return key in _DATA_MAPS or (key == "value" and holds_data) or (key == "match" and parent in _SOCKET_MATCHES)


def snake_name(key: str) -> str:
    """`dynamicActiveClusters` as `dynamic_active_clusters`; a key that is no camelCase word stays."""
    return _HUMP.sub(lambda match: "_" + match[1].lower(), key) if _CAMEL.match(key) else key
