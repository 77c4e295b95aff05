"""Envoy's JSON (field names in snake_case) as Go's protojson prints the same message, which is what istioctl shows.

Without the message descriptors, what is a field name and what is data is known by place: the keys of maps and of
google.protobuf.Struct stay as they are (Envoy API v3; the lists below name its fields of these types).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

_HUMP = re.compile(r"_([a-z0-9])")
# google.protobuf.Struct and map<string, scalar>: everything below is data.
_DATA = frozenset(
    {
        "filter_metadata",
        "labels",
        "json_format",
        "static_layer",
        "dynamic_parameters",
        "context_extensions",
        "key_values",
        "default_subset",
        "fallback_subset",
        "filter_context",
    }
)
# map<string, message>: the keys are data, the values are messages.
_MAPS = frozenset(
    {
        "typed_filter_metadata",
        "typed_per_filter_config",
        "typed_extension_protocol_options",
        "named_endpoints",
        "map",
        "policies",
        "providers",
        "requirement_map",
        "args",
    }
)
# Envoy prints an Any of these with their JSON as the data in `value`.
_VALUE_TYPES = ("google.protobuf.Struct", "google.protobuf.Value", ".v3.TypedStruct", ".v1.TypedStruct")
# Messages whose `metadata` is a Struct; elsewhere it is a message (core.v3.Metadata, a tracing tag's kind, ...).
_STRUCT_METADATA = ("node", "user_agent_build_version")


@cache
def camel(name: str) -> str:
    """A field's name as protojson writes it (`consecutive_5xx` is `consecutive5xx`)."""
    return _HUMP.sub(lambda match: match[1].upper(), name)


def to_protojson(value: Any) -> Any:
    """*value* with its field names in camelCase, without the `@type` of the outermost message."""
    found = _convert(value, "")
    if isinstance(found, dict):
        found.pop("@type", None)
    return found


def _convert(value: Any, parent: str) -> Any:
    if isinstance(value, list):
        return [_convert(entry, parent) for entry in value]
    if not isinstance(value, dict):
        return value
    found = {}
    holds_data = _holds_data(value)
    for key, inner in value.items():
        if key in _DATA or (key == "value" and holds_data) or _is_struct(key, parent):
            found[camel(key)] = inner
        elif key in _MAPS and isinstance(inner, dict):
            found[camel(key)] = {name: _convert(entry, key) for name, entry in inner.items()}
        else:
            found[camel(key)] = _convert(inner, key)
    return found


def _holds_data(value: Mapping[str, Any]) -> bool:
    kind = value.get("@type")
    return isinstance(kind, str) and kind.endswith(_VALUE_TYPES)


def _is_struct(key: str, parent: str) -> bool:
    """`match` and `metadata` are Structs in some messages only."""
    return (key == "match" and parent == "transport_socket_matches") or (
        key == "metadata" and parent in _STRUCT_METADATA
    )
