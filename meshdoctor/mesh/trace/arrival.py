"""A connection arriving at the server's side: its TLS against the server's chains, then the server's own walk.

What the client's Envoy logs for each failure is measured (Envoy 1.40): a TLS handshake that fails or is reset is 503
UF, a plain connection that the server resets is 503 UC.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from meshdoctor.mesh.mtls.peer_authentication import MergedPolicy
from meshdoctor.mesh.mtls.server import excluded_ports
from meshdoctor.mesh.trace import remedy
from meshdoctor.mesh.trace.endpoint import Host
from meshdoctor.mesh.trace.experience import kept_away
from meshdoctor.mesh.trace.explain import FAILING, explained
from meshdoctor.mesh.trace.facts import Facts
from meshdoctor.mesh.trace.hop_end import failing_hop
from meshdoctor.mesh.trace.outcome import Hop, Outcome, Source, Trace
from meshdoctor.mesh.trace.proxy import Proxy
from meshdoctor.mesh.trace.request import Request
from meshdoctor.mesh.trace.tunnel import Tunnelled, through_ztunnel
from meshdoctor.mesh.trace.upstream_tls import UpstreamTls, http_version
from meshdoctor.mesh.trace.walk import End, Walk, walk
from meshdoctor.mesh.workloads import of_pod, proxy_kind
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.snapshot import PodRef

HBONE = 15008
"""The port to which ztunnels tunnel, so the one that a NetworkPolicy sees."""
ENOUGH = 5
"""So many counted requests make a pattern."""
_RESET = "upstream_reset_before_response_started"


class Arrival(NamedTuple):
    """A connection to *ip*:*port*: what the last hop speaks (*tls*) and carries (*request*, its addresses still open).

    *caller* is the pod whose Envoy speaks (None: no Envoy), *sources* the objects that made it speak so.
    """

    ip: str
    port: int
    request: Request
    tls: UpstreamTls
    caller: Pod | None
    sources: tuple[Source, ...] = ()
    service: bool = False
    """Whether the address stands for a Kubernetes Service's pod, so that some pod must have it."""
    client: Pod | None = None
    """Where the packets come from."""
    host: Host | None = None
    """The endpoint as the caller's Envoy counts it."""
    http: bool = True
    """Whether the caller's Envoy saw HTTP (or only carried bytes)."""


def arrive(facts: Facts, arrival: Arrival) -> Trace:
    """What happens at the address."""
    address = f"[{arrival.ip}]:{arrival.port}" if ":" in arrival.ip else f"{arrival.ip}:{arrival.port}"
    pod = facts.mesh.pod_by_ip(arrival.ip)
    if pod is None:
        return _nobody(facts, arrival, address)
    kind = proxy_kind(pod)
    tunnelled = kind == "ambient" and arrival.client is not None and proxy_kind(arrival.client) == "ambient"
    blocked = kept_away(facts, pod, HBONE if tunnelled else arrival.port, arrival.client, arrival.host)
    if blocked is not None:
        return blocked
    where = f"{pod.namespace}/{pod.name}"
    if kind == "ambient":
        known = tunnelled or arrival.tls.mutual
        principal = facts.identity(arrival.client).removeprefix("spiffe://") if known and arrival.client else ""
        return through_ztunnel(facts, pod, Tunnelled(principal, arrival.request.source_ip, arrival.ip, arrival.port))
    peer = of_pod(pod)
    if kind == "none" or arrival.port in excluded_ports(peer, (arrival.port,)):
        reason = "the pod has no sidecar" if kind == "none" else "the port is excluded from the sidecar by annotation"
        return _application(arrival, where, reason)
    proxy = facts.proxy(pod.ref)
    if proxy is None:
        hop = Hop(where, "server", address, "its Envoy's configuration is not known", verdict="may match")
        return _traced([hop], arrival.request)
    return _sidecar(facts, arrival, pod, kind, proxy)


