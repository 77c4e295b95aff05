"""What Envoy refused: the resources of a dump with an `error_state` (NACK), which no istioctl table shows."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from meshdoctor.mesh.proxy.part import NoSectionError, read_part
from meshdoctor.model.envoy.sections import Sections


class RejectedResource(NamedTuple):
    """A *kind* (cluster, listener, route) by name, *why* Envoy refused it and when (RFC 3339)."""

    kind: str
    name: str
    why: str
    when: str


class _Error(msgspec.Struct, gc=False):
    details: str = ""
    last_update_attempt: str = ""


class _Named(msgspec.Struct, gc=False):
    name: str = ""


class _Entry(msgspec.Struct, gc=False):
    name: str = ""
    error_state: _Error | None = None
    cluster: _Named | None = None
    route_config: _Named | None = None


class _Clusters(msgspec.Struct, gc=False):
    dynamic_active_clusters: list[_Entry] = []
    dynamic_warming_clusters: list[_Entry] = []


class _Listeners(msgspec.Struct, gc=False):
    dynamic_listeners: list[_Entry] = []


class _Routes(msgspec.Struct, gc=False):
    dynamic_route_configs: list[_Entry] = []


def rejected_resources(sections: Sections) -> list[RejectedResource]:
    """Every resource whose last update Envoy refused; raises `UnreadableError`."""
    found: list[RejectedResource] = []
    for kind, section, struct in (
        ("cluster", "ClustersConfigDump", _Clusters),
        ("listener", "ListenersConfigDump", _Listeners),
        ("route", "RoutesConfigDump", _Routes),
    ):
        try:
            part = read_part(sections, section, struct)
        except NoSectionError:
            continue
        for field in msgspec.structs.fields(struct):
            found += [_rejected(kind, entry) for entry in getattr(part, field.name) if entry.error_state]
    return found


def _rejected(kind: str, entry: _Entry) -> RejectedResource:
    named = entry.name or next((body.name for body in (entry.cluster, entry.route_config) if body), "")
    error = entry.error_state or _Error()
    return RejectedResource(kind, named, error.details.strip(), error.last_update_attempt)
