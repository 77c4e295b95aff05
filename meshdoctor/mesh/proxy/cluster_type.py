"""What type a cluster is of, as its dump spells it: a name, a number, or an extension with a configuration of its own.

`Cluster.DiscoveryType` and the factories of the extensions/clusters of Envoy 1.30 to 1.40.
"""

from __future__ import annotations

import re

import msgspec

STATIC = "STATIC"
_NAMES = ("STATIC", "STRICT_DNS", "LOGICAL_DNS", "EDS", "ORIGINAL_DST")
"""`Cluster.DiscoveryType` by its numbers."""
_KNOWN = {key: name for number, name in enumerate(_NAMES) for key in (number, str(number), name)}
_CONFIG = re.compile(r"\.extensions\.clusters\.([a-z0-9_]+)\.v\d")
_WITHOUT_HOSTS = frozenset({"ORIGINAL_DST", "DYNAMIC_FORWARD_PROXY", "AGGREGATE", "COMPOSITE", "REVERSE_CONNECTION"})
"""Those that are not told any: they dial what the request names, wait to be dialled, or stand for other clusters."""


class _Config(msgspec.Struct, gc=False):
    type: str = msgspec.field(name="@type", default="")


class ClusterType(msgspec.Struct, gc=False):
    """`cluster_type`: the name is free where the configuration has a type."""

    name: str = ""
    typed_config: _Config | None = None


def go_name(kind: str | int) -> str:
    """As protojson reads and Go prints it: a number gets its name, a name that Go does not know is the default."""
    found = _KNOWN.get(kind)
    return found or (str(kind) if isinstance(kind, int) else STATIC)


def discovery(kind: str | int, extension: ClusterType | None) -> str:
    """How a cluster comes to its hosts, in capitals: `STATIC`, `EDS`, `DYNAMIC_FORWARD_PROXY`, `DNS`, ..."""
    if extension is None:
        return _KNOWN.get(kind, str(kind))
    config = _CONFIG.search(extension.typed_config.type) if extension.typed_config else None
    return (config[1] if config else extension.name.rpartition(".")[2]).upper()


def has_hosts(discovered: str) -> bool:
    """Whether it should have hosts of its own; those of an ORIGINAL_DST cluster are what was dialled lately."""
    return discovered not in _WITHOUT_HOSTS
