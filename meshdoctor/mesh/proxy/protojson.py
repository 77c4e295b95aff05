"""Envoy's JSON (field names in snake_case) as Go's protojson prints the same message, which is what istioctl shows.

Without the message descriptors, what is a field name and what is data is known by place (`model/envoy/data_fields.py`).
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from meshdoctor.model.envoy.data_fields import MAPS, holds_data, is_data

_HUMP = re.compile(r"_+([a-zA-Z0-9]?)")


@cache
def camel(name: str) -> str:
    """A field's name as protojson writes it (`consecutive_5xx` is `consecutive5xx`); a camelCase one stays."""
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
    in_value_type = holds_data(value)
    for key, inner in value.items():
        if is_data(key, parent, in_value_type=in_value_type):
            found[camel(key)] = inner
        elif key in MAPS and isinstance(inner, dict):
            found[camel(key)] = {name: _convert(entry, key) for name, entry in inner.items()}
        else:
            found[camel(key)] = _convert(inner, key)
    return found
