"""Envoy dumps in camelCase (protojson, as istiod and istioctl print) turned into the admin endpoint's snake_case."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from meshdoctor.model.envoy.data_fields import MAPS, holds_data, is_data

_CAMEL = re.compile(r"^[a-z][a-z0-9]*(?:[A-Z][a-z0-9]*)+$")
_HUMP = re.compile(r"(?<!^)([A-Z])")
# protojson drops an underscore before a digit without a trace: every such field of the Envoy API v1.40.
_DIGITS = {
    "acceptHttp10": "accept_http_10",
    "consecutive5xx": "consecutive_5xx",
    "defaultHostForHttp10": "default_host_for_http_10",
    "enforcingConsecutive5xx": "enforcing_consecutive_5xx",
    "ignoreHttp11Upgrade": "ignore_http_11_upgrade",
    "normalizePathRfc3986": "normalize_path_rfc_3986",
    "proxy100Continue": "proxy_100_continue",
    "traceId128bit": "trace_id_128bit",
}


def to_snake(value: Any, parent: str = "") -> Any:
    """*value*, the field *parent* of a message, with its field names in snake_case; keys of data maps stay as they are.

    Raises RecursionError for JSON that is nested too deep.
    """
    if isinstance(value, list):
        return [to_snake(entry, parent) for entry in value]
    if not isinstance(value, dict):
        return value
    found = {}
    in_value_type = holds_data(value)
    for key, inner in value.items():
        name = snake_name(key)
        if is_data(name, parent, in_value_type=in_value_type):
            found[name] = inner
        elif name in MAPS and isinstance(inner, dict):
            found[name] = {own: to_snake(entry, name) for own, entry in inner.items()}
        else:
            found[name] = to_snake(inner, name)
    return found


@cache
def snake_name(key: str) -> str:
    """`dynamicActiveClusters` as `dynamic_active_clusters`; a key that is no camelCase word stays."""
    if key in _DIGITS:
        return _DIGITS[key]
    return _HUMP.sub(lambda match: "_" + match[1].lower(), key) if _CAMEL.match(key) else key
