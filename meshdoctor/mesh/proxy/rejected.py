"""What Envoy refused: the resources of a dump with an `error_state` (NACK), which no istioctl table shows."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from meshdoctor.mesh.proxy.part import read_part
from meshdoctor.model.envoy.sections import Sections


class RejectedResource(NamedTuple):
    """A *kind* (cluster, listener, route, ...) by name, *why* Envoy refused it and when (RFC 3339)."""

    kind: str
    name: str
    why: str
    when: str


class UpdateFailureState(msgspec.Struct, gc=False):
    """envoy.admin.v3.UpdateFailureState: the last update of a resource that Envoy refused."""

    details: str = ""
    last_update_attempt: str = ""


class _Named(msgspec.Struct, gc=False):
    name: str = ""
    cluster_name: str = ""


class _Entry(msgspec.Struct, gc=False):
    name: str = ""
    error_state: UpdateFailureState | None = None
    cluster: _Named | None = None
    route_config: _Named | None = None
    endpoint_config: _Named | None = None
    secret: _Named | None = None
    ecds_filter: _Named | None = None


class _Clusters(msgspec.Struct, gc=False):
    dynamic_active_clusters: list[_Entry] = []
    dynamic_warming_clusters: list[_Entry] = []


class _Listeners(msgspec.Struct, gc=False):
    dynamic_listeners: list[_Entry] = []


class _Routes(msgspec.Struct, gc=False):
    dynamic_route_configs: list[_Entry] = []


class _Secrets(msgspec.Struct, gc=False):
    dynamic_active_secrets: list[_Entry] = []
    dynamic_warming_secrets: list[_Entry] = []


class _Extensions(msgspec.Struct, gc=False):
    ecds_filters: list[_Entry] = []


class _Endpoints(msgspec.Struct, gc=False):
    dynamic_endpoint_configs: list[_Entry] = []


_STATE = re.compile(rb'"error_?[sS]tate"')
_SECTIONS = {"cluster": "ClustersConfigDump", "listener": "ListenersConfigDump", "route": "RoutesConfigDump"}


def rejected_lines(sections: Sections, kind: str) -> list[tuple[str, str]]:
    """The name of each refused *kind* (cluster, listener, route), and a line with the reason.

    What was refused before is still in use: the row of the resource shows the older version.
    """
    if not any(_STATE.search(part) for part in sections.parts.get(_SECTIONS[kind], ())):
        return []
    found = [entry for entry in rejected_resources(sections) if entry.kind == kind]
    return [
        (entry.name, f"UPDATE REFUSED: {kind} {entry.name}{f' at {entry.when}' if entry.when else ''}: {entry.why}")
        for entry in found
    ]


def rejected_resources(sections: Sections) -> list[RejectedResource]:
    """Every resource whose last update Envoy refused; raises `UnreadableError`."""
    found: list[RejectedResource] = []
    for kind, section, struct in (
        ("cluster", "ClustersConfigDump", _Clusters),
        ("listener", "ListenersConfigDump", _Listeners),
        ("route", "RoutesConfigDump", _Routes),
        ("secret", "SecretsConfigDump", _Secrets),
        ("extension", "EcdsConfigDump", _Extensions),
        ("endpoints", "EndpointsConfigDump", _Endpoints),
    ):
        if not any(_STATE.search(part) for part in sections.parts.get(section, ())):
            continue  # which is nearly always so, and a large section takes long to decode
        part = read_part(sections, section, struct)
        for field in msgspec.structs.fields(struct):
            found += [_rejected(kind, entry) for entry in getattr(part, field.name) if entry.error_state]
    return found


def _rejected(kind: str, entry: _Entry) -> RejectedResource:
    bodies = (entry.cluster, entry.route_config, entry.endpoint_config, entry.secret, entry.ecds_filter)
    named = entry.name or next((body.name or body.cluster_name for body in bodies if body), "")
    error = entry.error_state or UpdateFailureState()
    return RejectedResource(kind, named, error.details.strip(), error.last_update_attempt)
