"""`proxy-config ecds -o wide`: also which version of a filter Envoy has, since when, and what it refused."""

from __future__ import annotations

import msgspec

from meshdoctor.mesh.gosort import sort_by
from meshdoctor.mesh.proxy.ecds import SECTION
from meshdoctor.mesh.proxy.part import read_part
from meshdoctor.mesh.proxy.rejected import UpdateFailureState
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.envoy.sections import Sections

HEADER = ("ECDS NAME", "STATE", "VERSION", "LAST UPDATED", "TYPE")


class _Any(msgspec.Struct, gc=False):
    type: str = msgspec.field(name="@type", default="")


class _Filter(msgspec.Struct, gc=False):
    name: str = ""
    typed_config: _Any | None = None


class _Entry(msgspec.Struct, gc=False):
    ecds_filter: _Filter | None = None
    version_info: str = ""
    last_updated: str = ""
    error_state: UpdateFailureState | None = None


class _Ecds(msgspec.Struct, gc=False):
    ecds_filters: list[_Entry] = []


def wide_ecds(sections: Sections) -> TextTable:
    """A row per filter; one that never came runs with what its listener has for that case. Raises `UnreadableError`."""
    entries = read_part(sections, SECTION, _Ecds).ecds_filters
    keyed = [((row[4], row[0]), row) for row in (_row(entry) for entry in entries)]
    return TextTable(HEADER, [row for _, row in sort_by(keyed, lambda pair: pair[0])], padding=2)


def _row(entry: _Entry) -> Cells:
    found = entry.ecds_filter or _Filter()
    kind = found.typed_config.type.rpartition("/")[2] if found.typed_config else ""
    state = "active" if kind else "NONE RECEIVED"
    if entry.error_state:
        state += f", UPDATE REFUSED: {entry.error_state.details}"
    return (found.name or "-", state, entry.version_info or "-", entry.last_updated or "-", kind or "-")
