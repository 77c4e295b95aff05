"""The hops of HTTP routing: route configuration, virtual host, route, and the filters that may refuse."""

from __future__ import annotations

from meshdoctor.mesh.trace.budget import budget
from meshdoctor.mesh.trace.filters import FAULT, delay, fault_of, per_route
from meshdoctor.mesh.trace.guard import Guarded
from meshdoctor.mesh.trace.hop_end import sources_of
from meshdoctor.mesh.trace.outcome import Hop, some
from meshdoctor.mesh.trace.rewrite import rewritten_authority, rewritten_path
from meshdoctor.mesh.trace.route import matches
from meshdoctor.mesh.trace.walk import Walk
from meshdoctor.model.envoy.route import Route

FALLBACKS = {
    "allow_any": "this Envoy knows no such host: the request leaves as it is, without the mesh's policies",
    "block_all": "this Envoy knows no such host, and outboundTrafficPolicy is REGISTRY_ONLY",
}
"""istiod's virtual hosts for names that are not in the registry (outboundTrafficPolicy)."""


def guard_hops(answers: list[Guarded], where: str) -> list[Hop]:
    """One hop for each filter that may refuse."""
    hops = []
    for answer in answers:
        verdict = "ok" if answer.passes else "fails" if answer.passes is False else "may match"
        chosen = "passes" if answer.passes else "refused" if answer.passes is False else "cannot be said"
        notes: tuple[str, ...] = ()
        if answer.refusal is not None:
            said = " ".join(str(word) for word in (answer.refusal.code, answer.refusal.details) if word)
            notes = tuple(filter(None, (said, answer.refusal.fix)))
            verdict = "fails" if answer.passes is False else "may fail"
        hops.append(
            Hop(where, answer.guard, chosen, answer.why, some(list(answer.others)), answer.sources, verdict, notes)
        )
    return hops


def http_hops(state: Walk, where: str) -> list[Hop]:
    """From the decoded request to the route."""
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
        hops.append(Hop(where, "virtual host", "none", f"no domain takes {key!r}", _near(key, state), verdict="fails"))
        return hops
    reason = f"domain {state.domain}" + ("" if state.domain == key else f" takes {key!r}")
    fallen = state.domain == "*" and state.host.body.name in FALLBACKS
    others = _near(key, state) if fallen else ()
    notes = (FALLBACKS[state.host.body.name],) if fallen else ()
    hops.append(Hop(where, "virtual host", state.host.body.name, reason, others, notes=notes))
    if state.view is not None:
        hops.append(_route_hop(state, where))
    return hops


def _near(key: str, state: Walk) -> tuple[tuple[str, str], ...]:
    """Domains that share the first label with the Host: what was probably meant."""
    assert state.table is not None
    label = key.partition(".")[0]
    similar = [domain for domain in state.table.domains.exact if label and domain.partition(".")[0] == label]
    return some([(domain, "another name") for domain in sorted(similar, key=len)])


def _route_hop(state: Walk, where: str) -> Hop:
    assert state.host is not None
    taken = [end for end in state.ends if end.route is not None]
    others = some(_other_routes(state, taken[-1].route if taken else None))
    if not taken:
        why = "the virtual host has no routes" if not state.host.rules else "no route matches"
        return Hop(where, "route", "none", why, others, verdict="fails")
    main = max(taken, key=lambda end: end.share).route
    route = state.route_body(main)
    assert route is not None and main is not None
    rule = state.host.rules[main]
    parts = [rule.text, *(test.text for test in rule.headers), *(test.text for test in rule.query)]
    return Hop(
        where,
        "route",
        _name(route, main),
        "matches " + ", ".join(parts),
        others,
        sources_of(route.metadata),
        "may match" if state.may else "ok",
        tuple(_notes(state, route)),
    )


def _other_routes(state: Walk, last: int | None) -> list[tuple[str, str]]:
    """Routes that did not take the request, with the reason; later ones only when they would have taken it."""
    assert state.host is not None and state.view is not None
    may = dict(state.may)
    others = []
    for index, rule in enumerate(state.host.rules):
        if index == last and index not in may:
            continue
        found = matches(rule, state.view)
        reason = may.get(index) or found.reason
        if last is not None and index > last:
            if found.answer is False:
                continue
            reason = "takes it too, but comes later"
        others.append((_name(state.host.body.routes[index], index), reason))
    return others


def _notes(state: Walk, route: Route) -> list[str]:
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


def _name(route: Route, index: int) -> str:
    return f"#{index} {route.name}".rstrip()
