"""NR: why does no route take the request? (404 `route_not_found`: a virtual host or a route is missing)"""

from __future__ import annotations

import re

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import (
    CONFIGURATION_ONLY,
    Evidence,
    Finding,
    Resource,
    Verdict,
    culprit,
    inconclusive,
    not_applicable,
)
from meshdoctor.mesh.gateways import bound, gateways_of, serves, takes
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, remedy
from meshdoctor.mesh.traffic import GATEWAY, Seen
from meshdoctor.model import istio
from meshdoctor.model.labels import GATEWAY_NAME
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.wants import ProxyConfig

MISDIRECTED = 421
"""What a gateway that compares SNI and authority answers to a reused connection (RFC 9110, 15.5.20)."""
MANY = 10
"""Requests for one host, from which on somebody means it; scanners try a name once or twice."""
_ADDRESS = re.compile(r"[0-9.]+|[0-9a-f:]*:[0-9a-f:.]+")


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = tuple(
        seen
        for seen in case.caller_lines
        if seen.access
        and (
            (seen.access.primary_flag == "NR" and seen.access.details == "route_not_found")
            or (seen.side == GATEWAY and seen.access.code == MISDIRECTED and seen.access.requested_server_name)
        )
    )
    if not lines:
        return not_applicable("no request was without a route")
    newest = lines[-1]
    hosts = list(blame.virtual_hosts(mesh, newest.pod, newest))
    line = newest.access
    assert line is not None
    if (
        newest.side == GATEWAY
        and line.requested_server_name
        and not _same_host(line.requested_server_name, line.authority)
        and (_named(mesh, (line.authority or "").partition(":")[0]) or not mesh.known("Gateway"))
    ):
        return _coalesced(mesh, lines)
    if line.code == MISDIRECTED:
        return inconclusive("the gateway calls the requests misdirected, and their SNI is the host that was asked")
    if newest.side == GATEWAY and not hosts:
        return _gateway(case, mesh, lines)
    services = [blame.resource(found, "spec.http[].match") for found in blame.virtual_services(mesh, case.destination)]
    owners = [
        owner for host in hosts for route in host.routes if (owner := blame.of_route(route, "spec.http[].match", mesh))
    ]
    resources = tuple(dict.fromkeys(owners or services))
    if not resources:
        return inconclusive(
            f"no route for {line.authority}, and no VirtualService names it", lines_say(lines, logged(newest))
        )
    named = listed(str(owner) for owner in resources)
    return culprit(
        Verdict(
            "no-route",
            0.97,
            f"No route of {named} matches {line.method} {newest.path}",
            resources,
            (
                lines_say(lines, f"{logged(newest)} for {line.authority}{newest.path}"),
                *(
                    Evidence(
                        f"virtual host {host.name} has {len(host.routes)} routes, none for it",
                        f"envoy/{newest.pod}/config_dump.json",
                        host.name,
                    )
                    for host in hosts[:1]
                ),
            ),
            remedy(f"Add a route for {newest.path} to {named}, or a last route without match."),
            lines,
        )
    )


def _same_host(sni: str, authority: str | None) -> bool:
    return sni == (authority or "").partition(":")[0]


def _coalesced(mesh: MeshIndex, lines: tuple[Seen, ...]) -> Finding:
    line = lines[-1].access
    assert line is not None
    hosts = (line.requested_server_name or "", (line.authority or "").partition(":")[0])
    gateways = [found for found in gateways_of(mesh, lines[-1].pod) if any(takes(found, host) for host in hosts)]
    services = [found for found in bound(mesh, *gateways) if hosts[1] in found.spec.hosts]
    return culprit(
        Verdict(
            "http2-coalescing",
            0.95,
            f"A request for {line.authority} came over a connection that was opened for {line.requested_server_name}",
            (
                *(Resource("Gateway", found.namespace, found.name, "spec.servers[].tls") for found in gateways),
                *(blame.resource(found, "spec.gateways") for found in services),
                Resource("Pod", *lines[-1].pod),
            ),
            (lines_say(lines, f"{logged(lines[-1])}, SNI {line.requested_server_name}, authority {line.authority}"),),
            remedy(
                "Give the two hosts certificates (or gateways) of their own: a client reuses an HTTP/2 connection "
                "for every host that the certificate covers."
            ),
            lines,
        )
    )


