"""`proxy-config ecds`: filters sent apart from their listener (istioctl/pkg/writer/envoy/configdump/ecds.go)."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.mesh.gosort import sort_by
from meshdoctor.mesh.proxy.part import NoSectionError, decode_part, read_part, resource_value
from meshdoctor.mesh.texttable import TextTable
from meshdoctor.model.decode import UnreadableError
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
    """All sections merged into one, as JSON values; raises `UnreadableError`."""
    entries = []
    for raw in read_part(sections, SECTION, _Raws, keep=False).ecds_filters:
        try:
            entries.append(resource_value(raw))
        except UnreadableError as error:
            sections.problems.append(f"{SECTION}: {error}")
    return {"ecds_filters": entries} if entries else {}


class _Raws(msgspec.Struct, gc=False):
    ecds_filters: list[msgspec.Raw] = []


def _parts(sections: Sections) -> tuple[Any, ...]:
    found = sections.parts.get(SECTION)
    if not found:
        raise NoSectionError(SECTION)
    return found
