"""The hops of a walk's ends: cluster and endpoint, or the answer that Envoy gives instead."""

from __future__ import annotations

from meshdoctor.mesh.trace.endpoint import Endpoints
from meshdoctor.mesh.trace.limits import risk, words
from meshdoctor.mesh.trace.outcome import Hop, Outcome, Source, some, source_of
from meshdoctor.mesh.trace.walk import End, Walk
from meshdoctor.model.envoy.endpoint import Metadata


def end_hops(state: Walk, end: End, where: str) -> list[Hop]:
    """Cluster and endpoint of one end, or the answer that Envoy gives instead."""
    outcome = end.outcome
    part = "" if end.share > 0.9999 else f" for {end.share:.0%} of the requests"
    route = state.route_body(end.route)
    sources = sources_of(route.metadata) if route else ()
    if outcome.details in ("fault_filter_abort", "cors_response") or not end.cluster:
        if end.route is None:
            return []
        if outcome.failing:
            # A fault's own words tell its share.
            return [failing_hop(where, outcome, "" if outcome.flags == "FI" else part, sources)]
        said = f"{outcome.code} to {outcome.location}" if outcome.location else f"{outcome.code} {outcome.details}"
        return [Hop(where, "answer", said, outcome.why + part, sources=sources)]
    if end.upstream is None:
        return [Hop(where, "cluster", end.cluster, outcome.why + part, (), sources, "fails", (outcome.fix,))]
    expected = risk(end.upstream, outcome.layer == "http") if not outcome.failing else None
    notes = words(end.upstream)
    if expected is not None:
        notes = (expected.why, f"{expected.code or ''} {expected.flags}".strip(), expected.fix, *notes)
    cluster = Hop(
        where,
        "cluster",
        end.cluster,
        _cluster_reason(state, end) + part,
        (),
        sources_of(end.upstream.metadata),
        "may fail" if expected is not None else "ok",
        notes,
    )
    return [cluster, _endpoint_hop(state, end, where)]


def failing_hop(where: str, outcome: Outcome, part: str = "", sources: tuple[Source, ...] = ()) -> Hop:
    """The last hop of a request that fails here."""
    said = " ".join(str(word) for word in (outcome.code, outcome.flags, outcome.details) if word)
    notes = (outcome.fix,) if outcome.fix else ()
    return Hop(where, "answer", said or "closed", outcome.why + part, (), sources, "fails", notes)


def sources_of(metadata: Metadata) -> tuple[Source, ...]:
    """The Istio object that istiod's metadata names."""
    found = source_of(str(metadata.filter_metadata.get("istio", {}).get("config", "")))
    return (found,) if found else ()


def _cluster_reason(state: Walk, end: End) -> str:
    route = state.route_body(end.route)
    if route is not None and route.route is not None and route.route.weighted_clusters:
        return "one of the route's weighted clusters"
    return "the route's cluster" if route is not None else "the chain's TCP proxy"


def _endpoint_hop(state: Walk, end: End, where: str) -> Hop:
    assert end.endpoints is not None
    endpoints, outcome = end.endpoints, end.outcome
    if endpoints.kind == "original" and not outcome.failing:
        asked = state.request.destination if state.request.ip else "the dialled address"
        return Hop(where, "endpoint", asked, "the dialled address, as it is (ORIGINAL_DST)")
    if endpoints.kind == "unknown":
        return Hop(where, "endpoint", "unknown", "the dump has no endpoints", verdict="may fail")
    refused = some([(host.address, host.refused) for host in endpoints.hosts if host.refused])
    if outcome.failing:
        return Hop(where, "endpoint", "none", outcome.why, refused, verdict="fails", notes=(outcome.fix,))
    usable = endpoints.usable
    chosen = usable[0].address + (f" (or {len(usable) - 1} more)" if len(usable) > 1 else "")
    notes = [_localities(endpoints)] if len({host.locality for host in usable}) > 1 else []
    if endpoints.panic:
        notes.append("too few healthy endpoints: Envoy panics and uses all of them")
    return Hop(where, "endpoint", chosen, "any that is healthy", refused, notes=tuple(notes))


def _localities(endpoints: Endpoints) -> str:
    names = sorted({host.locality or "no locality" for host in endpoints.usable})
    return "localities " + ", ".join(names[:4])
