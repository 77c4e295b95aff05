"""A walk as hops: what was chosen, what else could have matched and why it did not, and which object it comes from."""

from __future__ import annotations

from meshdoctor.mesh.trace.budget import budget
from meshdoctor.mesh.trace.endpoint import Endpoints
from meshdoctor.mesh.trace.filters import FAULT, delay, fault_of, per_route
from meshdoctor.mesh.trace.outcome import Hop, Outcome, Source, Trace, source_of
from meshdoctor.mesh.trace.proxy import Chain, OpenListener, Proxy
from meshdoctor.mesh.trace.request import Request
from meshdoctor.mesh.trace.rewrite import rewritten_authority, rewritten_path
from meshdoctor.mesh.trace.route import matches
from meshdoctor.mesh.trace.walk import End, Walk, walk
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.envoy.endpoint import Metadata
from meshdoctor.model.envoy.route import Route

MAX_OTHERS = 8
"""How many rejected candidates a hop names; the rest is counted."""


def trace(proxy: Proxy, request: Request, where: str = "envoy") -> Trace:
    """The request through one Envoy, with reasons; *where* names that Envoy in the hops."""
    return explained(proxy, walk(proxy, request, explain=True), where)


def explained(proxy: Proxy, state: Walk, where: str) -> Trace:
    """The hops of a finished walk (made with `explain=True`)."""
    hops = _connection_hops(state, where)
    if state.decoded is not None:
        hops += _http_hops(proxy, state, where)
    hops += [hop for end in state.ends for hop in _end_hops(proxy, state, end, where)]
    worst = worst_end(state)
    if worst.outcome.failing and not any(hop.verdict in ("fails", "may fail") for hop in hops):
        hops.append(_failing_hop(where, worst.outcome))
    return Trace(tuple(hops), worst.outcome, worst.outcome.failing)


def worst_end(state: Walk) -> End:
    """The likeliest failing end, else the likeliest one: what a trace must not hide."""
    failing = [end for end in state.ends if end.outcome.failing]
    return max(failing or state.ends, key=lambda end: end.share)


def _connection_hops(state: Walk, where: str) -> list[Hop]:
    request = state.request
    asked = request.destination if request.ip else f"port {request.port}"
    if state.listener is None:
        return [Hop(where, "listener", "none", f"nothing listens on {asked}", verdict="fails")]
    listener = state.listener
    hops = [
        Hop(
            where,
            "listener",
            listener.body.name or str(listener.body.address),
            _listener_reason(listener, request),
            sources=_sources(listener.body.metadata),
        )
    ]
    sniffed = state.sniffed
    heard = "TLS" if sniffed.transport == "tls" else "plain bytes"
    heard += f", SNI {sniffed.sni}" if sniffed.sni else ""
    if sniffed.alpn:
        heard += f", {'ALPN' if sniffed.transport == 'tls' else 'HTTP version'} {','.join(sniffed.alpn)}"
    if state.chain is None:
        why = f"it heard {heard}, which no chain takes, and there is no default chain"
        hops.append(Hop(where, "filter chain", "none", why, _lost(listener, state), verdict="fails"))
        return hops
    chain = state.chain
    why = "the default chain: no other takes it" if chain.index is None else "every criterion holds"
    hops.append(
        Hop(
            where,
            "filter chain",
            chain.label,
            f"it heard {heard}; {why}",
            _lost(listener, state),
            _sources(chain.body.metadata),
            "fails" if state.handshake.failure else "ok",
            _chain_notes(chain, state),
        )
    )
    return hops


def _listener_reason(listener: OpenListener, request: Request) -> str:
    body = listener.body
    if request.direction == "inbound":
        return "every connection to the pod comes here (port 15006)"
    if body.use_original_dst and body.address.port != request.port:
        return f"no listener for {request.destination if request.ip else f'port {request.port}'}: what is left over"
    if (body.address.ip, body.address.port) == (request.ip, request.port):
        return "the dialled address itself"
    return f"every address with port {body.address.port}"


def _lost(listener: OpenListener, state: Walk) -> tuple[tuple[str, str], ...]:
    chains = listener.body.filter_chains
    return _some([(chains[loss.place].name or f"#{loss.place}", f"other {loss.step}") for loss in state.lost or []])