def _sidecar(facts: Facts, arrival: Arrival, pod: Pod, kind: str, proxy: Proxy) -> Trace:
    where = f"{pod.namespace}/{pod.name}"
    hello = arrival.tls.hello or arrival.request.tls
    identity = ""
    if arrival.tls.mutual and arrival.caller is not None:
        identity = facts.identity(arrival.caller)
    request = msgspec.structs.replace(
        arrival.request,
        direction="gateway" if kind in ("gateway", "waypoint") else "inbound",
        ip=arrival.ip,
        port=arrival.port,
        tls=hello,
        identity=identity,
    )
    state = walk(proxy, request, explain=True)
    own = explained(state, where)
    trust = _verification(facts, arrival, pod, state)
    if trust is not None:
        return Trace((*own.hops[:2], trust), _client_outcome(arrival, trust.why, trust.notes[-1], tls=True), True)
    policy = facts.mtls_policy(pod)
    misread = _misread(arrival, state, own, where, policy)
    if misread is not None:
        return misread
    if own.failing:
        bad = [hop for hop in own.hops if hop.verdict in FAILING]
        good = [hop for hop in own.hops if hop.verdict not in FAILING]
        return _seen_by_client(arrival, Trace((*good, *bad), own.outcome, True), policy, state)
    return _into_application(arrival, pod, state, own)


def _seen_by_client(arrival: Arrival, own: Trace, policy: MergedPolicy, state: Walk) -> Trace:
    """A refusal of the server's Envoy: an HTTP answer goes back as it is, a reset connection becomes UF or UC."""
    outcome = own.outcome
    if outcome.layer == "http":
        return own
    hop = own.hops[-1]
    # A network filter refuses after the handshake: no matter of mTLS modes, and the client sees a closed stream.
    shaken = hop.step == "authorization"
    declared, why = _declared(policy, arrival.port) if not shaken else ((), "")
    fix = _agree(arrival, policy) if _differ(state) and not shaken else outcome.fix
    # The end tells what to change; in the hop it is said once.
    notes = [*(note for note in hop.notes if note != outcome.fix), why]
    client = msgspec.structs.replace(outcome, fix=fix)
    if arrival.caller is not None and (arrival.http or not shaken):
        client = _client_outcome(arrival, outcome.why, fix, tls=arrival.tls.hello is not None and not shaken)
        said = f"{outcome.flags} {outcome.details}".strip()
        notes += [f"the server logs {said}" if said else "", f"the client logs {client.code or 0} {client.flags}"]
    sources = tuple(dict.fromkeys((*hop.sources, *(arrival.sources if not shaken else ()), *declared)))
    blamed = msgspec.structs.replace(hop, sources=sources, notes=tuple(dict.fromkeys(filter(None, notes))))
    return Trace((*own.hops[:-1], blamed), client, True)


def _declared(policy: MergedPolicy, port: int) -> tuple[tuple[Source, ...], str]:
    """The PeerAuthentication behind the server's filter chains, and why that one."""
    found = policy.port_policy if port in policy.ports else policy.winner
    why = f"{policy.for_port(port)}: {policy.reason_for(port)}"
    return ((Source("PeerAuthentication", found.namespace, found.name),) if found is not None else ()), why


def _differ(state: Walk) -> bool:
    """Whether the server's Envoy ended the connection because of the client's TLS (or because it has none)."""
    ended = state.ends[0].outcome.details
    if state.request.direction != "inbound" or "no_secret" in ended:
        return False
    return ended == "filter_chain_not_found" or ended.startswith("tls_failed:")


def _agree(arrival: Arrival, policy: MergedPolicy) -> str:
    decided = next(iter(policy.objects_for(arrival.port)), "")
    rule, own = remedy.rule_of(arrival.sources), arrival.request.tls is not None
    return remedy.agree(arrival.tls, arrival.caller is not None, own, rule, decided, policy.for_port(arrival.port))


