"""The walk of one request through one Envoy: every choice it makes and every end it may come to.

The walk is fast and says only what was decided; `explain` turns it into hops with reasons.
"""

from __future__ import annotations

from typing import NamedTuple

from meshdoctor.mesh.trace import answers
from meshdoctor.mesh.trace.chain import Lost
from meshdoctor.mesh.trace.cluster import Choice, of_route, of_tcp
from meshdoctor.mesh.trace.codec import Decoded, decode
from meshdoctor.mesh.trace.endpoint import Endpoints
from meshdoctor.mesh.trace.filters import CORS, FAULT, abort, cors_of, fault_of, per_route, preflight
from meshdoctor.mesh.trace.guard import Guard, Guarded, check
from meshdoctor.mesh.trace.handshake import Handshake, shake
from meshdoctor.mesh.trace.outcome import Outcome
from meshdoctor.mesh.trace.proxy import Chain, OpenHost, OpenListener, Proxy, RouteTable
from meshdoctor.mesh.trace.redirect import tls_location
from meshdoctor.mesh.trace.request import Request
from meshdoctor.mesh.trace.route import View, matches
from meshdoctor.mesh.trace.sniff import Sniffed
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.envoy.route import Route


class End(NamedTuple):
    """One way in which the request may end, with its *share*; *route* is the index in the virtual host."""

    outcome: Outcome
    share: float = 1.0
    route: int | None = None
    cluster: str = ""
    upstream: Cluster | None = None
    endpoints: Endpoints | None = None


class Walk:
    """What was chosen at each step; a step that was not reached is None."""

    __slots__ = (
        "chain",
        "decoded",
        "domain",
        "ends",
        "guarded",
        "handshake",
        "host",
        "listener",
        "lost",
        "may",
        "request",
        "sniffed",
        "table",
        "view",
    )

    def __init__(self, request: Request) -> None:
        self.request = request
        self.listener: OpenListener | None = None
        self.sniffed = Sniffed()
        self.chain: Chain | None = None
        self.lost: list[Lost] | None = None
        self.handshake = Handshake(False)
        self.guarded: list[Guarded] = []
        """What the filters that may refuse said: those of the connection, then those of the request."""
        self.decoded: Decoded | None = None
        self.view: View | None = None
        self.table: RouteTable | None = None
        self.host: OpenHost | None = None
        self.domain = ""
        self.may: list[tuple[int, str]] = []
        """Routes before the last candidate whose match could not be judged, with the reason."""
        self.ends: list[End] = []

    @property
    def main(self) -> End:
        """The likeliest end."""
        return max(self.ends, key=lambda end: end.share)

    @property
    def route(self) -> int | None:
        return self.main.route

    def route_body(self, index: int | None) -> Route | None:
        return None if self.host is None or index is None else self.host.body.routes[index]


def walk(proxy: Proxy, request: Request, explain: bool = False) -> Walk:
    """What *proxy* does with *request*; *explain* also notes which filter chains were ruled out and where."""
    state = Walk(request)
    listener = proxy.listeners.choose(request.direction, request.ip, request.port)
    if listener is None:
        state.ends = [End(answers.nothing_listens(request))]
        return state
    state.listener = proxy.open(listener)
    state.sniffed = state.listener.inspectors.sniff(request, request.port)
    if listener.filter_chain_matcher is not None:
        state.ends = [End(answers.unknown_matcher(listener.name))]
        return state
    if explain:
        state.lost = []
    index = state.listener.index.find(request, request.port, state.sniffed, state.lost)
    state.chain = state.listener.chain(index)
    if state.chain is None:
        state.ends = [End(answers.no_chain(request, state.sniffed))]
        return state
    state.handshake = shake(request.tls, state.chain.tls, proxy.missing_secrets)
    if state.chain.network_guards and not state.handshake.failure and _refused(state, state.chain.network_guards, None):
        return state
    if state.chain.http is not None:
        _http(proxy, state, state.chain)
    elif state.chain.tcp is not None:
        choices = of_tcp(state.chain.tcp, state.sniffed.sni, state.chain.by_sni)
        state.ends = [_tcp_end(proxy, request, choice) for choice in choices]
    else:
        state.ends = [End(answers.no_terminal(state.chain.label))]
    return state


def _refused(state: Walk, guards: tuple[Guard, ...], view: View | None) -> bool:
    answers = check(guards, state.request, state.sniffed.sni, view)
    state.guarded += answers
    if answers and answers[-1].passes is False and answers[-1].refusal is not None:
        state.ends = [End(answers[-1].refusal)]
        return True
    return False


