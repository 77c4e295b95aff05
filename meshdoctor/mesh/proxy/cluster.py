"""`proxy-config cluster`: which clusters a proxy has (istioctl/pkg/writer/envoy/configdump/cluster.go, 1.24-1.32)."""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

import msgspec

from meshdoctor.mesh.gosort import sort_by
from meshdoctor.mesh.proxy.cluster_type import STATIC, go_name
from meshdoctor.mesh.proxy.naming import Metadata, is_subset_key, managed_by, subset_key
from meshdoctor.mesh.proxy.part import read_part, readable
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.sections import Sections

SECTION = "ClustersConfigDump"
HEADER = ("SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE")


class ClusterFilter(NamedTuple):
    """istioctl's flags; each text must occur in the cluster's whole name, *port* between bars."""

    fqdn: str = ""
    direction: str = ""
    subset: str = ""
    port: int = 0

    def keeps(self, name: str) -> bool:
        return (
            self.fqdn in name
            and self.direction in name
            and self.subset in name
            and (not self.port or f"|{self.port}|" in name)
        )


class _Cluster(msgspec.Struct, gc=False):
    name: str = ""
    type: str | int = STATIC
    metadata: Metadata | None = None


class _Entry(msgspec.Struct, gc=False):
    cluster: _Cluster | None = None


class _Clusters(msgspec.Struct, gc=False):
    dynamic_active_clusters: list[_Entry] = []
    static_clusters: list[_Entry] = []


class _RawEntry(msgspec.Struct, gc=False):
    cluster: msgspec.Raw = msgspec.Raw()


class _RawClusters(msgspec.Struct, gc=False):
    dynamic_active_clusters: list[_RawEntry] = []
    static_clusters: list[_RawEntry] = []


def cluster_table(sections: Sections, chosen: ClusterFilter, *, typed: bool = False) -> TextTable:
    """The clusters that are in use: dynamic active and static ones, not those that still warm.

    *typed* is the form of `proxy-config all`, with a column that names the kind. Raises `UnreadableError`.
    """
    known = sections.once((HEADER, typed), lambda: _rows(sections, typed))
    # The table is filtered after it is sorted, as istioctl does: equal names could change places otherwise.
    rows = [row for name, row in known if chosen.keeps(name)]
    return TextTable(("NAME", *HEADER) if typed else HEADER, rows)


def _rows(sections: Sections, typed: bool) -> list[tuple[str, Cells]]:
    """Every cluster's name and row, in order."""
    found = read_part(sections, SECTION, _Clusters)
    clusters = [
        entry.cluster for entry in (*found.dynamic_active_clusters, *found.static_clusters) if entry.cluster is not None
    ]
    if not clusters:
        raise UnreadableError("no clusters found")
    rows = [(key, cluster.name, _row(key, cluster, typed)) for cluster in clusters for key in (_key(cluster.name),)]
    return [(name, row) for _, name, row in sort_by(rows, itemgetter(0))]


_Key = tuple[str, str, int, str]


def _key(name: str) -> _Key:
    """As `subset_key`; the usual form is taken apart here, as a large mesh has ten thousand of them."""
    parts = name.split("|")
    if len(parts) == 4 and (port := parts[1]).isdecimal() and port.isascii() and len(port) < 19:
        return parts[3], parts[2], int(port), parts[0]
    return subset_key(name)


def _row(key: _Key, cluster: _Cluster, typed: bool) -> Cells:
    rule = managed_by(cluster.metadata) if cluster.metadata else ""
    kind = go_name(cluster.type)
    if is_subset_key(cluster.name):
        host, subset, port, direction = key
        cells: Cells = (host, str(port), subset or "-", direction, kind, rule)
    else:
        # istioctl writes the kind into this column too: it changes the name before it prints it.
        cells = (f"cluster/{cluster.name}" if typed else cluster.name, "-", "-", "-", kind, rule)
    return (f"cluster/{cluster.name}", *cells) if typed else cells


def cluster_resources(sections: Sections, chosen: ClusterFilter) -> list[msgspec.Raw]:
    """The clusters that the filter keeps as JSON, in the table's order; raises `UnreadableError`."""
    named = sections.once((SECTION, "resources"), lambda: _resources(sections))
    return [raw for name, raw in named if chosen.keeps(name)]


def _resources(sections: Sections) -> list[tuple[str, msgspec.Raw]]:
    """Every cluster's name and JSON, in order."""
    found = read_part(sections, SECTION, _RawClusters)
    raws = (entry.cluster for entry in (*found.dynamic_active_clusters, *found.static_clusters))
    named = [
        (subset_key(body.name), body.name, raw) for body, raw in readable(raws, _Named, SECTION, sections.problems)
    ]
    if not named:
        raise UnreadableError("no clusters found")
    return [(name, raw) for _, name, raw in sort_by(named, itemgetter(0))]


class _Named(msgspec.Struct, gc=False):
    name: str = ""
