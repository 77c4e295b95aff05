"""The first clusters of a large dump, before the others are decoded: what a table shows while it is being read."""

from __future__ import annotations

from heapq import nsmallest

import msgspec

from meshdoctor.mesh.proxy.joined_upstreams import cluster_order
from meshdoctor.model.envoy.config_dump import ConfigDump

SECTION = "ClustersConfigDump"


class _Lists(msgspec.Struct, omit_defaults=True):
    static_clusters: list[msgspec.Raw] = []
    dynamic_active_clusters: list[msgspec.Raw] = []
    dynamic_warming_clusters: list[msgspec.Raw] = []


class _Name(msgspec.Struct, frozen=True):
    name: str = ""


class _Entry(msgspec.Struct):
    cluster: _Name = _Name()


_NAME = msgspec.json.Decoder(_Entry)


def first_clusters(config: ConfigDump, count: int) -> ConfigDump | None:
    """A dump with just the *count* clusters that come first by `cluster_order`.

    None when the dump has few more than that, or its section cannot be read in this way: then it is decoded at once.
    """
    parts = config.sections.get(SECTION, ())
    if len(parts) != 1:
        return None
    try:
        lists = msgspec.json.decode(parts[0], type=_Lists)
        fields = lists.__struct_fields__
        named = [
            (cluster_order(_NAME.decode(raw).cluster.name), field, raw)
            for field in fields
            for raw in getattr(lists, field)
        ]
    except msgspec.DecodeError:
        return None
    if len(named) < 4 * count:
        return None
    first = nsmallest(count, named, key=lambda entry: entry[0])
    chosen = _Lists(**{field: [raw for _, owner, raw in first if owner == field] for field in fields})
    return ConfigDump({SECTION: (msgspec.Raw(msgspec.json.encode(chosen)),)})
