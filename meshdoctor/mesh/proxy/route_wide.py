"""`proxy-config route -o wide`: where a route leads, with weights, and what else it asks of a request."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.mesh.gosort import sort_slice
from meshdoctor.mesh.proxy.naming import Metadata, integer, managed_by
from meshdoctor.mesh.proxy.part import read_part
from meshdoctor.mesh.proxy.rejected import UpdateFailureState
from meshdoctor.mesh.proxy.route import SECTION
from meshdoctor.mesh.proxy.route_match_wide import ALL, WideMatch, match_text, percent
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.envoy.sections import Sections

HEADER = ("NAME", "STATE", "VHOST NAME", "DOMAINS", "MATCH", "DESTINATION", "TIMEOUT", "RETRIES", "VIRTUAL SERVICE")


class _Weighted(msgspec.Struct, gc=False):
    name: str = ""
    weight: int = 0
    cluster_header: str = ""


class _WeightedClusters(msgspec.Struct, gc=False):
    clusters: list[_Weighted] = []


class _Retries(msgspec.Struct, gc=False):
    num_retries: int = 1
    retry_on: str = ""

    @property
    def text(self) -> str:
        """Without `retry_on` only a request's own x-envoy-retry-on makes Envoy retry (RetryStateImpl::create)."""
        return f"{self.num_retries}{' when asked' if self.num_retries and not self.retry_on else ''}"


class _Named(msgspec.Struct, gc=False):
    name: str = ""


class _Plugin(msgspec.Struct, gc=False):
    extension: _Named | None = None


class _Action(msgspec.Struct, gc=False):
    cluster: str | None = None
    cluster_header: str | None = None
    weighted_clusters: _WeightedClusters | None = None
    cluster_specifier_plugin: str | None = None
    inline_cluster_specifier_plugin: _Plugin | None = None
    timeout: str = "15s"
    retry_policy: _Retries | None = None
    request_mirror_policies: list[dict[str, Any]] = []


class _Redirect(msgspec.Struct, gc=False):
    response_code: str = "MOVED_PERMANENTLY"
    https_redirect: bool = False
    scheme_redirect: str = ""
    host_redirect: str = ""
    port_redirect: int = 0
    path_redirect: str = ""
    prefix_rewrite: str = ""
    regex_rewrite: dict[str, Any] | None = None
    strip_query: bool = False


class _Route(msgspec.Struct, gc=False):
    match: WideMatch | None = None
    route: _Action | None = None
    redirect: _Redirect | None = None
    direct_response: dict[str, Any] | None = None
    filter_action: dict[str, Any] | None = None
    non_forwarding_action: dict[str, Any] | None = None
    metadata: Metadata | None = None


class _Host(msgspec.Struct, gc=False):
    name: str = ""
    domains: list[str] = []
    routes: list[_Route] = []
    require_tls: str = "NONE"
    retry_policy: _Retries | None = None
    matcher: msgspec.Raw = msgspec.Raw()


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
            plain = "external http" if host.require_tls == "EXTERNAL_ONLY" else "http"
            rows.append((*head, plain, "redirect to https", "-", "-", "-"))
        for route in host.routes:
            action = route.route
            retries = (action.retry_policy or host.retry_policy) if action else None
            timeout = action.timeout if action else "-"
            rows.append(
                (
                    *head,
                    match_text(route.match),
                    _destination(route),
                    "none" if timeout == "0s" else timeout,
                    retries.text if retries else "-",
                    managed_by(route.metadata) or "-",
                )
            )
        if bytes(host.matcher):
            rows.append((*head, "/*", "as a tree of matchers says", "-", "-", "-"))
        elif not host.routes:
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
    ours = (domain for domain in left if domain.count(".") == 1 or ".svc" in domain)  # not the www of www.acme.com
    bare = {domain.partition(".")[0] for domain in ours} - {"*"}
    left = [domain for domain in left if domain not in bare] or list(domains)
    text = ", ".join(left[:_MOST_DOMAINS])
    return f"{text} + {len(left) - _MOST_DOMAINS} more" if len(left) > _MOST_DOMAINS else text


def _has_port(domain: str) -> bool:
    """Whether it ends in a port; an IPv6 address has colons of its own."""
    return ":" in domain.rpartition("]")[2]


def _destination(route: _Route) -> str:
    if route.redirect is not None:
        exact = bool(route.match and route.match.path)
        return f"redirect {route.redirect.response_code} {_location(route.redirect, exact)}".strip()
    if route.direct_response is not None:
        return f"direct response {route.direct_response.get('status', '')}"
    action = route.route
    if action is None:
        other = "filter action" if route.filter_action is not None else "-"
        return "non-forwarding action" if route.non_forwarding_action is not None else other
    if action.weighted_clusters:
        clusters = action.weighted_clusters.clusters
        text = ", ".join(f"{entry.name or f'header {entry.cluster_header}'} {entry.weight}" for entry in clusters)
    else:
        text = action.cluster or _chosen(action)
    mirrors = [_mirror(policy) for policy in action.request_mirror_policies]
    return f"{text} (mirrored to {', '.join(mirrors)})" if mirrors else text


def _chosen(action: _Action) -> str:
    """What chooses the cluster of each request."""
    if action.cluster_header:
        return f"cluster of header {action.cluster_header}"
    if action.cluster_specifier_plugin:
        return f"cluster of plugin {action.cluster_specifier_plugin}"
    inline = action.inline_cluster_specifier_plugin
    return f"cluster of plugin {inline.extension.name if inline.extension else ''}".rstrip() if inline else "-"


def _mirror(policy: dict[str, Any]) -> str:
    cluster = policy.get("cluster") or f"cluster of header {policy.get('cluster_header', '')}"
    runtime = policy.get("runtime_fraction")
    share = percent(runtime) if isinstance(runtime, dict) else ALL
    return str(cluster) if share == ALL else f"{cluster} {share}"


def _location(redirect: _Redirect, exact: bool) -> str:
    """Where to (Http::Utility::newUri, Envoy 1.40); `*` is what the request has, and the path's end after a prefix."""
    scheme = redirect.scheme_redirect or ("https" if redirect.https_redirect else "")
    port = f":{redirect.port_redirect}" if redirect.port_redirect else ""
    path = redirect.path_redirect or (
        f"{redirect.prefix_rewrite}{'' if exact else '*'}" if redirect.prefix_rewrite else ""
    )
    regex = redirect.regex_rewrite
    if not path and regex is not None:
        pattern = regex.get("pattern")
        path = f"/(~{pattern.get('regex', '') if isinstance(pattern, dict) else ''} to {regex.get('substitution', '')})"
    host = redirect.host_redirect or ("*" if port or (scheme and path) else "")
    target = f"{scheme}://{host}{port}{path}" if scheme and host else f"{scheme}{host}{port}{path}"
    return f"{target} without query" if redirect.strip_query else target
