"""One Envoy, compiled for questions: indexes over its listeners, routes, clusters and endpoints, built when needed."""

from __future__ import annotations

from functools import cached_property

from meshdoctor.mesh.trace.chain import ChainIndex, criteria
from meshdoctor.mesh.trace.codec import Settings
from meshdoctor.mesh.trace.endpoint import Endpoints, of_cluster
from meshdoctor.mesh.trace.guard import guards_of
from meshdoctor.mesh.trace.listener import Listeners
from meshdoctor.mesh.trace.loose import message, whole
from meshdoctor.mesh.trace.route import Rule, rule_of
from meshdoctor.mesh.trace.sniff import Inspectors
from meshdoctor.mesh.trace.vhost import Domains
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.endpoint import ClusterStatus, ClusterStatuses
from meshdoctor.model.envoy.listener import FilterChain, HttpConnectionManager, Listener, TcpProxy
from meshdoctor.model.envoy.route import RouteConfiguration, VirtualHost
from meshdoctor.model.envoy.tls import TlsContext

MATCHES_SINGLE_VALUES = (1, 39)
"""The first release that matches each value of a repeated header by itself (envoyproxy/envoy pull request 44819)."""
SNI_CLUSTER = "envoy.filters.network.sni_cluster"


class Chain:
    """A filter chain with its terminal filter decoded; *index* None is the listener's default chain."""

    def __init__(self, body: FilterChain, index: int | None, joined: bool) -> None:
        self.body = body
        self.index = index
        self.tls: TlsContext | None = body.tls
        self.http: HttpConnectionManager | None = body.http
        self.tcp: TcpProxy | None = None if self.http else body.tcp
        self.settings = Settings(self.http, joined) if self.http else None
        self.by_sni = any(entry.name == SNI_CLUSTER for entry in body.filters)
        self.network_guards = guards_of(body.filters)
        self.guards = guards_of(self.http.http_filters) if self.http else ()

    @property
    def label(self) -> str:
        return self.body.name or ("default" if self.index is None else f"#{self.index}")


class OpenListener:
    """A listener with its inspectors and chains compiled."""

    def __init__(self, body: Listener, joined: bool = False) -> None:
        self.body = body
        self.inspectors = Inspectors(body)
        self.index = ChainIndex(
            criteria(number, chain.filter_chain_match) for number, chain in enumerate(body.filter_chains)
        )
        self._chains: dict[int | None, Chain] = {}
        self._joined = joined

    def chain(self, index: int | None) -> Chain | None:
        """The chain of that place, the default one for None; None when there is no default chain."""
        if index not in self._chains:
            body = self.body.default_filter_chain if index is None else self.body.filter_chains[index]
            if body is None:
                return None
            self._chains[index] = Chain(body, index, self._joined)
        return self._chains[index]


class OpenHost:
    """A virtual host with the matches of its routes compiled."""

    def __init__(self, body: VirtualHost) -> None:
        self.body = body
        self.rules: tuple[Rule, ...] = tuple(rule_of(route) for route in body.routes)


class RouteTable:
    """A route configuration: its domains indexed at once, each virtual host compiled at its first request."""

    def __init__(self, body: RouteConfiguration) -> None:
        self.body = body
        names = ((domain, place) for place, host in enumerate(body.virtual_hosts) for domain in host.domains)
        self.domains = Domains(names, body.ignore_port_in_host_matching)
        self._hosts: dict[int, OpenHost] = {}

    def host(self, place: int) -> OpenHost:
        if place not in self._hosts:
            self._hosts[place] = OpenHost(self.body.virtual_hosts[place])
        return self._hosts[place]


class Proxy:
    """The compiled dump of one Envoy. It holds caches only: the same question always has the same answer.

    *statuses* (`/clusters`) adds the health that Envoy counts itself: outlier ejections and health checks.
    """

    def __init__(self, dump: ConfigDump, statuses: ClusterStatuses | None = None) -> None:
        self.dump = dump
        self._statuses: dict[str, ClusterStatus] = {entry.name: entry for entry in (statuses or _NO).cluster_statuses}
        self._open: dict[int, OpenListener] = {}
        self._tables: dict[int, RouteTable] = {}
        self._endpoints: dict[str, Endpoints] = {}

    @cached_property
    def listeners(self) -> Listeners:
        serving = [entry.body for entry in self.dump.listeners if entry.state in ("active", "static")]
        return Listeners(serving)

    def open(self, listener: Listener) -> OpenListener:
        found = self._open.get(id(listener))
        if found is None:
            found = self._open[id(listener)] = OpenListener(listener, self.joins_headers)
        return found

    def table(self, manager: HttpConnectionManager) -> RouteTable | None:
        """The routes of a connection manager: inline, or those that RDS delivered; None when none ever came."""
        body = manager.route_config
        if body is None and manager.rds:
            body = self._routes.get(manager.rds.route_config_name)
        if body is None:
            return None
        found = self._tables.get(id(body))
        if found is None:
            found = self._tables[id(body)] = RouteTable(body)
        return found

    def cluster(self, name: str) -> Cluster | None:
        """The cluster of that name that takes requests: a warming one does not exist for the router yet."""
        return self.dump.cluster(name)

    def endpoints(self, cluster: Cluster) -> Endpoints:
        found = self._endpoints.get(cluster.name)
        if found is None:
            found = of_cluster(cluster, self.dump, self._statuses.get(cluster.name))
            self._endpoints[cluster.name] = found
        return found

    @cached_property
    def joins_headers(self) -> bool:
        """Whether this Envoy matches a repeated header's values joined with commas: releases before mid-2026 do."""
        node = self.dump.bootstrap.node if self.dump.bootstrap is not None else {}
        version = message(message(node.get("user_agent_build_version")).get("version"))
        release = whole(version.get("major_number")), whole(version.get("minor_number"))
        return (0, 0) < release < MATCHES_SINGLE_VALUES

    @cached_property
    def warming(self) -> frozenset[str]:
        """Clusters that Envoy was given but does not use yet."""
        names = {entry.name for entry in self.dump.clusters if entry.state == "warming"}
        return frozenset(name for name in names if self.dump.cluster(name) is None)

    @cached_property
    def missing_secrets(self) -> frozenset[str]:
        """Secrets that Envoy asked for and was not given (`uninitialized` in the dump)."""
        active = {entry.name for entry in self.dump.secrets if entry.state != "warming"}
        return frozenset(entry.name for entry in self.dump.secrets if entry.state == "warming") - active

    @cached_property
    def _routes(self) -> dict[str, RouteConfiguration]:
        return {entry.body.name or entry.name: entry.body for entry in self.dump.routes}


_NO = ClusterStatuses()