def _tcp_end(proxy: Proxy, request: Request, choice: Choice) -> End:
    cluster = proxy.cluster(choice.cluster)
    if cluster is None:
        return End(answers.tcp_no_cluster(choice.cluster), choice.share, cluster=choice.cluster)
    endpoints = proxy.endpoints(cluster)
    if _nobody(endpoints, request):
        return End(answers.tcp_no_host(cluster, endpoints), choice.share, None, cluster.name, cluster, endpoints)
    return End(answers.TCP_FORWARDED, choice.share, None, cluster.name, cluster, endpoints)


def _nobody(endpoints: Endpoints, request: Request) -> bool:
    if endpoints.kind == "original":
        return not request.redirected
    return endpoints.kind == "listed" and not endpoints.usable


def _http(proxy: Proxy, state: Walk, chain: Chain) -> None:
    assert chain.http is not None and chain.settings is not None
    if state.handshake.failure:
        state.ends = [End(answers.handshake_failed(state.handshake.failure))]
        return
    decoded = decode(state.request, chain.settings, state.handshake.terminated, state.handshake.alpn)
    state.decoded = decoded
    if decoded.refusal is not None:
        state.ends = [End(decoded.refusal)]
        return
    state.table = proxy.table(chain.http)
    headers = decoded.headers
    view = View(decoded.method, decoded.path, headers)
    if chain.guards and _refused(state, chain.guards, view):
        return
    if state.table is None:
        state.ends = [End(answers.no_route(headers, ""))]
        return
    place, state.domain = state.table.domains.find(decoded.authority)
    if place is None:
        state.ends = [End(answers.no_host(headers, decoded.authority))]
        return
    state.host = state.table.host(place)
    if state.host.body.require_tls == "ALL" and headers.first("x-forwarded-proto") != "https":
        state.ends = [End(answers.to_tls(headers, tls_location(headers)))]
        return
    _route(proxy, state, view)


def _route(proxy: Proxy, state: Walk, view: View) -> None:
    """The first route that matches for sure, and before it those that may match."""
    assert state.host is not None
    state.view = view
    left = 1.0
    for index, rule in enumerate(state.host.rules):
        answer, reason = matches(rule, view)
        if answer is False:
            continue
        # A known fraction has its share; what cannot be judged counts as even odds.
        share = left if answer else left * (rule.share if rule.share < 1 else 0.5)
        state.ends += _routed(proxy, state, index, share)
        if answer:
            return
        state.may.append((index, reason))
        left -= share
    state.ends.append(End(answers.no_route(view.headers, state.host.body.name), left))


def _routed(proxy: Proxy, state: Walk, index: int, share: float) -> list[End]:
    assert state.host is not None and state.table is not None and state.view is not None
    route = state.host.body.routes[index]
    headers = state.view.headers
    choices = of_route(route.route, headers) if route.route else ()
    ends: list[End] = []
    scopes = (route, state.host.body, state.table.body)
    fault = fault_of(per_route(FAULT, *scopes))
    cors = cors_of(per_route(CORS, *scopes))
    for answered in (
        abort(fault, headers, tuple(choice.cluster for choice in choices)) if fault else None,
        preflight(cors, headers) if cors else None,
    ):
        if answered is not None:
            # Envoy has drawn the cluster before the filters run, so the log names it.
            ends += [
                End(answered.outcome, share * answered.share * part, index, name, proxy.cluster(name))
                for name, part in choices or (Choice("", 1.0),)
            ]
            share -= share * answered.share
            if share <= 1e-9:
                return ends
    if route.route is None:
        return [*ends, End(answers.own_answer(route, headers), share, index)]
    for choice in choices:
        ends.append(_routed_end(proxy, state, route, index, Choice(choice.cluster, choice.share * share)))
    return ends


def _routed_end(proxy: Proxy, state: Walk, route: Route, index: int, choice: Choice) -> End:
    assert state.view is not None
    headers = state.view.headers
    cluster = proxy.cluster(choice.cluster)
    if cluster is None:
        warming = choice.cluster in proxy.warming
        return End(answers.no_cluster(headers, route, choice.cluster, warming), choice.share, index, choice.cluster)
    endpoints = proxy.endpoints(cluster)
    if _nobody(endpoints, state.request):
        outcome = answers.no_upstream(headers, cluster, endpoints)
        return End(outcome, choice.share, index, cluster.name, cluster, endpoints)
    return End(answers.FORWARDED, choice.share, index, cluster.name, cluster, endpoints)