def _gateway(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...]) -> Finding:
    newest = lines[-1]
    host = case.destination.host
    gateways = gateways_of(mesh, newest.pod)
    serving = [found for found in gateways if takes(found, host)]
    services = bound(mesh, *(serving or gateways))
    resources = tuple(
        Resource(
            kind, found.namespace, found.name, "spec.hosts" if kind == "VirtualService" else "spec.servers[].hosts"
        )
        for kind, group in (("VirtualService", services), ("Gateway", serving or gateways))
        for found in group
    )
    attached = () if resources else _attached(mesh, newest.pod)
    resources = resources or attached
    if not resources:
        return inconclusive(f"the gateway has no route for {host}, and no Gateway selects its pod")
    if attached:
        summary = f"No listener and no HTTPRoute of {attached[-1]} serves {host}"
    elif serving:
        hosts = listed(name for found in services for name in found.spec.hosts) or "no host"
        summary = f"Gateway {serving[0].key} serves {host}, but the VirtualServices bound to it are for {hosts}"
    else:
        hosts = listed(name for found in gateways for server in found.spec.servers for name in server.hosts)
        summary = f"No Gateway of this proxy serves {host}: they serve {hosts}"
    stranger = case.client is None or case.client == mesh.workload(newest.pod)
    strange = stranger and not _named(mesh, host) and (len(lines) < MANY or bool(_ADDRESS.fullmatch(host)))
    return culprit(
        Verdict(
            "gateway-host-mismatch",
            CONFIGURATION_ONLY if strange else 0.97,
            summary,
            resources,
            (
                lines_say(lines, f"{logged(newest)} at the gateway for {host}"),
                Evidence(f"no virtual host for {host}", f"envoy/{newest.pod}/config_dump.json", "RoutesConfigDump"),
            ),
            remedy(f"Name {host} in the hosts of the VirtualService and of the Gateway's server."),
            lines,
        )
    )


def _named(mesh: MeshIndex, host: str) -> bool:
    """Whether some object of a gateway means *host*, by its name or its domain; `*` means nobody."""
    hosts = [
        *(
            name
            for one in mesh.objects("Gateway", istio.Gateway)
            for server in one.spec.servers
            for name in server.hosts
        ),
        *(name for one in mesh.objects("VirtualService", istio.VirtualService) for name in one.spec.hosts),
        *(
            str(name)
            for kind in ("HTTPRoute", "GRPCRoute")
            for one in mesh.objects(kind, istio.GenericObject)
            for name in one.spec.get("hostnames") or []
        ),
        *(
            str(listener.get("hostname") or "*")
            for one in mesh.objects("K8sGateway", istio.GenericObject)
            for listener in one.spec.get("listeners") or []
        ),
    ]
    return serves((name for name in hosts if name.rpartition("/")[2] != "*"), host)


def _attached(mesh: MeshIndex, ref: PodRef) -> tuple[Resource, ...]:
    """The HTTPRoutes that name the Gateway of the Gateway API which *ref* is a pod of, and that Gateway last."""
    pod = mesh.pods.get(ref)
    name = pod.metadata.labels.get(GATEWAY_NAME, "") if pod else ""
    if not name:
        return ()
    routes = [
        Resource("HTTPRoute", one.namespace, one.name, "spec.hostnames")
        for one in mesh.objects("HTTPRoute", istio.GenericObject)
        for parent in one.spec.get("parentRefs") or []
        if (parent.get("namespace", one.namespace), parent.get("name")) == (ref.namespace, name)
    ]
    return (*dict.fromkeys(routes), Resource("Gateway", ref.namespace, name, "spec.listeners"))


PROBE = Probe(
    "missing-route",
    "Why does no route take the request?",
    ("no-route", "gateway-host-mismatch", "http2-coalescing"),
    examine,
    lambda case, mesh: [ProxyConfig(seen.pod) for seen in case.caller_lines[-1:]],
)
