"""A request from its client to the application: each Envoy on the way, and what one leaves the next to do."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.mesh.trace.arrival import Arrival, arrive
from meshdoctor.mesh.trace.delegates import complaints
from meshdoctor.mesh.trace.endpoint import Host
from meshdoctor.mesh.trace.experience import timed_out
from meshdoctor.mesh.trace.explain import FAILING, explained
from meshdoctor.mesh.trace.facts import Facts
from meshdoctor.mesh.trace.hop_end import sources_of
from meshdoctor.mesh.trace.hop_route import FALLBACKS
from meshdoctor.mesh.trace.outcome import Hop, Outcome, Source, Trace
from meshdoctor.mesh.trace.places import (
    Destination,
    backends,
    client_pods,
    gateway_for,
    near_hosts,
    resolve,
    written_for,
)
from meshdoctor.mesh.trace.question import TraceQuestion
from meshdoctor.mesh.trace.request import Request
from meshdoctor.mesh.trace.rewrite import rewritten_authority, rewritten_path
from meshdoctor.mesh.trace.upstream_tls import UpstreamTls, http_version, towards
from meshdoctor.mesh.trace.walk import End, Walk, walk
from meshdoctor.mesh.workloads import proxy_kind
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.names import parse_cluster_name
from meshdoctor.model.pods import GATEWAY, SIDECAR
from meshdoctor.model.snapshot import PodRef, Snapshot, Want

MAX_SERVERS = 4
"""How many endpoints of one cluster are followed to their server: enough to meet one that differs."""
LEFT_OVER = ("PassthroughCluster", "BlackHoleCluster")
"""Where istiod sends what no Service and no ServiceEntry is named for (outboundTrafficPolicy)."""
PLAIN = UpstreamTls(None, "plain text")


class UnknownClientError(LookupError):
    """No pod is, or belongs to, the client of the question."""


def journey(snapshot: Snapshot, question: TraceQuestion) -> tuple[Trace, tuple[Want[Any], ...]]:
    """The trace as far as *snapshot* tells, and what must still be read for more (read it, and ask again).

    Raises `UnknownClientError` when everything was read and the client is not there.
    """
    facts = Facts(snapshot)
    if facts.lacking:
        return _UNREAD, tuple(facts.lacking)
    trace = _Journey(facts, question).start()
    return trace, tuple(facts.lacking)


_UNREAD = Trace((), Outcome("none", why="nothing was read yet"), False)


class _Journey:
    def __init__(self, facts: Facts, question: TraceQuestion) -> None:
        self.facts = facts
        self.mesh = facts.mesh
        self.question = question

    def start(self) -> Trace:
        asked = self.question
        refs = client_pods(self.mesh, asked.namespace, asked.client)
        if not refs:
            raise UnknownClientError(f"{asked.namespace}/{asked.client}")
        ref = refs[0]
        pod = self.mesh.pods.get(ref)
        kind = proxy_kind(pod) if pod is not None else SIDECAR
        if kind == GATEWAY:
            target = gateway_for(self.mesh, asked.host, asked.dialled)
            port = target[1] if target is not None and target[0].namespace == ref.namespace else asked.dialled
            return self._gateway(ref, pod, port, "")
        proxy = self.facts.proxy(ref) if kind == SIDECAR else None
        destination = resolve(self.mesh, asked.namespace, asked.host, asked.dialled)
        if proxy is None:
            return self._direct(ref, pod, kind, destination)
        source = pod.status.pod_ip if pod is not None else ""
        request = asked.request("outbound", destination.ip, destination.port, source, self.facts.now)
        state = walk(proxy, request, explain=True)
        first = self._destination(ref, destination, state)
        return _joined([first, *self._delegation(str(ref))], self._onward(state, ref, pod))

    def _destination(self, ref: PodRef, destination: Destination, state: Walk | None = None) -> Hop:
        """Where the name leads; a name that neither the mesh nor the client's Envoy knows leads nobody knows where."""
        asked = self.question.host
        known = destination.ip or destination.service is not None or not destination.unknown
        if known or (state is not None and not _leaves_the_mesh(state)):
            return Hop(str(ref), "destination", destination.ip or asked, destination.why)
        near = near_hosts(self.mesh, self.question.namespace, asked)
        why = destination.why
        if state is not None:
            named = "Service and no ServiceEntry of this name" if self.mesh.known("Service") else "such name"
            why = f"no {named} is known to this Envoy: only DNS may know its address"
        notes = (f"did you mean {', '.join(near)}?",) if near else ()
        return Hop(str(ref), "destination", asked, why, verdict="may match", notes=notes)

    def _delegation(self, where: str) -> list[Hop]:
        """What is wrong with the delegates of the host's VirtualServices: no Envoy shows what istiod left out."""
        hops = []
        for key in dict.fromkeys(written_for(self.mesh, self.question.namespace, self.question.host)):
            wrong = complaints(self.mesh, key)
            if wrong:
                source = (Source("VirtualService", *key),)
                hops.append(Hop(where, "delegates", "/".join(key), "; ".join(wrong), (), source, "may match"))
        return hops

    def _gateway(self, ref: PodRef, pod: Pod | None, port: int, source: str) -> Trace:
        proxy = self.facts.proxy(ref)
        if proxy is None:
            hop = Hop(str(ref), "gateway", "unknown", "its Envoy's configuration is not known", verdict="may fail")
            return Trace((hop,), Outcome("none", why=hop.why), True)
        ip = pod.status.pod_ip if pod is not None else ""
        request = self.question.request("gateway", ip, port, source, self.facts.now)
        return _joined(self._delegation(str(ref)), self._onward(walk(proxy, request, explain=True), ref, pod))

    def _direct(self, ref: PodRef, pod: Pod | None, kind: str, destination: Destination) -> Trace:
        """A client without an Envoy that is known: kube-proxy takes its connection to an endpoint, as it is."""
        asked = self.question
        reasons = {"none": "it has no sidecar", "ambient": "a ztunnel, not an Envoy, takes its traffic"}
        why = reasons.get(kind, "its Envoy's configuration is not known: followed as if it had none")
        gateway = gateway_for(self.mesh, asked.host, asked.dialled) if destination.unknown else None
        named = Hop(str(ref), "destination", asked.host, destination.why)
        hops = [Hop(str(ref), "client", str(ref), why), named if gateway else self._destination(ref, destination)]
        source = pod.status.pod_ip if pod is not None else ""
        if destination.service is None:
            if gateway is not None:
                target = self.mesh.pods.get(gateway[0])
                return _joined(hops, self._gateway(gateway[0], target, gateway[1], source))
        elif not (places := backends(self.mesh, destination.service, destination.port)):
            return _joined(hops, _no_backend(destination, str(ref)))
        else:
            return _joined(hops, self._first_failing([self._plain(pod, ip, port) for ip, port in places]))
        if not destination.ip:
            reached = Hop(str(ref), "server", asked.host, "outside of what was recorded", verdict="may match")
            return Trace((*hops, reached), Outcome("http", why=reached.why), False)
        return _joined(hops, self._first_failing([self._plain(pod, destination.ip, destination.port)]))

    def _plain(self, client: Pod | None, ip: str, port: int) -> Arrival:
        source = client.status.pod_ip if client is not None else ""
        request = self.question.request("inbound", ip, port, source, self.facts.now)
        return Arrival(ip, port, request, PLAIN, None, (), True, client)

    def _onward(self, state: Walk, ref: PodRef, pod: Pod | None) -> Trace:
        """An Envoy's walk, and for every end that goes on the server that it goes to."""
        own = explained(state, str(ref))
        if all(end.outcome.failing for end in state.ends):
            return own
        traces = [self._server(state, end, ref, pod) for end in state.ends if not end.outcome.failing]
        traces += [late for end in state.ends if (late := timed_out(self.facts, state, end, ref)) is not None]
        followed = next((trace for trace in traces if trace.failing), traces[0] if traces else None)
        if followed is None:
            return own
        if not own.failing:
            return Trace((*own.hops, *followed.hops), followed.outcome, followed.failing)
        # A part of the requests fails here: that part is told last.
        good = [hop for hop in own.hops if hop.verdict not in FAILING]
        bad = [hop for hop in own.hops if hop.verdict in FAILING]
        return Trace((*good, *followed.hops, *bad), own.outcome, True)

    def _server(self, state: Walk, end: End, ref: PodRef, pod: Pod | None) -> Trace:
        uncertified = self._without_certificate(state, end, ref)
        if uncertified is not None:
            return uncertified
        arrivals = [arrival for host in _hosts(state.request, end) for arrival in self._arrivals(state, end, host, pod)]
        found = self._first_failing(arrivals)
        if not arrivals or any(hop.step == "client TLS" for hop in found.hops):
            return found
        return _joined([_tls_hop(arrivals[0], str(ref))], found)

    def _without_certificate(self, state: Walk, end: End, ref: PodRef) -> Trace | None:
        """TLS for which the Envoy was never given its own certificate: every connection fails before it begins."""
        proxy, hosts = self.facts.proxy(ref), _hosts(state.request, end)
        if proxy is None or end.upstream is None or not hosts or not proxy.missing_secrets:
            return None
        context = towards(end.upstream, hosts[0], None, "").context
        absent = [name for name in context.certificate_names if name in proxy.missing_secrets] if context else []
        if not absent:
            return None
        why = f"its certificate {absent[0]} was never delivered (Secret is not supplied by SDS)"
        fix = "see why istiod signs nothing for this pod: its agent's log, istiod, the Secret of the credential"
        details = "upstream_reset_before_response_started{local_connection_failure}"
        outcome = Outcome("http", 503, "UF", details, why=why, fix=fix)
        sources = sources_of(end.upstream.metadata)
        hop = Hop(str(ref), "client TLS", absent[0], why, (), sources, "fails", (f"503 UF; {fix}",))
        return Trace((hop,), outcome, True)

    def _first_failing(self, arrivals: list[Arrival]) -> Trace:
        """The first server where the request fails, else the first server."""
        traces = [arrive(self.facts, arrival) for arrival in arrivals[:MAX_SERVERS]]
        if not traces:
            return Trace((), Outcome("http", why="the endpoint is not known"), False)
        return next((trace for trace in traces if trace.failing), traces[0])

    def _arrivals(self, state: Walk, end: End, host: Host, pod: Pod | None) -> list[Arrival]:
        """The connection to one endpoint; the address of a Service (pass-through) becomes those of its pods."""
        assert end.upstream is not None
        ip, _, port = host.address.rpartition(":")
        ip = ip.strip("[]")
        if not port.isdigit():
            return []
        manager = state.chain.http if state.chain is not None else None
        request = _forwarded(state, end, host)
        request = msgspec.structs.replace(request, source_ip=pod.status.pod_ip if pod is not None else "")
        tls = towards(end.upstream, host, manager, request.version)
        caller = pod if pod is not None else _NO_POD
        http = end.outcome.layer == "http"
        sources = sources_of(end.upstream.metadata)
        service = self.mesh.service_by_ip(ip)
        if service is not None:
            places = backends(self.mesh, service, int(port))
            return [
                Arrival(each, number, request, tls, caller, sources, True, pod, http=http) for each, number in places
            ]
        name = parse_cluster_name(end.upstream.name)
        own = name.direction == "outbound" and self.mesh.service_by_host(name.host) is not None
        return [Arrival(ip, int(port), request, tls, caller, sources, own, pod, host, http)]


