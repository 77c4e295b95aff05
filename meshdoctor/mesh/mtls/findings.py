"""Every disagreement of a snapshot by name: between two sides, between objects and proxies, between certificates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from meshdoctor.mesh.identity import Identity
from meshdoctor.mesh.mtls.cluster_tls import AUTO, MTLS, Cause
from meshdoctor.mesh.mtls.declared import Pair
from meshdoctor.mesh.mtls.matrix import Column, Matrix
from meshdoctor.mesh.mtls.patterns import Disagreement, Pattern, disagreement
from meshdoctor.mesh.mtls.peer_authentication import UNKNOWN
from meshdoctor.mesh.mtls.server import NO_PROXY
from meshdoctor.mesh.mtls.silent import silent
from meshdoctor.mesh.mtls.view import MtlsView
from meshdoctor.mesh.workloads import Peer
from meshdoctor.model.moment import rfc3339
from meshdoctor.model.pods import NONE


def findings(view: MtlsView, matrix: Matrix) -> tuple[Disagreement, ...]:
    """Those of a matrix's cells, then what else was seen, then objects without effect; active ones first."""
    between = [*_cells(view, matrix), *_certificates(view, matrix), *_drift(view, matrix)]
    found = [*between, *_refused(view, between), *silent(view.declared)]
    return tuple(sorted(found, key=lambda entry: not entry.seen))


def _cells(view: MtlsView, matrix: Matrix) -> Iterator[Disagreement]:
    for row, _, cell in matrix.failures():
        for pair in cell.failing:
            found = disagreement(pair, row, _seen(view, view.workloads[row], pair))
            if found is None:
                continue
            if pair.endpoint.cause is Cause.NO_PROXY:
                caller = view.workload_label(view.workloads[row][0].key)
                found = found._replace(objects=(*found.objects, caller))
            yield found
    strangers: dict[int, list[Pair]] = {}
    for (row, _), cell in matrix.cells.items():
        if id(cell) not in strangers:
            strangers[id(cell)] = [pair for pair in cell.pairs if _is_stranger(pair)]
        for pair in strangers[id(cell)]:
            yield _wrong_identity(view, row, pair)


def _seen(view: MtlsView, clients: Iterable[Peer], pair: Pair) -> int | None:
    """Failures that were logged between the clients and a pair's endpoint; None when neither side's log was read."""
    server = pair.endpoint.endpoint.peer
    keys = [client.key for client in clients]
    if server is None or (server.key not in view.logged and view.logged.isdisjoint(keys)):
        return None
    callers = view.callers.get((server.key, pair.endpoint.endpoint.port), {})
    return sum(callers[key].failed for key in keys if key in callers)


def _is_stranger(pair: Pair) -> bool:
    """Whether an endpoint's SPIFFE id is none of those that the client's TLS context accepts."""
    endpoint = pair.endpoint.endpoint
    if pair.endpoint.tls != MTLS or pair.fails or not pair.tls.sans or not endpoint.identity:
        return False
    return endpoint.identity not in pair.tls.sans


def _wrong_identity(view: MtlsView, row: str, pair: Pair) -> Disagreement:
    endpoint = pair.endpoint.endpoint
    rule = pair.tls.rule
    objects = (f"DestinationRule {rule.name}",) if rule else ()
    says = f"{endpoint.name} is {endpoint.identity}, the client accepts {', '.join(pair.tls.sans)}"
    remedy = "name the server's identity in subjectAltNames, or leave subjectAltNames out"
    return Disagreement(
        Pattern.IDENTITY,
        row,
        pair.tls.host,
        pair.tls.port,
        endpoint.name,
        objects,
        says,
        remedy,
        _seen(view, view.workloads[row], pair),
    )


def _certificates(view: MtlsView, matrix: Matrix) -> Iterator[Disagreement]:
    """Certificates out of their time, and pairs of proxies whose roots have nothing in common."""
    known = {key: own for key in view.objects.pods if (own := view.identity(key)) is not None}
    moment = view.index.snapshot.info.finished_at
    for key, own in known.items():
        if moment is not None and not own.holds_at(moment):
            bound = own.expires if own.expires is not None and own.expires <= moment else own.valid_from
            says = f"the certificate of {key} was not valid at {rfc3339(moment)} (bound {rfc3339(bound or 0.0)})"
            remedy = "restart the proxy, then see why istiod did not sign (its log, the node's clock)"
            failed = sum(seen.failed for link, seen in view.seen.items() if key in (link.client, link.server))
            yield Disagreement(Pattern.EXPIRED, view.workload(key), "", 0, key, (f"Pod {key}",), says, remedy, failed)
    trusting = {key: own for key, own in known.items() if own.roots}
    if len({own.roots for own in trusting.values()}) > 1:
        yield from _foreign_roots(view, matrix, trusting)


