"""`proxy-config route -o wide`: where a route leads, with weights, and what else it asks of a request."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.mesh.gosort import sort_slice
from meshdoctor.mesh.proxy.naming import Metadata, integer, managed_by
from meshdoctor.mesh.proxy.part import read_part
from meshdoctor.mesh.proxy.rejected import UpdateFailureState
from meshdoctor.mesh.proxy.route import SECTION, RouteMatch, describe_match
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.envoy.sections import Sections

HEADER = ("NAME", "STATE", "VHOST NAME", "DOMAINS", "MATCH", "DESTINATION", "TIMEOUT", "RETRIES", "VIRTUAL SERVICE")


class _Match(RouteMatch, gc=False):
    headers: list[dict[str, Any]] = []
    query_parameters: list[dict[str, Any]] = []


class _Weighted(msgspec.Struct, gc=False):
    name: str = ""
    weight: int = 0
    cluster_header: str = ""


class _WeightedClusters(msgspec.Struct, gc=False):
    clusters: list[_Weighted] = []


class _Retries(msgspec.Struct, gc=False):
    num_retries: int | None = None


class _Action(msgspec.Struct, gc=False):
    cluster: str | None = None
    cluster_header: str | None = None
    weighted_clusters: _WeightedClusters | None = None
    timeout: str = ""
    retry_policy: _Retries | None = None
    request_mirror_policies: list[dict[str, Any]] = []


class _Route(msgspec.Struct, gc=False):
    match: _Match | None = None
    route: _Action | None = None
    redirect: dict[str, Any] | None = None
    direct_response: dict[str, Any] | None = None
    metadata: Metadata | None = None


class _Host(msgspec.Struct, gc=False):
    name: str = ""
    domains: list[str] = []
    routes: list[_Route] = []
    require_tls: str = "NONE"


class _Config(msgspec.Struct, gc=False):
    name: str = ""
    virtual_hosts: list[_Host] = []


class _Entry(msgspec.Struct, gc=False):
    route_config: _Config | None = None
    error_state: UpdateFailureState | None = None


class _Routes(msgspec.Struct, gc=False):
    dynamic_route_configs: list[_Entry] = []
    static_route_configs: list[_Entry] = []


def wide_routes(sections: Sections, name: str) -> TextTable:
    """A row per route, those to the PassthroughCluster too."""
    known = sections.once(HEADER, lambda: _configs(sections))
    return TextTable(HEADER, [row for own, rows in known if name in ("", own) for row in rows], padding=2)


def _configs(sections: Sections) -> list[tuple[str, list[Cells]]]:
    """Every route configuration's name and rows, in order."""
    found = read_part(sections, SECTION, _Routes, keep=False)
    named = (("active", found.dynamic_route_configs), ("static", found.static_route_configs))
    configs = [
        (_state(state, entry), entry.route_config)
        for state, entries in named
        for entry in entries
        if entry.route_config
    ]
    ordered = sort_slice(configs, lambda a, b: _before(a[1].name, b[1].name))
    return [(config.name, _rows(state, config)) for state, config in ordered]


def _state(state: str, entry: _Entry) -> str:
    return f"{state}, UPDATE REFUSED" if entry.error_state else state


def _before(a: str, b: str) -> bool:
    first, second = integer(a), integer(b)
    return first is not None and second is not None and first < second


def _rows(state: str, config: _Config) -> list[Cells]:
    rows: list[Cells] = []
    for host in config.virtual_hosts:
        head = (config.name or "-", state, host.name, wide_domains(host.domains))
        if host.require_tls != "NONE":
            rows.append((*head, "http", "redirect to https", "-", "-", "-"))
        for route in host.routes:
            action = route.route
            retries = action.retry_policy.num_retries if action and action.retry_policy else None
            timeout = action.timeout if action else ""
            rows.append(
                (
                    *head,
                    _match(route.match),
                    _destination(route),
                    {"0s": "none", "": "-"}.get(timeout, timeout),
                    "-" if retries is None else str(retries),
                    managed_by(route.metadata) or "-",
                )
            )
        if not host.routes:
            rows.append((*head, "/*", "404: no route", "-", "-", "-"))
    return rows


_MOST_DOMAINS = 4


def wide_domains(domains: list[str]) -> str:
    """A virtual host's names, each service once: `cart.shop` stands for its longer forms, whatever the cluster's
    domain is (istioctl knows only cluster.local), for `cart`, and for the same with a port or a dot at the end.
    """
    plain = list(dict.fromkeys(domain.removesuffix(".") or domain for domain in domains if not _has_port(domain)))
    known = set(plain)
    longer = {domain for domain in plain if domain.partition(".svc")[0] in known - {domain} and ".svc" in domain}
    left = [domain for domain in plain if domain not in longer]
    bare = {domain.partition(".")[0] for domain in left if "." in domain} - {"*"}
    left = [domain for domain in left if domain not in bare] or list(domains)
    text = ", ".join(left[:_MOST_DOMAINS])
    return f"{text} + {len(left) - _MOST_DOMAINS} more" if len(left) > _MOST_DOMAINS else text


def _has_port(domain: str) -> bool:
    """Whether it ends in a port; an IPv6 address has colons of its own."""
    return ":" in domain.rpartition("]")[2]


def _match(match: _Match | None) -> str:
    """The path, and how many headers and query parameters must fit; those on the method by name."""
    parts = [describe_match(match)]
    for header in match.headers if match else ():
        wanted = _wanted(header.get("string_match", header))
        sign = "not " if header.get("invert_match") else ""
        parts.append(f"{sign}{header.get('name', '')}{wanted}")
    for parameter in match.query_parameters if match else ():
        parts.append(f"?{parameter.get('name', '')}{_wanted(parameter.get('string_match', parameter))}")
    return " ".join(part for part in parts if part)


def _wanted(matcher: Any) -> str:
    if not isinstance(matcher, dict):
        return ""
    for key, form in (
        ("exact", "={}"),
        ("exact_match", "={}"),
        ("prefix", "={}*"),
        ("suffix", "=*{}"),
        ("contains", "~{}"),
    ):
        if key in matcher:
            return form.format(matcher[key])
    regex = matcher.get("safe_regex") or matcher.get("safe_regex_match")
    return f"~{regex.get('regex', '')}" if isinstance(regex, dict) else ""


def _destination(route: _Route) -> str:
    if route.redirect is not None:
        code = route.redirect.get("response_code", "MOVED_PERMANENTLY")
        target = route.redirect.get("host_redirect") or route.redirect.get("path_redirect") or ""
        return f"redirect {code} {'https ' if route.redirect.get('https_redirect') else ''}{target}".strip()
    if route.direct_response is not None:
        return f"direct response {route.direct_response.get('status', '')}"
    action = route.route
    if action is None:
        return "-"
    if action.weighted_clusters:
        clusters = action.weighted_clusters.clusters
        text = ", ".join(f"{entry.name or entry.cluster_header} {entry.weight}" for entry in clusters)
    else:
        text = action.cluster or (f"cluster of header {action.cluster_header}" if action.cluster_header else "-")
    mirrors = [str(policy.get("cluster", "")) for policy in action.request_mirror_policies]
    return f"{text} (mirrored to {', '.join(mirrors)})" if mirrors else text