def _chain_notes(chain: Chain, state: Walk) -> tuple[str, ...]:
    notes = []
    if state.handshake.terminated and not state.handshake.failure:
        alpn = f", protocol {state.handshake.alpn}" if state.handshake.alpn else ""
        notes.append(f"TLS ends here{alpn}")
    elif state.request.tls is not None and chain.tls is None:
        notes.append("TLS passes through unopened")
    return tuple(notes)


def _http_hops(proxy: Proxy, state: Walk, where: str) -> list[Hop]:
    assert state.decoded is not None
    if state.decoded.refusal is not None:
        outcome = state.decoded.refusal
        return [Hop(where, "request", f"refused: {outcome.details}", outcome.why, verdict="fails")]
    if state.table is None:
        return [Hop(where, "route configuration", "none", "it was never delivered", verdict="fails")]
    name = state.table.body.name
    hops = [Hop(where, "route configuration", name or "inline", "named by the connection manager")]
    key = state.table.domains.key(state.decoded.authority)
    if state.host is None:
        near = _near(key, state)
        hops.append(Hop(where, "virtual host", "none", f"no domain takes {key!r}", near, verdict="fails"))
        return hops
    reason = f"domain {state.domain}" + ("" if state.domain == key else f" takes {key!r}")
    hops.append(Hop(where, "virtual host", state.host.body.name, reason))
    if state.view is None:
        return hops
    hops.append(_route_hop(state, where))
    return hops


def _near(key: str, state: Walk) -> tuple[tuple[str, str], ...]:
    """Domains that share the first label with the Host: what was probably meant."""
    assert state.table is not None
    label = key.partition(".")[0]
    similar = [domain for domain in state.table.domains.exact if label and domain.partition(".")[0] == label]
    return _some([(domain, "another name") for domain in sorted(similar, key=len)])


def _route_hop(state: Walk, where: str) -> Hop:
    assert state.host is not None and state.view is not None
    taken = [end.route for end in state.ends if end.route is not None]
    last = taken[-1] if taken else None
    others: list[tuple[str, str]] = []
    may = dict(state.may)
    for index, rule in enumerate(state.host.rules):
        if index == last and index not in may:
            continue
        found = matches(rule, state.view)
        if last is not None and index > last:
            if found.answer is False:
                continue
            reason = "takes it too, but comes later"
        else:
            reason = may.get(index) or found.reason
        others.append((_route_name(state.host.body.routes[index], index), reason))
    if last is None:
        why = "the virtual host has no routes" if not state.host.rules else "no route matches"
        return Hop(where, "route", "none", why, _some(others), verdict="fails")
    main = max((end for end in state.ends if end.route is not None), key=lambda end: end.share).route
    route = state.route_body(main)
    assert route is not None and main is not None
    rule = state.host.rules[main]
    parts = [rule.text, *(test.text for test in rule.headers), *(test.text for test in rule.query)]
    notes = list(_route_notes(state, route))
    return Hop(
        where,
        "route",
        _route_name(route, main),
        "matches " + ", ".join(parts),
        _some(others),
        _sources(route.metadata),
        "may match" if may else "ok",
        tuple(notes),
    )


def _route_notes(state: Walk, route: Route) -> list[str]:
    assert state.host is not None and state.table is not None and state.decoded is not None
    notes: list[str] = []
    fault = fault_of(per_route(FAULT, route, state.host.body, state.table.body))
    if fault is not None and (late := delay(fault)):
        notes.append(late)
    action = route.route
    if action is None:
        return notes
    path = rewritten_path(state.decoded.path, route.match, action)
    if path != state.decoded.path:
        notes.append(f"path becomes {path}")
    host = rewritten_authority(state.decoded.authority, action, "")
    if host != state.decoded.authority:
        notes.append(f"host becomes {host}")
    notes += [f"a copy goes to {mirror.get('cluster')}" for mirror in action.request_mirror_policies]
    return [*notes, *budget(action)]


