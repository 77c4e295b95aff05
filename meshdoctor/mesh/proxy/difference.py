"""What differs between istiod's and Envoy's dump of one proxy (istioctl/pkg/writer/compare), and per resource.

Compared are dynamic clusters, listeners that are not draining, and dynamic routes; versions and times are left out.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from meshdoctor.mesh.proxy.fields import FieldDifference, field_differences
from meshdoctor.mesh.proxy.part import resource_value
from meshdoctor.mesh.proxy.protojson import camel, to_protojson
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.sections import Part, Sections, is_camel

_CONTEXT = 7
"""Lines around a difference, as istioctl shows them."""


class ResourceDifference(NamedTuple):
    """One resource that is not the same on both sides: *what* is `only istiod`, `only Envoy` or `differs`."""

    kind: str
    name: str
    what: str
    diff: tuple[str, ...] = ()
    fields: tuple[FieldDifference, ...] = ()
    """Which fields differ, of a resource that both sides have."""


def field(value: dict[str, Any], name: str) -> Any:
    """A field of a message in either spelling; None without it."""
    found = value.get(name)
    return value.get(camel(name)) if found is None else found


def _clusters(section: dict[str, Any]) -> dict[str, Any]:
    bodies = (entry.get("cluster", {}) for entry in field(section, "dynamic_active_clusters") or ())
    return {str(body.get("name", "")): body for body in bodies}


def _listeners(section: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for entry in field(section, "dynamic_listeners") or ():
        body = (field(entry, "active_state") or {}).get("listener")
        if body is not None:
            found[str(body.get("name") or entry.get("name", ""))] = body
    return found


def _routes(section: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for entry in field(section, "dynamic_route_configs") or ():
        body = dict(field(entry, "route_config") or {})
        key = "virtualHosts" if "virtualHosts" in body else "virtual_hosts"
        hosts = sorted(body.get(key, ()), key=lambda host: str(host.get("name", "")))
        found[str(body.get("name", ""))] = {**body, key: hosts}
    return found


_KINDS: tuple[tuple[str, str, Callable[[dict[str, Any]], dict[str, Any]]], ...] = (
    ("Clusters", "ClustersConfigDump", _clusters),
    ("Listeners", "ListenersConfigDump", _listeners),
    ("Routes", "RoutesConfigDump", _routes),
)


def resource_differences(istiod: Sections, envoy: Sections, *, with_lines: bool = True) -> Iterator[ResourceDifference]:
    """Every resource that is not the same on both sides, kind by kind and by name; raises `UnreadableError`.

    *with_lines* off leaves out the unified difference, which takes a hundred times as long as the fields.
    """
    for kind, section, bodies in _KINDS:
        sent, runs = (bodies(side or {}) for side in section_values(istiod, envoy, section))
        for name in sorted(sent.keys() | runs.keys()):
            if name not in runs:
                yield ResourceDifference(kind, name, "only istiod")
            elif name not in sent:
                yield ResourceDifference(kind, name, "only Envoy")
            elif sent[name] != runs[name]:
                fields = tuple(field_differences(sent[name], runs[name]))
                lines = tuple(_diff(sent[name], runs[name], kind)) if with_lines else ()
                yield ResourceDifference(kind, name, "differs", lines, fields)


def section_values(istiod: Sections, envoy: Sections, name: str) -> tuple[Any, Any]:
    """A section of both sides in one spelling, None for a side without it; raises `UnreadableError`.

    istiod writes camelCase (`consecutive5xx`), from which Envoy's names (`consecutive_5xx`) cannot be told, but theirs
    can from Envoy's: when one side is in camelCase, both are compared in it.
    """
    parts = istiod.last(name), envoy.last(name)
    written = [part is not None and is_camel(part) for part in parts]
    first, second = (_value(part, name, any(written) and not own) for part, own in zip(parts, written, strict=True))
    return first, second


def _value(part: Part | None, name: str, respell: bool) -> Any:
    if part is None:
        return None
    try:
        found = resource_value(msgspec.Raw(part))
    except UnreadableError as error:
        raise UnreadableError(f"{name} is {error}") from None
    return to_protojson(found) if respell else found


def _diff(first: Any, second: Any, kind: str) -> Iterator[str]:
    sent, runs = (json.dumps(value, indent=3, sort_keys=True).splitlines() for value in (first, second))
    return difflib.unified_diff(sent, runs, f"Istiod {kind}", f"Envoy {kind}", lineterm="", n=_CONTEXT)


def difference_lines(istiod: Sections, envoy: Sections) -> Iterator[str]:
    """`Clusters Match` or `Clusters Don't Match` with what differs, for each kind; raises `UnreadableError`."""
    found = list(resource_differences(istiod, envoy))
    for kind, _, _ in _KINDS:
        mine = [entry for entry in found if entry.kind == kind]
        yield f"{kind} Don't Match" if mine else f"{kind} Match"
        for entry in mine:
            yield f"  {entry.name}: {entry.what}"
            yield from entry.diff


def differences_of_pods(mine: ConfigDump, other: ConfigDump) -> Iterator[ResourceDifference]:
    """What two proxies of one workload hold differently, *what* from the view of the first: `only here`, `only there`.

    Both should hold the same: what differs is stale, rejected, or chosen by a label or the revision of one of them.
    Raises `UnreadableError`.
    """
    words = {"only istiod": "only there", "only Envoy": "only here"}
    for found in resource_differences(sections_of(other), sections_of(mine)):
        yield found._replace(what=words.get(found.what, found.what))


def sections_of(dump: ConfigDump) -> Sections:
    """The raw sections of a dump, to be compared."""
    return Sections({name: tuple(map(memoryview, parts)) for name, parts in dump.sections.items()})
