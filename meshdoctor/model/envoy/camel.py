"""Envoy dumps in camelCase (protojson, as istioctl prints them) turned into the admin endpoint's snake_case."""

from __future__ import annotations

import re
from typing import Any

_CAMEL = re.compile(r"^[a-z][a-z0-9]*(?:[A-Z][a-z0-9]*)+$")
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")
# The keys below these are data (labels, filter names), not field names.
_DATA_MAPS = frozenset({"filterMetadata", "filter_metadata", "labels", "metadata_exchange"})


def to_snake(value: Any) -> Any:
    """*value* with its field names in snake_case; keys of data maps stay as they are."""
    if isinstance(value, list):
        return [to_snake(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return {snake_name(key): entry if key in _DATA_MAPS else to_snake(entry) for key, entry in value.items()}


def snake_name(key: str) -> str:
    """`dynamicActiveClusters` as `dynamic_active_clusters`; a key that is no camelCase word stays."""
    return _HUMP.sub(lambda match: "_" + match[1].lower(), key) if _CAMEL.match(key) else key
