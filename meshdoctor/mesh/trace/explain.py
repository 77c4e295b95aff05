"""A walk as hops: what was chosen, what else could have matched and why it did not, and which object it comes from."""

from __future__ import annotations

from meshdoctor.mesh.trace.chain import PORT_STEP
from meshdoctor.mesh.trace.hop_end import end_hops, failing_hop, sources_of
from meshdoctor.mesh.trace.hop_route import guard_hops, http_hops
from meshdoctor.mesh.trace.limits import risk
from meshdoctor.mesh.trace.outcome import Hop, Outcome, Trace, some
from meshdoctor.mesh.trace.proxy import Chain, OpenListener, Proxy
from meshdoctor.mesh.trace.request import Request
from meshdoctor.mesh.trace.walk import End, Walk, walk

FAILING = ("fails", "may fail")


def trace(proxy: Proxy, request: Request, where: str = "envoy") -> Trace:
    """The request through one Envoy, with reasons; *where* names that Envoy in the hops."""
    return explained(walk(proxy, request, explain=True), where)


def explained(state: Walk, where: str) -> Trace:
    """The hops of a finished walk (made with `explain=True`)."""
    hops = _connection_hops(state, where)
    refused = bool(state.guarded) and state.guarded[-1].passes is False
    if state.decoded is not None and (not refused or state.decoded.refusal is not None):
        hops += http_hops(state, where)
    hops += guard_hops(state.guarded, where)
    if not refused:
        hops += [hop for end in state.ends for hop in end_hops(state, end, where)]
    outcome = worst_end(state).outcome
    if not outcome.failing:
        outcome = _expected(state) or outcome
    elif not any(hop.verdict in FAILING for hop in hops):
        hops.append(failing_hop(where, outcome))
    return Trace(tuple(hops), outcome, outcome.failing)


def worst_end(state: Walk) -> End:
    """The likeliest failing end, else the likeliest one: what a trace must not hide."""
    failing = [end for end in state.ends if end.outcome.failing]
    return max(failing or state.ends, key=lambda end: end.share)


def _expected(state: Walk) -> Outcome | None:
    """A failure that must be expected though it is not certain: a limit that any steady caller meets."""
    refusals = [answer.refusal for answer in state.guarded if answer.refusal is not None]
    for end in state.ends:
        if end.upstream is not None and (met := risk(end.upstream, end.outcome.layer == "http")) is not None:
            refusals.append(met)
    return refusals[0] if refusals else None


def _connection_hops(state: Walk, where: str) -> list[Hop]:
    request = state.request
    asked = request.destination if request.ip else f"port {request.port}"
    if state.listener is None:
        fix = (state.ends[0].outcome.fix,)
        return [Hop(where, "listener", "none", f"nothing listens on {asked}", verdict="fails", notes=fix)]
    listener = state.listener
    hops = [
        Hop(
            where,
            "listener",
            listener.body.name or str(listener.body.address),
            _listener_reason(listener, request),
            sources=sources_of(listener.body.metadata),
        )
    ]
    heard = _heard(state)
    if listener.body.filter_chain_matcher is not None:
        hops.append(Hop(where, "filter chain", "cannot be said", state.ends[0].outcome.why, verdict="may match"))
        return hops
    if state.chain is None:
        outcome = state.ends[0].outcome
        why = f"it heard {heard}, which no chain takes, and there is no default chain"
        notes = (f"{outcome.flags} {outcome.details}", outcome.fix)
        hops.append(Hop(where, "filter chain", "none", why, _lost(listener, state), (), "fails", notes))
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
            sources_of(chain.body.metadata),
            "fails" if state.handshake.failure and state.ends[0].outcome.failing else "ok",
            _chain_notes(chain, state),
        )
    )
    return hops


def _heard(state: Walk) -> str:
    sniffed = state.sniffed
    if sniffed.transport != "tls":
        return f"plain bytes, {sniffed.alpn[0]}" if sniffed.alpn else "plain bytes"
    heard = f"TLS, SNI {sniffed.sni}" if sniffed.sni else "TLS without SNI"
    return f"{heard}, ALPN {','.join(sniffed.alpn)}" if sniffed.alpn else heard


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
    """The chains that were ruled out, those of one name and reason together; those of other ports only counted."""
    chains = listener.body.filter_chains
    found: dict[tuple[str, str], int] = {}
    for loss in state.lost or []:
        name = "" if loss.step == PORT_STEP else chains[loss.place].name or f"#{loss.place}"
        found[name, loss.step] = found.get((name, loss.step), 0) + 1
    named = [
        (f"{name} ({count})" if count > 1 else name, f"other {step}") for (name, step), count in found.items() if name
    ]
    elsewhere = sum(count for (name, _), count in found.items() if not name)
    return some([*named, *([(f"{elsewhere} chains", f"other {PORT_STEP}")] if elsewhere else [])])


def _chain_notes(chain: Chain, state: Walk) -> tuple[str, ...]:
    if state.handshake.failure:
        outcome = state.ends[0].outcome
        return (outcome.why, outcome.fix) if outcome.failing else ()
    if state.handshake.terminated:
        alpn = f", protocol {state.handshake.alpn}" if state.handshake.alpn else ""
        return (f"TLS ends here{alpn}",)
    return ("TLS passes through unopened",) if state.request.tls is not None else ()
