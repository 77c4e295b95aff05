"""`proxy-config ecds`: filters sent apart from their listener (istioctl/pkg/writer/envoy/configdump/ecds.go)."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.mesh.gosort import sort_by
from meshdoctor.mesh.proxy.part import NoSectionError, decode_part
from meshdoctor.mesh.texttable import TextTable
from meshdoctor.model.envoy.sections import Sections, snake

SECTION = "EcdsConfigDump"
_PREFIX = "type.googleapis.com/"


class _Any(msgspec.Struct, gc=False):
    type: str = msgspec.field(name="@type", default="")


class _Filter(msgspec.Struct, gc=False):
    name: str = ""
    typed_config: _Any | None = None


class _Entry(msgspec.Struct, gc=False):
    ecds_filter: _Filter | None = None


class _Ecds(msgspec.Struct, gc=False):
    ecds_filters: list[_Entry] = []


def ecds_table(sections: Sections) -> TextTable:
    """Every filter of every section (a dump has one per kind of filter), by type and name."""
    filters = [
        entry.ecds_filter or _Filter()
        for raw in _parts(sections)
        for entry in decode_part(snake(raw), SECTION, _Ecds, sections.problems).ecds_filters
    ]
    keyed = [(entry.typed_config.type if entry.typed_config else "", entry.name) for entry in filters]
    return TextTable(
        ("ECDS NAME", "TYPE"), [(name, kind.removeprefix(_PREFIX)) for kind, name in sort_by(keyed, lambda key: key)]
    )


def ecds_resource(sections: Sections) -> dict[str, Any]:
    """All sections merged into one, as JSON values."""
    entries: list[Any] = []
    for raw in _parts(sections):
        entries += msgspec.json.decode(snake(raw)).get("ecds_filters", [])
    return {"ecds_filters": entries}


def _parts(sections: Sections) -> tuple[Any, ...]:
    found = sections.parts.get(SECTION)
    if not found:
        raise NoSectionError(SECTION)
    return found