def _client_outcome(arrival: Arrival, why: str, fix: str, tls: bool) -> Outcome:
    """What the caller's Envoy logs when the connection breaks before an answer."""
    if arrival.caller is None:
        return Outcome("none", None, "", "connection_reset", why=why, fix=fix)
    if not arrival.http:
        return Outcome("tcp", None, "UF" if tls else "UR", why=why, fix=fix)
    reason = "remote_connection_failure" if tls else "connection_termination"
    return Outcome("http", 503, "UF" if tls else "UC", f"{_RESET}{{{reason}}}", why=why, fix=fix)


def _misread(arrival: Arrival, state: Walk, own: Trace, where: str, policy: MergedPolicy) -> Trace | None:
    """TLS that Istio added and the server's chain does not open: HTTP bytes that are none."""
    if arrival.tls.hello is None or state.chain is None or state.handshake.terminated or state.chain.http is None:
        return None
    why = "the client's Envoy speaks TLS, and the server's filter chain reads plain HTTP"
    declared, reason = _declared(policy, arrival.port)
    notes = (reason, "the server logs 400 DPE http1.codec_error, the client 503 UF WRONG_VERSION_NUMBER")
    others = own.hops[1].others if len(own.hops) > 1 else ()
    sources = (*arrival.sources, *declared)
    hop = Hop(where, "filter chain", state.chain.label, why, others, sources, "fails", notes)
    return Trace((*own.hops[:1], hop), _client_outcome(arrival, why, _agree(arrival, policy), tls=True), True)


def _verification(facts: Facts, arrival: Arrival, pod: Pod, state: Walk) -> Hop | None:
    """What the client's Envoy checks of the server's certificate, its last note what to change.

    None when it accepts the certificate, or nothing is known.
    """
    context = arrival.tls.context
    if context is None or arrival.caller is None or not state.handshake.terminated:
        return None
    where = f"{arrival.caller.namespace}/{arrival.caller.name}"
    server = facts.certificates(pod.ref)
    client = facts.certificates(PodRef(arrival.caller.namespace, arrival.caller.name))
    identity = facts.identity(pod)
    expected = context.subject_alt_names
    if server is None or state.chain is None or state.chain.tls is None:
        return None
    if not state.chain.tls.presents_workload_certificate:
        return None
    rule = remedy.rule_of(arrival.sources)
    # A DestinationRule says what to accept; it neither renews a certificate nor signs it.
    sources: tuple[Source, ...] = ()
    if not arrival.tls.mutual:
        why = "the client's Envoy does not trust the mesh's root (TLS without Istio's certificates)"
        fix, sources = _agree(arrival, facts.mtls_policy(pod)), arrival.sources
    elif client is not None and client.roots and server.roots and not client.roots & server.roots:
        why, fix = "client and server have no root certificate in common", remedy.ROOTS
    elif server.expires is not None and facts.now is not None and server.expires < facts.now:
        why = f"the server's certificate expired {facts.now - server.expires:.0f} s before"
        fix = remedy.renew(facts.mesh, pod)
    elif client is not None and client.expires is not None and facts.now is not None and client.expires < facts.now:
        why = f"the client's certificate expired {facts.now - client.expires:.0f} s before"
        fix = remedy.renew(facts.mesh, arrival.caller)
    elif expected and identity not in expected:
        why = f"the server is {identity}, the client expects {', '.join(expected[:3])}"
        fix, sources = remedy.same_identity(facts.mesh, pod, rule), arrival.sources
    else:
        return None
    chosen = f"TLS to {pod.namespace}/{pod.name}"
    return Hop(where, "client TLS", chosen, why, (), sources, "fails", ("503 UF, CERTIFICATE_VERIFY_FAILED", fix))


def _application(arrival: Arrival, where: str, reason: str) -> Trace:
    """No Envoy in front of the server: the application gets the bytes as they are."""
    if arrival.tls.hello is not None and arrival.tls.mutual:
        why = f"{reason}, and the client's Envoy speaks Istio's mTLS to it"
        fix = remedy.without_sidecar(remedy.rule_of(arrival.sources))
        notes = ("503 UF, WRONG_VERSION_NUMBER", fix)
        hop = Hop(where, "server", f"port {arrival.port}", why, (), arrival.sources, "fails", notes)
        return Trace((hop,), _client_outcome(arrival, why, fix, tls=True), True)
    return _traced([Hop(where, "application", f"port {arrival.port}", reason)], arrival.request)