def _foreign_roots(view: MtlsView, matrix: Matrix, known: Mapping[str, Identity]) -> Iterator[Disagreement]:
    named: set[tuple[str, str]] = set()
    for row in matrix.rows:
        pairs = (pair for column in matrix.columns for pair in matrix.cells[row, column].pairs)
        for pair in pairs:
            server = pair.endpoint.endpoint.peer
            if pair.endpoint.tls != MTLS or server is None or server.key not in known:
                continue
            for client in view.workloads[row]:
                both = (client.key, server.key)
                if client.key not in known or both in named or known[client.key].roots & known[server.key].roots:
                    continue
                named.add(both)
                yield Disagreement(
                    pattern=Pattern.M11,
                    client=row,
                    host=pair.tls.host,
                    port=pair.tls.port,
                    server=pair.endpoint.endpoint.name,
                    objects=(f"Pod {client.key}", f"Pod {server.key}"),
                    says=f"{client.key} and {server.key} have no root certificate in common",
                    remedy="put both roots into one bundle (cacerts), then restart both workloads",
                    seen=_seen(view, (client,), pair),
                )


def _drift(view: MtlsView, matrix: Matrix) -> Iterator[Disagreement]:
    """Proxies whose dumps say something else than the objects: stale, of another revision, or patched."""
    for key, peer in view.objects.pods.items():
        found = view.configured_server(key)
        if found is not None:
            declared = view.declared.servers.of(peer)
            for port in sorted({*found.ports, *declared.ports}):
                mode, own = declared.at(port), found.at(port)
                if own and mode.mode not in (own, NO_PROXY, UNKNOWN):
                    says = f"port {port} of {key} is {own} in the proxy, {mode.mode} by the objects ({mode.reason})"
                    yield _drifted(view, key, mode.objects, says)
    for row in matrix.rows:
        for peer in view.workloads[row]:
            if view.has_dump(peer.key):
                for column in matrix.columns:
                    yield from _client_drift(view, peer, column)


def _client_drift(view: MtlsView, peer: Peer, column: Column) -> Iterator[Disagreement]:
    own = view.configured_client(peer.key, column)
    if own is None:
        return
    declared = view.declared.clients.of(peer, column.host, column.port)
    if not declared.cluster_type or declared.tls == UNKNOWN:
        return
    objects = (f"DestinationRule {declared.rule.name}",) if declared.rule else ()
    if own.tls != declared.tls:
        says = f"{peer.key} holds {own.tls} for {column}, the objects say {declared.tls} ({declared.reasons[0]})"
        yield _drifted(view, peer.key, objects, says, column)
    elif own.tls == AUTO:
        expected = {f"{entry.endpoint.address}:{entry.endpoint.port}": entry for entry in declared.endpoints}
        for endpoint in own.endpoints:
            entry = expected.get(endpoint.address)
            if entry is not None and endpoint.tls not in (entry.tls, "hbone"):
                says = f"{peer.key} holds {endpoint.tls} for {entry.endpoint.name}, the objects say {entry.tls}"
                yield _drifted(view, peer.key, objects, f"{says} ({entry.reason})", column)


def _drifted(
    view: MtlsView, key: str, objects: tuple[str, ...], says: str, column: Column | None = None
) -> Disagreement:
    remedy = "see `proxy-status`: the proxy is stale or of another revision, or an EnvoyFilter changed it"
    host, port = column or ("", 0)
    return Disagreement(Pattern.DRIFT, view.workload(key), host, port, key, (f"Pod {key}", *objects), says, remedy)


def _refused(view: MtlsView, known: Iterable[Disagreement]) -> Iterator[Disagreement]:
    """Refusals in the servers' logs that no disagreement above accounts for; unread objects may account for any."""
    if view.undecided:
        return
    explained = {(entry.client, entry.server.rpartition(":")[0]) for entry in known if entry.server}
    explained |= {(entry.client, entry.server) for entry in known if entry.server}
    for link, seen in view.seen.items():
        client = view.objects.peers.get(link.client)
        name = view.workload(link.client) if client else link.client
        if not seen.refused or (name, link.server) in explained:
            continue
        mode = view.declared.server_mode(link.server, link.port)
        server = f"{link.server}:{link.port}"
        wants = f"{server} is {mode.mode} ({mode.reason})"
        if client is None or client.proxy == NONE:
            says = f"{link.client} has no sidecar; {wants}"
            remedy = "give the client a sidecar, or make the port PERMISSIVE with portLevelMtls"
            objects = (*mode.objects, *((view.workload_label(link.client),) if client else ()))
            yield Disagreement(Pattern.M7, name, "", link.port, server, objects, says, remedy, seen.failed)
        elif seen.foreign:
            says = f"{link.client} sends TLS of its own to {server}, declared {mode.protocol}; {wants}"
            remedy = "declare the port https or tls, or send plain text and leave TLS to the sidecars"
            objects = (view.workload_label(link.client), view.workload_label(link.server))
            yield Disagreement(Pattern.APPTLS, name, "", link.port, server, objects, says, remedy, seen.failed)
        elif seen.passed:
            says = f"{link.client} calls {server} by address, past its services; {wants}"
            remedy = "call the Service's name, or declare the address in a ServiceEntry"
            objects = (*mode.objects, view.workload_label(link.client))
            yield Disagreement(Pattern.PAST, name, "", link.port, server, objects, says, remedy, seen.failed)
        else:
            says = f"{link.client} was refused {seen.refused} times; {wants}"
            remedy = "see whether it calls before its sidecar runs (an init container), or past it"
            yield Disagreement(
                Pattern.UNEXPLAINED, name, "", link.port, server, mode.objects, says, remedy, seen.failed
            )
