"""`proxy-config route`: a row per route (istioctl/pkg/writer/envoy/configdump/route.go, 1.24 to 1.32)."""

from __future__ import annotations

import msgspec

from meshdoctor.mesh.gosort import sort_slice
from meshdoctor.mesh.proxy.naming import Metadata, integer, managed_by
from meshdoctor.mesh.proxy.part import read_part, readable
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.sections import Sections

SECTION = "RoutesConfigDump"
HEADER = ("NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE")
_SHOWN_DOMAINS = 2


class _Regex(msgspec.Struct, gc=False):
    regex: str = ""


class RouteMatch(msgspec.Struct, gc=False):
    prefix: str = ""
    path: str = ""
    path_separated_prefix: str = ""
    safe_regex: _Regex | None = None


class RouteAction(msgspec.Struct, gc=False):
    cluster: str | None = None


class Route(msgspec.Struct, gc=False):
    match: RouteMatch | None = None
    route: RouteAction | None = None
    metadata: Metadata | None = None


class VirtualHost(msgspec.Struct, gc=False):
    name: str = ""
    domains: list[str] = []
    routes: list[Route] = []


class RouteConfiguration(msgspec.Struct, gc=False):
    name: str = ""
    virtual_hosts: list[VirtualHost] = []


class _Outline(msgspec.Struct, gc=False):
    """What the filter and the short form need."""

    name: str = ""
    virtual_hosts: list[msgspec.Raw] = []


class _RawEntry(msgspec.Struct, gc=False):
    route_config: msgspec.Raw = msgspec.Raw()


class _RawRoutes(msgspec.Struct, gc=False):
    dynamic_route_configs: list[_RawEntry] = []
    static_route_configs: list[_RawEntry] = []


class _Entry(msgspec.Struct, gc=False):
    route_config: RouteConfiguration | None = None


class _Routes(msgspec.Struct, gc=False):
    dynamic_route_configs: list[_Entry] = []
    static_route_configs: list[_Entry] = []


def route_table(sections: Sections, name: str, *, verbose: bool = True, typed: bool = False) -> TextTable:
    """A row per route, or with *verbose* off per route configuration; *name* is the whole name of one, or "".

    Routes to the PassthroughCluster have no row. Raises `UnreadableError`.
    """
    found = read_part(sections, SECTION, _Routes)
    entries = (*found.dynamic_route_configs, *found.static_route_configs)
    configs = [entry.route_config for entry in entries if entry.route_config is not None]
    if not configs:
        raise UnreadableError("no routes found")
    kept = [config for config in sort_slice(configs, _before) if not name or config.name == name]
    prefix = "route/" if typed else ""
    if not verbose:
        counts = [(prefix + config.name, str(len(config.virtual_hosts))) for config in kept]
        return TextTable(("NAME", "VIRTUAL HOSTS"), counts)
    rows = sections.once(
        (HEADER, typed, name), lambda: [row for config in kept for row in _rows(config, prefix + config.name)]
    )
    return TextTable(HEADER, rows)


def _before(a: RouteConfiguration | _Outline, b: RouteConfiguration | _Outline) -> bool:
    """istioctl's comparison: only names that are numbers have an order, and only among themselves."""
    first, second = integer(a.name), integer(b.name)
    return first is not None and second is not None and first < second


def _rows(config: RouteConfiguration, shown: str) -> list[Cells]:
    rows: list[Cells] = []
    for host in config.virtual_hosts:
        domains = describe_domains(host.domains)
        for route in host.routes:
            if not (route.route and route.route.cluster == "PassthroughCluster"):
                rule = managed_by(route.metadata) if route.metadata else ""
                rows.append((shown, host.name, domains, describe_match(route.match), rule))
        if not host.routes:
            rows.append((shown, host.name, domains, "/*", "404"))
    return rows


def describe_domains(domains: list[str]) -> str:
    """The first domains without a port and without the longer forms of a shorter one that is there too."""
    if len(domains) < 2:
        return domains[0] if domains else ""
    plain = [d for d in domains if ":" not in d or (d.count(":") > 2 and d.endswith("]"))]
    known = set(plain)
    short = [
        d for d in plain if not _has_shorter(d, ".svc.cluster.local", known) and not _has_shorter(d, ".svc", known)
    ]
    text = ", ".join(short[:_SHOWN_DOMAINS])
    return f"{text} + {len(short) - _SHOWN_DOMAINS} more..." if len(short) > _SHOWN_DOMAINS else text


def _has_shorter(domain: str, suffix: str, known: set[str]) -> bool:
    return domain.endswith(suffix) and domain[: -len(suffix)] in known


def describe_match(match: RouteMatch | None) -> str:
    """The path that a route asks for; istioctl leaves out headers, query parameters and methods."""
    if match is None:
        return ""
    parts = []
    if match.prefix:
        parts.append(f"{match.prefix}*")
    if match.path_separated_prefix:
        parts.append(f"PathPrefix:{match.path_separated_prefix}")
    if match.path:
        parts.append(match.path)
    if match.safe_regex is not None:
        parts.append(f"regex {match.safe_regex.regex}")
    return " ".join(parts)


def route_resources(sections: Sections, name: str) -> list[msgspec.Raw]:
    """The route configurations as JSON, in the table's order; raises `UnreadableError`."""
    named = sections.once((SECTION, "resources"), lambda: _resources(sections))
    return [raw for own, raw in named if name in ("", own)]


def _resources(sections: Sections) -> list[tuple[str, msgspec.Raw]]:
    """Every route configuration's name and JSON, in order."""
    found = read_part(sections, SECTION, _RawRoutes)
    raws = (entry.route_config for entry in (*found.dynamic_route_configs, *found.static_route_configs))
    named = list(readable(raws, _Outline, SECTION, sections.problems))
    if not named:
        raise UnreadableError("no routes found")
    ordered = sort_slice(named, lambda a, b: _before(a[0], b[0]))
    return [(outline.name, raw) for outline, raw in ordered]
