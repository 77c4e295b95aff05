"""YAML as kubectl reads it (sigs.k8s.io/yaml, a go-yaml v2): what is text there must not be a date or a time here."""

from __future__ import annotations

import re
from typing import Any

import yaml

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REPLACED = frozenset(f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "timestamp"))


class _GoLoader(_Base):  # type: ignore[misc]
    """Plain scalars by go-yaml's rules: `y` and `n` are booleans, `2026-01-01` and `12:30:45` are text."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
        for first, resolvers in _Base.yaml_implicit_resolvers.items()
    }
    bool_values = {**_Base.bool_values, "y": True, "n": False}


_GoLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool",
    re.compile(r"(?:y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)\Z"),
    list("yYnNtTfFoO"),
)
_GoLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)\Z"),
    list("-+0123456789"),
)
_GoLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
    ),
    list("-+.0123456789"),
)


def as_json_value(value: Any) -> Any:
    """What JSON has in the place of *value*: keys are text, as sigs.k8s.io/yaml writes booleans and numbers there."""
    if isinstance(value, dict):
        return {_key(key): as_json_value(each) for key, each in value.items()}
    return [as_json_value(each) for each in value] if isinstance(value, list) else value


def _key(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def load_first_document(body: bytes) -> Any:
    """The first document of *body*, None when there is none. Raises yaml.YAMLError, RecursionError."""
    loader = _GoLoader(body)
    try:
        return loader.get_data() if loader.check_data() else None
    finally:
        loader.dispose()