_NO_POD = Pod()


def _leaves_the_mesh(state: Walk) -> bool:
    """Whether all that an Envoy does with a request is what it does with names that it does not know."""
    if state.host is not None:
        return state.domain == "*" and state.host.body.name in FALLBACKS
    return bool(state.ends) and all(end.cluster in LEFT_OVER for end in state.ends)


def _hosts(request: Request, end: End) -> list[Host]:
    if end.endpoints is None:
        return []
    if end.endpoints.kind == "original":
        return [Host(request.destination)] if request.ip else []
    return list(end.endpoints.usable[:MAX_SERVERS])


def _forwarded(state: Walk, end: End, host: Host) -> Request:
    """The request as it leaves an Envoy: decrypted where the chain ended TLS, and rewritten."""
    request = state.request
    route = state.route_body(end.route)
    if state.decoded is None or route is None or route.route is None or end.upstream is None:
        return request if not state.handshake.terminated else msgspec.structs.replace(request, tls=None)
    decoded = state.decoded
    return msgspec.structs.replace(
        request,
        tls=None,
        version=http_version(end.upstream, request.version),
        authority=rewritten_authority(decoded.authority, route.route, host.hostname),
        path=rewritten_path(decoded.path, route.match, route.route),
    )


def _tls_hop(arrival: Arrival, where: str) -> Hop:
    """What the Envoy speaks to the endpoint."""
    tls = arrival.tls
    if tls.hello is None:
        own = "the application's own TLS, unopened" if arrival.request.tls is not None else "plain text"
        return Hop(where, "client TLS", own, f"transport socket {tls.socket}", (), arrival.sources)
    chosen = "Istio's mTLS" if tls.mutual else "TLS with a client certificate" if tls.hello.certificate else "TLS"
    notes = tuple(
        f"{word} {value}" for word, value in (("SNI", tls.hello.sni), ("ALPN", ",".join(tls.hello.alpn))) if value
    )
    return Hop(where, "client TLS", chosen, f"transport socket {tls.socket}", (), arrival.sources, notes=notes)


def _no_backend(destination: Destination, where: str) -> Trace:
    assert destination.service is not None
    why = f"no ready endpoint behind port {destination.port} of Service {destination.service.key}"
    fix = "the Service's ports and selector must match ready pods"
    hop = Hop(where, "endpoint", "none", why, verdict="fails", notes=(fix,))
    return Trace((hop,), Outcome("none", None, "", "connection_refused", why=why, fix=fix), True)


def _joined(hops: list[Hop], trace: Trace) -> Trace:
    return Trace((*hops, *trace.hops), trace.outcome, trace.failing)
