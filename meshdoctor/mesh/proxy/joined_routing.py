"""A proxy's listeners and routes as rows that lead to each other: listener -> filter chain -> route -> cluster.

Unlike istioctl's tables (beside this module) every row names the rows that it leads to, also of weighted routes, and
resources that are warming or were rejected are shown with their state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from meshdoctor.mesh.blame import of_route
from meshdoctor.model.envoy.config_dump import ConfigDump, Resource
from meshdoctor.model.envoy.listener import FilterChain, FilterChainMatch, Listener
from meshdoctor.model.envoy.route import Route, RouteConfiguration, RouteMatch

ROUTE, CLUSTER = "route", "cluster"


class ListenerRow(NamedTuple):
    """One filter chain: *leads* is ROUTE or CLUSTER ("" nowhere), *to* the names of those."""

    listener: str
    address: str
    port: int
    state: str
    match: str
    leads: str
    to: tuple[str, ...]
    inline: bool = False
    error: str = ""


class RouteRow(NamedTuple):
    """One route; *clusters* are where it sends to, *answer* what it does instead."""

    config: str
    host: str
    domains: tuple[str, ...]
    match: str
    clusters: tuple[str, ...]
    answer: str
    origin: str


def listener_rows(config: ConfigDump) -> Iterator[ListenerRow]:
    """A row per filter chain, by port; a rejected listener without any is one row with the reason."""
    listeners = (*config.listeners, *config.partly(Listener))
    for entry in sorted(listeners, key=lambda one: (one.body.address.port, one.name)):
        listener = entry.body
        error = " ".join(entry.error.details.split()) if entry.error else ""
        if not listener.chains:
            yield _listener(entry, listener, "", "", (), error)
        for chain in listener.chains:
            leads, to, inline = _destination(chain, listener)
            yield _listener(entry, listener, describe_match(listener, chain), leads, to, error, inline)


def _listener(
    entry: Resource[Listener],
    listener: Listener,
    match: str,
    leads: str,
    to: tuple[str, ...],
    error: str,
    inline: bool = False,
) -> ListenerRow:
    address = listener.address
    return ListenerRow(
        entry.name or listener.name,
        # An internal listener (a waypoint's) has no address, only a name that clusters dial.
        address.ip or (str(address) if str(address) not in ("", "-") else entry.name or listener.name),
        address.port,
        entry.state,
        match,
        leads,
        to,
        inline,
        error,
    )


def _destination(chain: FilterChain, listener: Listener) -> tuple[str, tuple[str, ...], bool]:
    http = chain.http
    if http is not None:
        if http.rds and http.rds.route_config_name:
            return ROUTE, (http.rds.route_config_name,), False
        if http.route_config is not None:
            routes = [route for host in http.route_config.virtual_hosts for route in host.routes]
            clusters = (name for route in routes if route.route for name in route.route.clusters)
            return CLUSTER, tuple(dict.fromkeys(clusters)), True
        return "", (), False
    tcp = chain.tcp
    if tcp is not None:
        weighted = [entry.name for entry in tcp.weighted_clusters.clusters] if tcp.weighted_clusters else []
        return CLUSTER, tuple(name for name in (tcp.cluster, *weighted) if name), False
    return "", (), False


def describe_match(listener: Listener, chain: FilterChain) -> str:
    """What leads a connection to a filter chain: its name where a matcher of the listener's chooses (waypoints)."""
    return chain.name if listener.filter_chain_matcher and chain.name else describe_chain(chain.filter_chain_match)


def describe_chain(match: FilterChainMatch) -> str:
    """What a filter chain asks of a connection; "any" when it asks nothing."""
    parts = []
    if match.server_names:
        parts.append(f"sni {','.join(match.server_names)}")
    if match.transport_protocol:
        parts.append(match.transport_protocol)
    if match.application_protocols:
        parts.append(f"alpn {','.join(match.application_protocols)}")
    if match.prefix_ranges:
        parts.append(",".join(f"{each.address_prefix}/{each.prefix_len}" for each in match.prefix_ranges))
    if match.destination_port is not None:
        parts.append(f"port {match.destination_port}")
    if match.source_prefix_ranges or match.source_ports:
        parts.append("some sources")
    return " ".join(parts) or "any"


def route_rows(config: ConfigDump) -> Iterator[RouteRow]:
    """A row per route, in Envoy's order of matching; a virtual host without routes answers 404."""
    for entry in (*config.routes, *config.partly(RouteConfiguration)):
        for host in entry.body.virtual_hosts:
            domains = tuple(host.domains)
            for route in host.routes:
                clusters = route.route.clusters if route.route else ()
                origin = of_route(route)
                yield RouteRow(
                    entry.body.name or entry.name,
                    host.name,
                    domains,
                    describe_route(route.match),
                    clusters,
                    "" if clusters else _answer(route),
                    str(origin) if origin else "",
                )
            if not host.routes:
                yield RouteRow(entry.body.name or entry.name, host.name, domains, "any", (), "404", "")


def describe_route(match: RouteMatch) -> str:
    """What a route asks of a request."""
    path = next(
        (
            text
            for value, text in (
                (match.path, f"= {match.path}"),
                (match.prefix, f"{match.prefix}*"),
                (match.path_separated_prefix, f"{match.path_separated_prefix}/*"),
                (match.safe_regex, f"~ {(match.safe_regex or {}).get('regex', '')}"),
                (match.connect_matcher, "CONNECT"),
            )
            if value is not None
        ),
        "any",
    )
    headers = [str(header.get("name", "")) for header in match.headers]
    query = [str(parameter.get("name", "")) for parameter in match.query_parameters]
    extra = [f"headers {','.join(headers)}"] if headers else []
    extra += [f"query {','.join(query)}"] if query else []
    return " ".join((path, *extra))


def _answer(route: Route) -> str:
    if route.direct_response is not None:
        return str(route.direct_response.get("status", "direct response"))
    if route.redirect is not None:
        return "redirect"
    if route.route and route.route.cluster_header:
        return f"cluster of header {route.route.cluster_header}"
    return "none"