def _end_hops(proxy: Proxy, state: Walk, end: End, where: str) -> list[Hop]:
    """Cluster and endpoint of one end, or the answer that Envoy gives instead."""
    outcome = end.outcome
    part = "" if end.share > 0.9999 else f" for {end.share:.0%} of the requests"
    route = state.route_body(end.route)
    if not end.cluster:
        if outcome.location:
            return [Hop(where, "answer", f"{outcome.code} to {outcome.location}", outcome.why + part)]
        if outcome.failing and outcome.layer == "http" and end.route is not None:
            return [_failing_hop(where, outcome, part, _sources(route.metadata) if route else ())]
        if end.route is not None:
            return [Hop(where, "answer", str(outcome.code or "?"), outcome.why + part)]
        return []
    if outcome.details in ("fault_filter_abort", "cors_response"):
        sources = _sources(route.metadata) if route else ()
        if outcome.failing:
            return [_failing_hop(where, outcome, part, sources)]
        return [Hop(where, "answer", f"{outcome.code} {outcome.details}", outcome.why + part, sources=sources)]
    if end.upstream is None:
        sources = _sources(route.metadata) if route else ()
        return [Hop(where, "cluster", end.cluster, outcome.why + part, (), sources, "fails", (outcome.fix,))]
    cluster_hop = Hop(
        where,
        "cluster",
        end.cluster,
        _cluster_reason(state, end) + part,
        (),
        _sources(end.upstream.metadata),
        notes=_limits(end.upstream),
    )
    return [cluster_hop, _endpoint_hop(state, end, where)]


def _cluster_reason(state: Walk, end: End) -> str:
    route = state.route_body(end.route)
    if route is not None and route.route is not None and route.route.weighted_clusters:
        return "one of the route's weighted clusters"
    return "the route's cluster" if route is not None else "the chain's TCP proxy"


def _endpoint_hop(state: Walk, end: End, where: str) -> Hop:
    assert end.endpoints is not None
    endpoints = end.endpoints
    outcome = end.outcome
    if endpoints.kind == "original" and not outcome.failing:
        return Hop(where, "endpoint", state.request.destination, "the dialled address, as it is (ORIGINAL_DST)")
    if endpoints.kind == "unknown":
        return Hop(where, "endpoint", "unknown", "the dump has no endpoints", verdict="may fail")
    refused = [(host.address, host.refused) for host in endpoints.hosts if host.refused]
    if outcome.failing:
        return Hop(where, "endpoint", "none", outcome.why, _some(refused), verdict="fails", notes=(outcome.fix,))
    usable = endpoints.usable
    chosen = usable[0].address + (f" (or {len(usable) - 1} more)" if len(usable) > 1 else "")
    notes = [_where_they_are(endpoints)] if len({host.locality for host in usable}) > 1 else []
    if endpoints.panic:
        notes.append("too few healthy endpoints: Envoy panics and uses all of them")
    return Hop(where, "endpoint", chosen, "any that is healthy", _some(refused), notes=tuple(notes))


def _where_they_are(endpoints: Endpoints) -> str:
    names = sorted({host.locality or "no locality" for host in endpoints.usable})
    return "localities " + ", ".join(names[:4])


def _limits(cluster: Cluster) -> tuple[str, ...]:
    """The circuit-breaker limits that someone set, and the time to connect."""
    limits = cluster.thresholds
    found = []
    for word, value in (
        ("connections", limits.max_connections),
        ("waiting requests", limits.max_pending_requests),
        ("requests at once", limits.max_requests),
    ):
        if value < 1024:
            found.append(f"at most {value} {word}, then 503 UO")
    if cluster.connect_timeout:
        found.append(f"connects within {cluster.connect_timeout}")
    return tuple(found)


def _failing_hop(where: str, outcome: Outcome, part: str = "", sources: tuple[Source, ...] = ()) -> Hop:
    said = " ".join(str(word) for word in (outcome.code, outcome.flags, outcome.details) if word)
    notes = (outcome.fix,) if outcome.fix else ()
    return Hop(where, "answer", said or "closed", outcome.why + part, (), sources, "fails", notes)


def _route_name(route: Route, index: int) -> str:
    return f"#{index} {route.name}".rstrip()


def _sources(metadata: Metadata) -> tuple[Source, ...]:
    config = metadata.filter_metadata.get("istio", {}).get("config", "")
    found = source_of(str(config))
    return (found,) if found else ()


def _some(pairs: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    if len(pairs) <= MAX_OTHERS:
        return tuple(pairs)
    return (*pairs[:MAX_OTHERS], (f"{len(pairs) - MAX_OTHERS} more", "not listed here"))
