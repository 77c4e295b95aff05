"""The answers that Envoy gives by itself, with what it logs and what to change."""

from __future__ import annotations

from meshdoctor.mesh.trace import redirect
from meshdoctor.mesh.trace.endpoint import Endpoints
from meshdoctor.mesh.trace.headers import Headers
from meshdoctor.mesh.trace.loose import whole
from meshdoctor.mesh.trace.outcome import Outcome
from meshdoctor.mesh.trace.request import Request
from meshdoctor.mesh.trace.sniff import Sniffed
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.envoy.route import Route

FORWARDED = Outcome("http", None, "", "via_upstream", why="the request goes to the endpoint")
TCP_FORWARDED = Outcome("tcp", None, "", "", why="the connection goes to the endpoint")


def nothing_listens(request: Request) -> Outcome:
    return Outcome(
        "none",
        details="connection_refused",
        why=f"no listener for {request.destination}",
        fix="check the port, and that the listener is not warming or rejected",
    )


def no_chain(request: Request, sniffed: Sniffed) -> Outcome:
    found = "TLS" if sniffed.transport == "tls" else "plain text"
    names = f" SNI {sniffed.sni}" if sniffed.sni else ""
    alpn = f" ALPN {','.join(sniffed.alpn)}" if sniffed.alpn else ""
    if request.direction == "inbound":
        fix = "the client's TLS mode and the server's PeerAuthentication must agree"
    else:
        fix = "no server of the Gateway takes this port, SNI and protocol"
    why = f"no filter chain takes {found}{names}{alpn} on port {request.port}"
    return Outcome("none", None, "NR", "filter_chain_not_found", why=why, fix=fix)


def unknown_matcher(listener: str) -> Outcome:
    return Outcome("tcp", why=f"listener {listener} chooses its chain by a matcher tree, which is not judged here")


def no_terminal(label: str) -> Outcome:
    return Outcome("tcp", why=f"filter chain {label} ends in a filter that is not known here")


def handshake_failed(failure: str) -> Outcome:
    if failure == "plain_text":
        why, fix = "the filter chain speaks TLS, the client plain text", "use https (or TLS) for this port"
    elif failure.startswith("no_secret:"):
        name = failure.partition(":")[2].removeprefix("kubernetes://")
        why = f"the certificate {name} was never delivered to this Envoy, so it resets every TLS connection"
        fix = f"create the Secret {name} in the gateway's namespace, or correct the Gateway's credentialName"
    else:
        why, fix = "the filter chain requires a client certificate, the client has none", "send a client certificate"
    return Outcome("none", details=f"tls_failed:{failure}", why=why, fix=fix)


def tcp_no_cluster(cluster: str) -> Outcome:
    fix = "no Service, port or subset has this cluster: compare host, port and subset with the Services"
    return Outcome("tcp", None, "NC", "", why=f"cluster {cluster} does not exist in this Envoy", fix=fix)


def tcp_no_host(cluster: Cluster, endpoints: Endpoints) -> Outcome:
    return Outcome("tcp", None, "UH", "", why=_no_host_why(cluster, endpoints), fix=_no_host_fix(cluster, endpoints))


def no_host(headers: Headers, authority: str) -> Outcome:
    return _reply(
        headers,
        404,
        "NR",
        "route_not_found",
        f"no virtual host for {authority!r}",
        "name the host in a VirtualService or Gateway, or correct the Host header",
    )


def no_route(headers: Headers, host: str) -> Outcome:
    why = f"no route of virtual host {host} matches" if host else "the route configuration was not delivered"
    return _reply(headers, 404, "NR", "route_not_found", why, "add a route that matches, or a catch-all")


def to_tls(headers: Headers, location: str) -> Outcome:
    why = "the Gateway's server redirects plain HTTP to HTTPS"
    return Outcome("http", _code(headers, 301), "", "direct_response", location, why)


def no_cluster(headers: Headers, route: Route, cluster: str, warming: bool) -> Outcome:
    action = route.route
    code = 503
    if action is not None:
        code = {"INTERNAL_SERVER_ERROR": 500, "NOT_FOUND": 404}.get(action.cluster_not_found_response_code, 503)
    if not cluster:
        why, fix = "no header names the cluster", "send the header that the route asks for"
    elif warming:
        why, fix = f"cluster {cluster} is still warming", "wait for its endpoints or secrets, or see why none come"
    else:
        why = f"cluster {cluster} does not exist in this Envoy"
        fix = "define the subset in a DestinationRule, or correct host, port and exportTo"
    return _reply(headers, code, "NC", "cluster_not_found", why, fix)


def no_upstream(headers: Headers, cluster: Cluster, endpoints: Endpoints) -> Outcome:
    why, fix = _no_host_why(cluster, endpoints), _no_host_fix(cluster, endpoints)
    return _reply(headers, 503, "UH", "no_healthy_upstream", why, fix)


def own_answer(route: Route, headers: Headers) -> Outcome:
    """A redirect or a direct response; a route with neither is of a kind that is not known here."""
    if route.redirect is not None:
        location = redirect.location(route.redirect, route.match, headers)
        code = _code(headers, redirect.code(route.redirect))
        return Outcome("http", code, "", "direct_response", location, f"the route redirects to {location}")
    if route.direct_response is not None:
        status = whole(route.direct_response.get("status"), 200)
        if route.name == "block_all":
            why = "the host is not in the mesh's registry and outboundTrafficPolicy is REGISTRY_ONLY"
            fix = "add a ServiceEntry, widen the Sidecar's egress hosts, or correct the Host header"
        else:
            why, fix = f"the route answers {status} by itself", "change the route's directResponse or backends"
        return _reply(headers, status, "", "direct_response", why, fix if status >= 400 else "")
    return Outcome("http", why="the route's action is of a kind that is not known here")


def _no_host_why(cluster: Cluster, endpoints: Endpoints) -> str:
    if cluster.name == "BlackHoleCluster":
        return "the destination is not in the registry (BlackHoleCluster, REGISTRY_ONLY)"
    if not endpoints.hosts:
        return f"cluster {cluster.name} has no endpoint"
    return f"none of the {len(endpoints.hosts)} endpoints of {cluster.name} may be used: {endpoints.hosts[0].refused}"


def _no_host_fix(cluster: Cluster, endpoints: Endpoints) -> str:
    if cluster.name == "BlackHoleCluster":
        return "add a ServiceEntry or widen the Sidecar's egress hosts"
    if not endpoints.hosts and cluster.type in ("STRICT_DNS", "LOGICAL_DNS"):
        return "the cluster's name does not resolve in the proxy: correct the ServiceEntry's host, or the proxy's DNS"
    if not endpoints.hosts:
        return "the Service's selector must match ready pods (and the subset's labels, if any)"
    return "see why the pods are not ready, or were ejected by outlier detection"


def _reply(headers: Headers, code: int, flags: str, details: str, why: str, fix: str) -> Outcome:
    return Outcome("http", _code(headers, code), flags, details, why=why, fix=fix)


def _code(headers: Headers, code: int) -> int:
    """Envoy's own answers to gRPC have code 200; the truth is in grpc-status and the flags."""
    return 200 if headers.grpc else code
