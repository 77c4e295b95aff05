"""Who uses an object of a proxy's configuration: endpoint <- cluster <- route <- listener, the joins upwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.proxy.joined_routing import CLUSTER, ROUTE, describe_match, describe_route
from meshdoctor.mesh.proxy.joined_upstreams import endpoint_rows
from meshdoctor.mesh.proxy.route import describe_domains
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.listener import FilterChain, Listener
from meshdoctor.model.envoy.route import Route, RouteConfiguration
from meshdoctor.model.snapshot import PodRef

LISTENER, ENDPOINT, SECRET = "listener", "endpoint", "secret"


class Use(NamedTuple):
    """The object *kind* *name* uses what was asked for: *how* it does, and *where* in it."""

    kind: str
    name: str
    how: str
    where: str


def users(mesh: MeshIndex, pod: PodRef, config: ConfigDump, kind: str, name: str) -> Iterator[Use]:
    """What uses the endpoint (an address), cluster, route configuration or secret called *name*.

    A listener is used by nothing: traffic arrives there.
    """
    if kind == ENDPOINT:
        yield from _clusters_with(mesh, pod, config, name)
    elif kind == CLUSTER:
        yield from _users_of_cluster(config, name)
    elif kind == ROUTE:
        yield from _chains_with(config, name)
    elif kind == SECRET:
        yield from _mentions(config, name, "names the secret", _names_secret)


def _clusters_with(mesh: MeshIndex, pod: PodRef, config: ConfigDump, address: str) -> Iterator[Use]:
    for row in endpoint_rows(mesh, pod, config):
        if row.address == address:
            yield Use(CLUSTER, row.cluster, "has this endpoint", row.why or ("usable" if row.usable else "not usable"))


def _users_of_cluster(config: ConfigDump, name: str) -> Iterator[Use]:
    found = [*_routes_to(config, name), *_proxies_to(config, name)]
    yield from found
    known = {(use.kind, use.name) for use in found}
    # Tracing, external authorization, rate limits, access logs and more name clusters, too.
    mentions = _mentions(config, name, "names it elsewhere", _names_cluster)
    yield from (use for use in mentions if (use.kind, use.name) not in known)


def _routes_to(config: ConfigDump, name: str) -> Iterator[Use]:
    for entry in config.routes:
        table = entry.body.name or entry.name
        yield from (Use(ROUTE, table, how, where) for how, where in _in_table(entry.body, name))


def _in_table(table: RouteConfiguration, name: str) -> Iterator[tuple[str, str]]:
    for host in table.virtual_hosts:
        for route in host.routes:
            if how := _how(route, name):
                yield how, f"{describe_domains(host.domains)} {describe_route(route.match)}"


def _how(route: Route, name: str) -> str:
    """How a route uses a cluster; "" when it does not."""
    action = route.route
    if action is None:
        return ""
    if action.cluster == name:
        return "routes to it"
    if action.weighted_clusters:
        for entry in action.weighted_clusters.clusters:
            if entry.name == name:
                return f"routes to it, weight {entry.weight}"
    if any(mirror.get("cluster") == name for mirror in action.request_mirror_policies):
        return "mirrors to it"
    return ""


def _proxies_to(config: ConfigDump, name: str) -> Iterator[Use]:
    for listener, chain, owner in _chains(config):
        where = _place(listener, chain)
        if chain.http is not None and chain.http.route_config is not None:
            inline = _in_table(chain.http.route_config, name)
            yield from (Use(LISTENER, owner, f"{how} (inline route)", f"{where} {place}") for how, place in inline)
        tcp = chain.tcp
        if tcp is not None:
            weighted = tcp.weighted_clusters.clusters if tcp.weighted_clusters else []
            if tcp.cluster == name or any(entry.name == name for entry in weighted):
                yield Use(LISTENER, owner, "passes TCP to it", where)


def _chains_with(config: ConfigDump, name: str) -> Iterator[Use]:
    """Chains that ask for a route configuration, and those that hold it: Envoy lists inline ones among its routes."""
    for listener, chain, owner in _chains(config):
        if chain.http is not None and chain.http.rds and chain.http.rds.route_config_name == name:
            yield Use(LISTENER, owner, "asks for this route configuration", _place(listener, chain))
        elif chain.http is not None and chain.http.route_config and chain.http.route_config.name == name:
            yield Use(LISTENER, owner, "holds it (inline)", _place(listener, chain))


def _chains(config: ConfigDump) -> Iterator[tuple[Listener, FilterChain, str]]:
    for entry in config.listeners:
        for chain in entry.body.chains:
            yield entry.body, chain, entry.name or entry.body.name


def _place(listener: Listener, chain: FilterChain) -> str:
    return f"{listener.address} {describe_match(listener, chain)}"


def _mentions(config: ConfigDump, name: str, how: str, names: Callable[[str, Any, str], bool]) -> Iterator[Use]:
    """Listeners, routes and clusters in which a field *names* it; only those with the whole string are decoded."""
    sought = msgspec.json.encode(name)
    for kind, entries in ((LISTENER, config.listeners), (ROUTE, config.routes), (CLUSTER, config.clusters)):
        for entry in entries:
            own = entry.name or getattr(entry.body, "name", "")
            if own == name or sought not in bytes(entry.raw):
                continue
            if any(names(key, value, name) for key, value in _fields(msgspec.json.decode(entry.raw))):
                yield Use(kind, own, how, "")


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    """Every field below *value* by its name; an entry of a list by the list's."""
    left: list[tuple[str, Any]] = [("", value)]
    while left:
        key, inner = left.pop()
        if isinstance(inner, list):
            left += [(key, entry) for entry in inner]
            continue
        yield key, inner
        if isinstance(inner, dict):
            left += inner.items()


def _names_cluster(key: str, value: Any, name: str) -> bool:
    """`cluster`, `cluster_name`, `collector_cluster` and so on."""
    return value == name and "cluster" in key


def _names_secret(key: str, value: Any, name: str) -> bool:
    """An SdsSecretConfig of that name (envoy.extensions.transport_sockets.tls.v3)."""
    return isinstance(value, dict) and value.get("name") == name and ("sds_secret" in key or "sds_config" in value)
