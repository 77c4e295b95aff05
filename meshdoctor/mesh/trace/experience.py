"""What was already lived through on a way that looks open: timeouts of the route, packets that nobody admits."""

from __future__ import annotations

from meshdoctor.mesh.network_policy import blocking
from meshdoctor.mesh.trace.endpoint import Host
from meshdoctor.mesh.trace.facts import Facts
from meshdoctor.mesh.trace.hop_end import sources_of
from meshdoctor.mesh.trace.outcome import Hop, Outcome, Source, Trace
from meshdoctor.mesh.trace.walk import End, Walk
from meshdoctor.model import wants as ask
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.moment import duration
from meshdoctor.model.pods import PROXY_CONTAINER
from meshdoctor.model.snapshot import PodRef

RECENT = 50
"""So many of the last requests to the cluster are looked at."""


def timed_out(facts: Facts, state: Walk, end: End, ref: PodRef) -> Trace | None:
    """The route's timeout, when half of the last requests ran into it; None when it has none, or nothing was logged."""
    route = state.route_body(end.route)
    if route is None or route.route is None or not duration(route.route.timeout):
        return None
    log = facts.value(ask.AccessLog(ask.LogRef(ref, PROXY_CONTAINER)))
    lines = [line for line in (log.lines if log is not None else ()) if line.upstream_cluster == end.cluster][-RECENT:]
    late = sum("UT" in line.flags for line in lines)
    if not late or 2 * late < len(lines):
        return None
    why = f"the server takes longer than {route.route.timeout}: {late} of the last {len(lines)} requests timed out"
    fix = "raise the VirtualService's timeout, or make the server faster"
    outcome = Outcome("http", 504, "UT", "response_timeout", why=why, fix=fix)
    hop = Hop(str(ref), "answer", "504 UT response_timeout", why, (), sources_of(route.metadata), "may fail", (fix,))
    return Trace((hop,), outcome, True)


def kept_away(facts: Facts, server: Pod, port: int, client: Pod | None, host: Host | None) -> Trace | None:
    """NetworkPolicies that do not admit the client, unless connections were seen to succeed (nobody enforces them)."""
    facts.value(ask.Objects("NetworkPolicy"))
    facts.value(ask.Objects("Namespace"))
    if host is not None and host.requests > host.errors:
        return None
    policies = blocking(facts.mesh, server, port, client)
    if not policies:
        return None
    sources = tuple(Source("NetworkPolicy", policy.namespace, policy.name) for policy in policies)
    why = f"no NetworkPolicy admits this client to port {port}: a CNI that enforces them drops the packets"
    fix = "admit the client's pods in a NetworkPolicy"
    outcome = Outcome("http", 503, "UF", "upstream_reset_before_response_started{connection_timeout}", "", why, fix)
    hop = Hop(f"{server.namespace}/{server.name}", "network", "dropped", why, (), sources, "may fail", (fix,))
    return Trace((hop,), outcome, True)
