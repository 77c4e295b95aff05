"""What differs between istiod's and Envoy's dump of one proxy (istioctl/pkg/writer/compare), and per resource.

Compared are dynamic clusters, listeners that are not draining, and dynamic routes; and, unlike istioctl, extensions and
secrets of which istiod's dump tells (a sidecar's are its agent's). Versions and times are left out.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator
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
    """One resource that is not the same on both sides: *what* is `only istiod`, `only Envoy`, `warming` or `differs`.

    `warming` is what Envoy took but does not use yet: something that it needs has not arrived.
    """

    kind: str
    name: str
    what: str
    diff: tuple[str, ...] = ()
    fields: tuple[FieldDifference, ...] = ()
    """Which fields differ, of a resource that both sides have."""


class Resources(NamedTuple):
    """The bodies of one side by name: what is in use, and what Envoy has and does not use yet."""

    active: dict[str, Any]
    warming: Iterable[str] = ()


def field(value: dict[str, Any], name: str) -> Any:
    """A field of a message in either spelling; None without it."""
    found = value.get(name)
    return value.get(camel(name)) if found is None else found


def _clusters(section: dict[str, Any]) -> Resources:
    def bodies(name: str) -> dict[str, Any]:
        found = (_body(entry, "cluster") for entry in field(section, name) or ())
        return {str(body.get("name", "")): body for body in found}

    return Resources(bodies("dynamic_active_clusters"), bodies("dynamic_warming_clusters"))


def _listeners(section: dict[str, Any]) -> Resources:
    found, warming = {}, []
    for entry in field(section, "dynamic_listeners") or ():
        active, waiting = field(entry, "active_state") or {}, field(entry, "warming_state")
        name = str((active.get("listener") or {}).get("name") or entry.get("name", ""))
        if "listener" in active:
            found[name] = _body(active, "listener")
        elif waiting:
            warming.append(name)
    return Resources(found, warming)


def _routes(section: dict[str, Any]) -> Resources:
    found = {}
    for entry in field(section, "dynamic_route_configs") or ():
        body = _body(entry, "route_config")
        key = "virtualHosts" if "virtualHosts" in body else "virtual_hosts"
        hosts = sorted(body.get(key, ()), key=lambda host: str(host.get("name", "")))
        found[str(body.get("name", ""))] = {**body, key: hosts}
    return Resources(found)


def _extensions(section: dict[str, Any]) -> Resources:
    """Those with a name: istiod prints a Wasm filter without one, and the agent rewrites it (Istio 1.32)."""
    bodies = (_body(entry, "ecds_filter") for entry in field(section, "ecds_filters") or ())
    return Resources({str(body["name"]): body for body in bodies if body.get("name") and field(body, "typed_config")})


def _secrets(section: dict[str, Any]) -> Resources:
    def bodies(name: str) -> dict[str, Any]:
        found = ((entry, _body(entry, "secret")) for entry in field(section, name) or ())
        return {str(body.get("name") or entry.get("name", "")): body for entry, body in found}

    return Resources(bodies("dynamic_active_secrets"), bodies("dynamic_warming_secrets"))


def _body(entry: dict[str, Any], name: str) -> dict[str, Any]:
    """A resource without its type: istiod may say an older version of it than Envoy does (istio/istio#23735)."""
    return {key: value for key, value in (field(entry, name) or {}).items() if key != "@type"}


class _Kind(NamedTuple):
    name: str
    section: str
    read: Callable[[dict[str, Any]], Resources]
    all_sent: bool = True
    """Whether all that Envoy has of the kind is istiod's."""


_KINDS = (
    _Kind("Clusters", "ClustersConfigDump", _clusters),
    _Kind("Listeners", "ListenersConfigDump", _listeners),
    _Kind("Routes", "RoutesConfigDump", _routes),
)
"""What istioctl compares."""
_MORE_KINDS = (
    _Kind("Extensions", "EcdsConfigDump", _extensions, all_sent=False),
    _Kind("Secrets", "SecretsConfigDump", _secrets, all_sent=False),
)


def resource_differences(
    istiod: Sections, envoy: Sections, *, with_lines: bool = True, more: bool = False
) -> Iterator[ResourceDifference]:
    """Every resource that is not the same on both sides, kind by kind and by name; raises `UnreadableError`.

    *with_lines* off leaves out the unified difference, which takes a hundred times as long as the fields; *more* adds
    extensions and secrets.
    """
    try:
        yield from _differences(istiod, envoy, with_lines, more)
    except (AttributeError, TypeError, RecursionError) as error:
        # A section whose JSON is sound but that is built like no section.
        raise UnreadableError(f"a section is not built as Envoy's: {error}") from None


def _differences(istiod: Sections, envoy: Sections, with_lines: bool, more: bool) -> Iterator[ResourceDifference]:
    for kind in (*_KINDS, *(_MORE_KINDS if more else ())):
        values = section_values(istiod, envoy, kind.section)
        sent, runs = (kind.read(side or {}) for side in values)
        if not kind.all_sent and values[1] is None:
            continue
        for name in sorted(sent.active.keys() | (runs.active.keys() if kind.all_sent else ())):
            if name not in runs.active:
                yield ResourceDifference(kind.name, name, "warming" if name in runs.warming else "only istiod")
            elif name not in sent.active:
                yield ResourceDifference(kind.name, name, "only Envoy")
            elif sent.active[name] != runs.active[name]:
                first, second = sent.active[name], runs.active[name]
                if fields := tuple(field_differences(first, second)):
                    lines = tuple(_diff(first, second, kind.name)) if with_lines else ()
                    yield ResourceDifference(kind.name, name, "differs", lines, fields)


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
    for kind in _KINDS:
        mine = [entry for entry in found if entry.kind == kind.name]
        yield f"{kind.name} Don't Match" if mine else f"{kind.name} Match"
        for entry in mine:
            yield f"  {entry.name}: {entry.what}"
            yield from entry.diff


def differences_of_pods(
    mine: ConfigDump, other: ConfigDump, *, with_lines: bool = True
) -> Iterator[ResourceDifference]:
    """What two proxies of one workload hold differently, *what* from the view of the first: `only here`, `only there`.

    Both should hold the same: what differs is stale, rejected, or chosen by a label or the revision of one of them.
    Raises `UnreadableError`.
    """
    words = {"only istiod": "only there", "only Envoy": "only here"}
    for found in resource_differences(sections_of(other), sections_of(mine), with_lines=with_lines):
        yield found._replace(what=words.get(found.what, found.what))


def sections_of(dump: ConfigDump) -> Sections:
    """The raw sections of a dump, to be compared."""
    return Sections({name: tuple(map(memoryview, parts)) for name, parts in dump.sections.items()})