def _into_application(arrival: Arrival, pod: Pod, state: Walk, own: Trace) -> Trace:
    """From the server's Envoy to the application's port, with what Envoy counted there."""
    where = f"{pod.namespace}/{pod.name}"
    end = state.main
    failed = total = 0
    counted = end.endpoints.hosts if end.endpoints is not None else ()
    address = counted[0].address if len(counted) == 1 else f"{arrival.ip}:{arrival.port}"
    if end.endpoints is not None and end.endpoints.kind == "original":
        address = f"{arrival.ip}:{arrival.port}"
        counted = tuple(host for host in counted if host.address == address)
    for host in counted:
        failed, total = failed + host.connect_failures, total + host.connections
    if total and failed == total:
        why = f"nothing accepts connections at {address}: all {total} tries of this Envoy failed"
        fix = "the Service's targetPort must be a port on which the application listens"
        outcome = Outcome("http", 503, "UF", f"{_RESET}{{remote_connection_failure}}", why=why, fix=fix)
        if end.outcome.layer == "tcp":
            outcome = Outcome("tcp", None, "UF", why=why, fix=fix)
        return Trace((*own.hops, failing_hop(where, outcome)), outcome, True)
    broken = _breaks_http2(end, counted)
    if broken is not None:
        return Trace((*own.hops, failing_hop(where, broken)), broken, True)
    declared = {port for _, port, _ in of_pod(pod).ports}
    note = () if not declared or arrival.port in declared else ("no container declares this port",)
    return Trace((*own.hops, Hop(where, "application", address, "Envoy hands it over", notes=note)), own.outcome, False)


def _breaks_http2(end: End, counted: tuple[Host, ...]) -> Outcome | None:
    """An application that answers no HTTP/2 request and drops the connection each time: it speaks HTTP/1.1 only."""
    if end.upstream is None or http_version(end.upstream, "2") != "2":
        return None
    requests, errors = sum(host.requests for host in counted), sum(host.errors for host in counted)
    if requests < ENOUGH or errors < requests or sum(host.connections for host in counted) < requests:
        return None
    why = f"the application broke the connection at each of {requests} HTTP/2 requests: it may speak HTTP/1.1 only"
    fix = "name the Service's port http (not http2 or grpc), or let the application speak HTTP/2"
    return Outcome("http", 502, "UPE", f"{_RESET}{{protocol_error}}", why=why, fix=fix)


def _nobody(facts: Facts, arrival: Arrival, address: str) -> Trace:
    if not arrival.service or not facts.mesh.known("Pod") or _known_address(facts, arrival.ip):
        who = "pod of this mesh" if facts.mesh.known("Pod") else "pod that was read"
        return _traced([Hop("outside", "server", address, f"no {who} has the address")], arrival.request)
    why = f"no pod and no EndpointSlice has {arrival.ip} any more: the endpoint is stale"
    fix = "see why this Envoy was not told: its connection to istiod, istiod's health"
    outcome = Outcome("http", 503, "UF", f"{_RESET}{{connection_timeout}}", why=why, fix=fix)
    hop = Hop("nowhere", "server", address, why, (), arrival.sources, "fails", (f"503 UF; {fix}",))
    return Trace((hop,), outcome, True)


def _known_address(facts: Facts, ip: str) -> bool:
    """Whether an EndpointSlice or a pod in its host's network has the address."""
    mesh = facts.mesh
    if any(pod.status.pod_ip == ip for pod in mesh.pods.values()):
        return True
    return not mesh.known("EndpointSlice") or any(
        ip in endpoint.addresses
        for service in mesh.services.values()
        for entry in mesh.slices(service)
        for endpoint in entry.endpoints or []
    )


def _traced(hops: list[Hop], request: Request) -> Trace:
    layer = "http" if request.version else "tcp"
    return Trace(tuple(hops), Outcome(layer, why="the request reaches its server"), False)
