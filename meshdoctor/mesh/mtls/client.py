"""Which TLS a client's proxy uses towards each endpoint of a service, as istiod would configure it.

Which cluster there is at all is in `outbound_cluster`, the TLS of one in `cluster_tls`; here is what a client's proxy
sees of both, with the TLS context and each endpoint (istiod 1.32, `pilot/pkg/networking/core/cluster_builder.go`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from meshdoctor.mesh import services as registry
from meshdoctor.mesh import traffic_policy
from meshdoctor.mesh.destination_rules import EffectiveRule
from meshdoctor.mesh.endpoints import MeshEndpoint
from meshdoctor.mesh.mtls.cluster_tls import (
    ALPN,
    AUTO,
    MTLS,
    PLAINTEXT,
    Cause,
    ClusterTls,
    EndpointTls,
    auto_mtls,
    default_sni,
    speaks_http2,
    to_endpoint,
    user_supplied,
)
from meshdoctor.mesh.mtls.outbound_cluster import (
    ORIGINAL_DST,
    OutboundCluster,
    main_cluster,
    subset_cluster,
    why_none,
)
from meshdoctor.mesh.mtls.peer_authentication import UNKNOWN
from meshdoctor.mesh.mtls.server import Servers
from meshdoctor.mesh.objects import MeshObjects
from meshdoctor.mesh.services import MeshPort, MeshService
from meshdoctor.mesh.sidecar_scope import ScopedService
from meshdoctor.mesh.workloads import Peer
from meshdoctor.model.istio import Subset
from meshdoctor.model.labels import selects
from meshdoctor.model.pods import GATEWAY, SIDECAR, WAYPOINT

NO_CLUSTER = "no-cluster"
"""This proxy does not know the host, the port or the subset."""
WITHOUT_PROXY = "NO_PROXY"
_PROXIES = (SIDECAR, GATEWAY, WAYPOINT)


class ClientTls(NamedTuple):
    """What a client does towards one service port and subset.

    *tls* is that of the cluster: `auto` chooses by endpoint (see *endpoints*), else one of the words there, or
    `no-cluster`. *rule* is the DestinationRule in force (TLS or not); *reasons* say why, the decisive one first.
    """

    host: str
    port: int
    subset: str
    tls: str
    cluster_type: str = ""
    sni: str = ""
    auto_sni: bool = False
    alpn: tuple[str, ...] = ()
    sans: tuple[str, ...] = ()
    endpoints: tuple[EndpointTls, ...] = ()
    rule: EffectiveRule | None = None
    reasons: tuple[str, ...] = ()
    service: MeshService | None = None


_UNREAD = "DestinationRules could not be read"


def _unknown(found: ClientTls) -> ClientTls:
    """*found* without what it would be if no DestinationRule said anything."""
    endpoints = tuple(each._replace(tls=UNKNOWN, reason=_UNREAD) for each in found.endpoints)
    return found._replace(tls=UNKNOWN, endpoints=endpoints, reasons=(_UNREAD,), sans=())


class Clients:
    """The client's side, by group of clients and service port; each answer is computed once."""

    def __init__(self, objects: MeshObjects, servers: Servers) -> None:
        self._objects = objects
        self._servers = servers
        self._cache: dict[tuple[tuple[object, ...], str, int, str], ClientTls] = {}
        self._shared: dict[tuple[object, ...], ClientTls] = {}
        self._accounts_of: dict[tuple[str, str], tuple[str, ...]] = {}
        self._groups: dict[str, tuple[object, ...]] = {}

    def group(self, client: Peer) -> tuple[object, ...]:
        """Clients of one group get the same configuration: namespace, kind of proxy, Sidecar, matching selectors."""
        found = self._groups.get(client.key)
        if found is None:
            found = self._groups[client.key] = self._group(client)
        return found

    def _group(self, client: Peer) -> tuple[object, ...]:
        if client.proxy not in _PROXIES:
            return (client.proxy,)
        sidecar = self._objects.sidecar_scopes.sidecar(client.namespace, client.labels, client.proxy)
        selectors = self._objects.destination_rules.selectors(client.namespace)
        chosen = tuple(selector for selector in selectors if selects(dict(selector), client.labels))
        return client.namespace, client.proxy, sidecar.key if sidecar else "", chosen

    def scope(self, client: Peer) -> Mapping[str, ScopedService]:
        """The services that a client's proxy knows, by host."""
        return self._objects.sidecar_scopes.of(client.namespace, client.labels, client.proxy).services

    def of(self, client: Peer, host: str, port: int, subset: str = "") -> ClientTls:
        """What *client* does towards a service's host (the full name) and port."""
        key = (self.group(client), host, port, subset)
        found = self._cache.get(key)
        if found is None:
            proxied = client.proxy in _PROXIES
            found = (
                self._compute(client, host, port, subset) if proxied else self._unproxied(client, host, port, subset)
            )
            if proxied and found.tls != NO_CLUSTER and "DestinationRule" in self._objects.missing:
                found = _unknown(found)
            self._cache[key] = found
        return found

    def _compute(self, client: Peer, host: str, port: int, subset: str) -> ClientTls:
        scoped = self.scope(client).get(host)
        service_port = scoped.port(port) if scoped else None
        absent = ClientTls(host, port, subset, NO_CLUSTER)
        if scoped is None or service_port is None:
            return absent._replace(reasons=(self._why_absent(client, host, port, scoped),))
        service = scoped.service
        absent = absent._replace(service=service)
        if service.resolution == registry.ALIAS or service_port.protocol == "UDP":
            return absent._replace(reasons=(f"{service.label} gets no cluster: an alias or a UDP port",))
        rule = self._objects.destination_rules.choose(client.namespace, client.labels, service)
        # From here on the client's kind of proxy and its rule are all that matters: groups share the answer.
        key = (client.proxy, id(service), port, subset, id(rule))
        if key not in self._shared:
            self._shared[key] = self._with_rule(client.proxy, service, service_port, rule, subset)
        return self._shared[key]

    def _with_rule(
        self, proxy: str, service: MeshService, service_port: MeshPort, rule: EffectiveRule | None, subset: str
    ) -> ClientTls:
        port = service_port.number
        endpoints = self._endpoints(service, service_port)
        direct = proxy == SIDECAR and not (service.kubernetes and self._objects.features.eds_for_headless)
        cluster = main_cluster(service, rule, port, endpoints, direct)
        if cluster is not None and subset:
            cluster = subset_cluster(cluster, rule, subset, port)
        if cluster is None:
            reasons = (why_none(service, rule, subset),)
            return ClientTls(service.host, port, subset, NO_CLUSTER, rule=rule, reasons=reasons, service=service)
        tls = self._tls(proxy, service, rule, cluster, endpoints)
        found = ClientTls(service.host, port, subset, tls.mode, cluster.type, rule=rule, service=service)
        found = self._with_context(found, tls, service, speaks_http2(service_port, cluster.policy))
        # An ORIGINAL_DST cluster has no endpoints of its own: any address of the service may be called.
        shown = endpoints if cluster.type == ORIGINAL_DST else cluster.endpoints
        return found._replace(
            endpoints=self._per_endpoint(found, tls, rule, cluster.subset, shown),
            reasons=(tls.reason, *_rule_notes(rule)),
        )

    def _unproxied(self, client: Peer, host: str, port: int, subset: str) -> ClientTls:
        """A client without a proxy sends what its application sends; that is taken to be plain text."""
        services = self._objects.registry.by_host.get(host, ())
        found = next(((s, p) for s in services if (p := s.port(port)) is not None), None)
        if found is None:
            return ClientTls(host, port, subset, NO_CLUSTER, reasons=("no service of the mesh has that host and port",))
        reason = "the client has no sidecar: it sends what its application sends"
        sent = (PLAINTEXT, reason, Cause.NO_PROXY)
        endpoints = tuple(EndpointTls(endpoint, *sent) for endpoint in self._endpoints(*found))
        return ClientTls(
            host, port, subset, PLAINTEXT, WITHOUT_PROXY, endpoints=endpoints, reasons=(reason,), service=found[0]
        )

    def _why_absent(self, client: Peer, host: str, port: int, scoped: ScopedService | None) -> str:
        if scoped is not None:
            return f"{scoped.service.label} has no port {port} that {client.namespace} sees"
        services = self._objects.registry.by_host.get(host, ())
        if not services:
            return f"no Service or ServiceEntry has the host {host}"
        if not any(self._objects.registry.is_visible(service, client.namespace) for service in services):
            return f"{services[0].label} is not exported to namespace {client.namespace}"
        sidecar = self._objects.sidecar_scopes.sidecar(client.namespace, client.labels, client.proxy)
        return f"Sidecar {sidecar.key if sidecar else '-'} does not import {host}"

    def _endpoints(self, service: MeshService, port: MeshPort) -> tuple[MeshEndpoint, ...]:
        """Endpoints belong to a host and a namespace: those of every object with that host there count."""
        found: dict[str, MeshEndpoint] = {}
        for own in self._objects.registry.by_host.get(service.host, ()):
            if own.namespace != service.namespace or own.kubernetes != service.kubernetes:
                continue
            match = next((candidate for candidate in own.ports if candidate.name == port.name), None)
            for endpoint in self._objects.endpoints.of(own, match) if match else ():
                found.setdefault(endpoint.name, endpoint)
        return tuple(found.values())

    def _tls(
        self,
        proxy: str,
        service: MeshService,
        rule: EffectiveRule | None,
        cluster: OutboundCluster,
        endpoints: tuple[MeshEndpoint, ...],
    ) -> ClusterTls:
        if rule is not None and cluster.policy is not None and cluster.policy.tls is not None:
            return user_supplied(proxy, rule, cluster.policy.tls)
        direct = service.resolution == registry.PASSTHROUGH or traffic_policy.is_passthrough(cluster.checked)
        enabled = self._objects.mesh.enable_auto_mtls
        return auto_mtls(enabled, service, self._servers.policies, endpoints if direct else None)

    def _with_context(self, found: ClientTls, tls: ClusterTls, service: MeshService, http2: bool) -> ClientTls:
        """*found* with the details of its TLS context."""
        settings = tls.settings
        if settings is None:
            return found
        sans = tuple(settings.subject_alt_names)
        if tls.mode in (AUTO, MTLS):
            # An ORIGINAL_DST cluster has one socket for all addresses: no choice by endpoint.
            return found._replace(
                tls=MTLS if found.cluster_type == ORIGINAL_DST else tls.mode,
                sni=settings.sni or default_sni(found.host, found.port, found.subset),
                alpn=(*ALPN, "h2") if http2 else ALPN,
                sans=sans or self._accounts(service),
            )
        if not sans and not service.kubernetes:
            sans = self._accounts(service)
        return found._replace(
            sni=settings.sni,
            auto_sni=not settings.sni,
            alpn=("h2",) if http2 else (),
            sans=() if settings.insecure_skip_verify else sans,
        )

    def _accounts(self, service: MeshService) -> tuple[str, ...]:
        if service.key not in self._accounts_of:
            same = self._objects.registry.by_host.get(service.host, ())
            own = [entry for entry in same if entry.namespace == service.namespace]
            self._accounts_of[service.key] = self._objects.endpoints.identities(own)
        return self._accounts_of[service.key]

    def _per_endpoint(
        self,
        found: ClientTls,
        tls: ClusterTls,
        rule: EffectiveRule | None,
        subset: Subset | None,
        endpoints: tuple[MeshEndpoint, ...],
    ) -> tuple[EndpointTls, ...]:
        if found.tls != AUTO:
            same = (found.tls, tls.reason, tls.cause, tls.objects)
            return tuple(EndpointTls(endpoint, *same) for endpoint in endpoints)
        declared = traffic_policy.tls_mode(subset.traffic_policy if subset else None, found.port)
        if declared is None and rule is not None:
            declared = traffic_policy.tls_mode(rule.traffic_policy, found.port)
        policies = self._servers.policies
        return tuple(to_endpoint(endpoint, declared, rule, policies) for endpoint in endpoints)


def _rule_notes(rule: EffectiveRule | None) -> tuple[str, ...]:
    if rule is None or len(rule.merged) == 1:
        return ()
    others = ", ".join(other.key for other in rule.merged[1:])
    return (f"DestinationRule {rule.name} has taken over what it lacked from the younger {others}",)
