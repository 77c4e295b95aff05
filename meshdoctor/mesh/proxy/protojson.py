"""Envoy's JSON (field names in snake_case) as Go's protojson prints the same message, which is what istioctl shows.

Without the message descriptors, what is a field name and what is data is known by place (`model/envoy/data_fields.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from meshdoctor.model.envoy.data_fields import MAPS, holds_data, is_data

_HUMP = re.compile(r"_+([a-zA-Z0-9]?)")


@cache
def camel(name: str) -> str:
    """A field's name as protojson writes it (`consecutive_5xx` is `consecutive5xx`); a camelCase one stays."""
    return _HUMP.sub(lambda match: match[1].upper(), name)


def to_protojson(value: Any) -> Any:
    """*value* with its field names in camelCase, without the `@type` of the outermost message and unset fields."""
    found = _convert(value, "", camel)
    if isinstance(found, dict):
        found.pop("@type", None)
    return found


def set_fields(value: Any) -> Any:
    """*value* without the fields that are null, which is how JSON may write an unset one; a null in data is a value."""
    return _convert(value, "", str)


def _convert(value: Any, parent: str, spell: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [_convert(entry, parent, spell) for entry in value if entry is not None]
    if not isinstance(value, dict):
        return value
    found = {}
    in_value_type = holds_data(value)
    for key, inner in value.items():
        if is_data(key, parent, in_value_type=in_value_type):
            if inner is not None or key == "value":
                found[spell(key)] = inner
        elif inner is None:
            continue
        elif key in MAPS and isinstance(inner, dict):
            found[spell(key)] = {name: _convert(entry, key, spell) for name, entry in inner.items()}
        else:
            found[spell(key)] = _convert(inner, key, spell)
    return found
