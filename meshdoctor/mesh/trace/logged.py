"""What the logs hold of a traced flow: a configuration that lets a request through does not make it succeed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from meshdoctor.errors import NothingMatches
from meshdoctor.mesh.ambient import is_ztunnel
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.failing_flows import code_of, details_of
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.question import Question, cases_of
from meshdoctor.mesh.trace.outcome import Logged, LoggedFailure, Trace
from meshdoctor.mesh.trace.places import client_pods
from meshdoctor.mesh.trace.question import TraceQuestion
from meshdoctor.mesh.traffic import APPLICATION, CLIENT, GATEWAY, SERVER, TUNNEL, Seen
from meshdoctor.model import wants as ask
from meshdoctor.model.pods import PROXY_CONTAINER
from meshdoctor.model.snapshot import PodRef, Want

SIDES = (CLIENT, GATEWAY, APPLICATION, TUNNEL, SERVER)
"""Whose word counts first."""
MAX_KINDS = 4


def log_wants(mesh: MeshIndex, trace: Trace) -> tuple[Want[Any], ...]:
    """The logs of the pods on the way, of their workloads' other pods, and of the ztunnels of their nodes."""
    places = {PodRef(*hop.where.split("/", 1)) for hop in trace.hops if "/" in hop.where}
    workloads = {mesh.workload(ref) for ref in places}
    on_the_way = places | {log.pod for log in mesh.inventory.logs if mesh.workload(log.pod) in workloads}
    nodes = {mesh.pods[ref].spec.node_name for ref in on_the_way if ref in mesh.pods}
    found: list[Want[Any]] = []
    for log in mesh.inventory.logs:
        if is_ztunnel(mesh, log.pod):
            if log.pod in mesh.pods and mesh.pods[log.pod].spec.node_name in nodes:
                found.append(ask.ZtunnelAccessLog(log))
        elif log.pod in on_the_way:
            found.append(ask.AccessLog(log) if log.container == PROXY_CONTAINER else ask.ApplicationLog(log))
    return tuple(found)


def with_logs(trace: Trace, logged: Logged | None) -> Trace:
    """*trace* with what was logged; what may fail does where the logs show that very failure, and it goes on."""
    if logged is None:
        return trace
    hops = trace.hops
    flags = set(filter(None, trace.outcome.flags.split(",")))
    # A ztunnel writes no flags: that it could not connect is what UF stands for.
    seen = any(
        flags and (flags <= set(kind.flags) or (kind.side == TUNNEL and flags == {"UF"})) for kind in logged.kinds
    )
    if trace.failing and trace.verdict == "may fail" and seen and not logged.over:
        hops = tuple(
            msgspec.structs.replace(hop, verdict="fails") if hop.verdict == "may fail" else hop for hop in hops
        )
    return msgspec.structs.replace(trace, hops=hops, logged=logged)


def logged(mesh: MeshIndex, question: TraceQuestion) -> Logged | None:
    """What the logs that were read say of the flow of *question*; None when they do not know it.

    A path other than / and a method other than GET were asked for: failures of other requests are told apart.
    """
    cases = _cases(mesh, question)
    lines = [seen for case in cases for seen in case.seen if seen.logged]
    if not lines:
        return None
    failures = [seen for case in cases for seen in case.failures if seen.logged]
    mine = [seen for seen in failures if _asked(seen, question)]
    others = len(_main_side(failures)) - len(_main_side(mine))
    good = [seen for seen in _main_side(lines) if not seen.failed]
    times = sorted(seen.start for seen in mine if seen.start is not None)
    asked = {id(seen) for seen in mine}
    failing = [(case, [seen for seen in case.failures if id(seen) in asked]) for case in cases]
    over = bool(mine) and all(case.is_over(seen) for case, seen in failing if seen)
    return Logged(
        failures=len(_main_side(mine)),
        good=len(good),
        first=times[0] if times else None,
        last=times[-1] if times else None,
        over=over,
        kinds=tuple(_kinds(mine)),
        others=max(others, 0),
    )


def _cases(mesh: MeshIndex, question: TraceQuestion) -> tuple[Case, ...]:
    """The flow's cases; a gateway's own are those that its pods logged, whoever called."""
    pods = client_pods(mesh, question.namespace, question.client)
    gateway = bool(pods) and mesh.is_gateway(pods[0])
    client = "" if gateway else f"{question.namespace}/{question.client}"
    try:
        found = cases_of(mesh, Question(client, question.host, question.dialled))
    except NothingMatches:
        return ()
    return tuple(case for case in found if not gateway or any(seen.pod in pods for seen in case.seen))


def _asked(seen: Seen, question: TraceQuestion) -> bool:
    path, method = question.path.partition("?")[0], seen.access.method if seen.access else ""
    if path not in ("", "/") and seen.path and seen.path != path:
        return False
    return question.method == "GET" or not method or method == question.method


def _main_side(lines: Iterable[Seen]) -> list[Seen]:
    """The lines of one side, the caller's if it has any: a request stands in several logs, each try in the server's."""
    sides: dict[str, list[Seen]] = {}
    for seen in lines:
        sides.setdefault(seen.side, []).append(seen)
    return next((sides[side] for side in SIDES if side in sides), [])


def _kinds(failures: Iterable[Seen]) -> list[LoggedFailure]:
    """Equal failures of one side together, the caller's first; of the application's word only where it is the only."""
    counted = Counter(_kind(seen) for seen in failures if seen.access or seen.tunnel)
    if not counted:
        counted = Counter(_kind(seen) for seen in failures)
    found = sorted(counted.most_common(), key=lambda each: SIDES.index(each[0][0]))
    return [LoggedFailure(count, *kind) for kind, count in found[:MAX_KINDS]]


def _kind(seen: Seen) -> tuple[str, int, tuple[str, ...], str]:
    return seen.side, code_of(seen), seen.access.flags if seen.access else (), details_of(seen)
