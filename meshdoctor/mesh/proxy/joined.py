"""A proxy's configuration as rows that lead to each other: listener -> route -> cluster -> endpoint -> pod.

Unlike istioctl's tables (beside this module) every row names the rows that it leads to, also of weighted routes, and
resources that are warming or were rejected are shown with their state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from meshdoctor.mesh.blame import of_cluster, of_route
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.envoy.config_dump import ConfigDump, Resource
from meshdoctor.model.envoy.endpoint import ClusterStatus, HostStatus, LbEndpoint
from meshdoctor.model.envoy.listener import FilterChain, FilterChainMatch, Listener
from meshdoctor.model.envoy.route import Route, RouteMatch
from meshdoctor.model.names import parse_cluster_name
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.wants import ProxyCertificates, ProxyClusters

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


class ClusterRow(NamedTuple):
    """One cluster; *usable* of *hosts* would be picked (None when Envoy's live view was not read)."""

    name: str
    host: str
    port: int
    subset: str
    direction: str
    kind: str
    tls: str
    state: str
    origin: str
    hosts: int | None = None
    usable: int | None = None
    error: str = ""


class EndpointRow(NamedTuple):
    """One host of a cluster; *why* says why Envoy would not pick it, *pod* which pod has the address."""

    cluster: str
    address: str
    usable: bool
    why: str
    pod: PodRef | None
    requests: int | None = None
    failures: int | None = None


class CertificateRow(NamedTuple):
    """One certificate that Envoy holds; times are RFC 3339, as Envoy gives them."""

    kind: str
    identity: str
    serial: str
    valid_from: str
    expires: str
    path: str


def listener_rows(config: ConfigDump) -> Iterator[ListenerRow]:
    """A row per filter chain, by port; a rejected listener without any is one row with the reason."""
    for entry in sorted(config.listeners, key=lambda one: (one.body.address.port, one.name)):
        listener = entry.body
        error = " ".join(entry.error.details.split()) if entry.error else ""
        if not listener.chains:
            yield _listener(entry, listener, "", "", (), error)
        for chain in listener.chains:
            leads, to, inline = _destination(chain, listener)
            yield _listener(entry, listener, describe_chain(chain.filter_chain_match), leads, to, error, inline)


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
        address.ip or str(address),
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
    for entry in config.routes:
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


def cluster_rows(mesh: MeshIndex, pod: PodRef, config: ConfigDump) -> Iterator[ClusterRow]:
    """A row per cluster, active, static and warming ones, by host, port and subset."""
    live = mesh.snapshot.value(ProxyClusters(pod))
    statuses = {status.name: status for status in live.cluster_statuses} if live else None
    for entry in sorted(config.clusters, key=lambda one: cluster_order(one.name)):
        name = parse_cluster_name(entry.name)
        origin = of_cluster(entry.body)
        status = statuses.get(entry.name) if statuses is not None else None
        hosts = status.host_statuses if status else []
        yield ClusterRow(
            name=entry.name,
            host=name.host or entry.name,
            port=name.port or 0,
            subset=name.subset or "",
            direction=name.direction or "",
            kind=entry.body.type,
            tls=_tls(entry.body),
            state=entry.state,
            origin=str(origin) if origin else "",
            hosts=None if statuses is None else len(hosts),
            usable=None if statuses is None else sum(host.healthy for host in hosts),
            error=" ".join(entry.error.details.split()) if entry.error else "",
        )


def cluster_order(name: str) -> tuple[str, str, int, str]:
    """What clusters are sorted by: direction, host, port and subset; Istio's own before the others."""
    parsed = parse_cluster_name(name)
    return parsed.direction or "~", parsed.host or name, parsed.port or 0, parsed.subset or ""


def _tls(cluster: Cluster) -> str:
    """How the cluster dials: `auto` where each endpoint decides (istiod's automatic mTLS)."""
    if cluster.transport_socket_matches:
        return "auto"
    return "TLS" if cluster.tls else "plain"


def endpoint_rows(mesh: MeshIndex, pod: PodRef, config: ConfigDump) -> Iterator[EndpointRow]:
    """A row per host of each cluster: Envoy's live view where it was read, else what it was sent."""
    live = mesh.snapshot.value(ProxyClusters(pod))
    if live:
        for status in live.cluster_statuses:
            for host in status.host_statuses:
                yield _live_endpoint(mesh, status, host)
        return
    for assignment in config.endpoints:
        for endpoint in assignment.body.all:
            yield _sent_endpoint(mesh, assignment.body.cluster_name, endpoint)


def _live_endpoint(mesh: MeshIndex, status: ClusterStatus, host: HostStatus) -> EndpointRow:
    health = host.health_status
    why = [] if health.eds_health_status in ("UNKNOWN", "HEALTHY") else [health.eds_health_status]
    why += [
        text
        for failed, text in (
            (health.failed_outlier_check, "ejected as an outlier"),
            (health.failed_active_health_check, "failed its health check"),
            (health.pending_dynamic_removal, "removed, still in use"),
        )
        if failed
    ]
    return EndpointRow(
        status.name,
        str(host.address),
        host.healthy,
        ", ".join(why),
        _pod(mesh, host.address.ip),
        host.count("rq_total"),
        host.count("rq_error") + host.count("cx_connect_fail"),
    )


def _sent_endpoint(mesh: MeshIndex, cluster: str, endpoint: LbEndpoint) -> EndpointRow:
    address = endpoint.endpoint.address
    usable = endpoint.health_status in ("UNKNOWN", "HEALTHY", "DEGRADED")
    return EndpointRow(cluster, str(address), usable, "" if usable else endpoint.health_status, _pod(mesh, address.ip))


def _pod(mesh: MeshIndex, address: str) -> PodRef | None:
    found = mesh.pod_by_ip(address) if address else None
    return PodRef(found.namespace, found.name) if found else None


def certificate_rows(mesh: MeshIndex, pod: PodRef) -> Iterator[CertificateRow]:
    """A row per certificate that Envoy holds: its own chain, and the roots that it trusts."""
    found = mesh.snapshot.value(ProxyCertificates(pod))
    for certificate in found.certificates if found else ():
        for kind, entries in (("chain", certificate.cert_chain), ("root", certificate.ca_cert)):
            for entry in entries:
                names = ", ".join(str(name) for name in entry.subject_alt_names)
                yield CertificateRow(
                    kind,
                    names,
                    entry.serial_number,
                    entry.valid_from or "",
                    entry.expiration_time or "",
                    entry.path,
                )


def resource_json(config: ConfigDump, kind: str, name: str) -> list[msgspec.Raw]:
    """The JSON of a listener, route configuration, cluster, endpoint assignment or secret, as it stood in the dump."""
    found: dict[str, tuple[Resource[Any], ...]] = {
        "listener": config.listeners,
        ROUTE: config.routes,
        CLUSTER: config.clusters,
        "endpoint": config.endpoints,
        "secret": config.secrets,
    }
    named = [
        entry
        for entry in found.get(kind, ())
        if name in (entry.name, getattr(entry.body, "name", ""), getattr(entry.body, "cluster_name", ""))
    ]
    return [entry.raw if bytes(entry.raw) else msgspec.Raw(msgspec.json.encode(entry.error)) for entry in named]
