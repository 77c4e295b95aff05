"""JSON and YAML as istioctl indents them: 4 blanks, YAML with sorted keys and go-yaml's choice of quotes."""

from __future__ import annotations

from typing import Any

import msgspec

_ENDLESS = 1 << 30
"""A line width that YAML never reaches: go-yaml does not fold lines."""


def json_text(value: Any) -> str:
    """*value* (builtins or raw JSON) as indented JSON, with a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(value), indent=4).decode() + "\n"


def yaml_text(value: Any) -> str:
    """*value* as YAML, its keys sorted as sigs.k8s.io/yaml sorts them."""
    import yaml

    base = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc, valid-type]
        """Chooses quotes as go-yaml does: double where a plain scalar would be read as something else."""

    def text(dumper: Any, data: str) -> Any:
        style = None
        if "\n" in data:
            style = "|"
        elif dumper.resolve(yaml.ScalarNode, data, (True, False)) != "tag:yaml.org,2002:str":
            style = '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style)

    Dumper.add_representer(str, text)
    plain = msgspec.json.decode(msgspec.json.encode(value))
    return str(yaml.dump(plain, Dumper=Dumper, allow_unicode=True, width=_ENDLESS, default_flow_style=False))
