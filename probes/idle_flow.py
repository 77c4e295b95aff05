"""Requests that die on connections that had rested: does something between the two proxies forget idle flows?

Two kinds: the middle box answers with a reset (UC), or it is silent, and the request hangs until some timeout ends it
(DC: the application's, UT: the route's).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Lives
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, logged, remedy
from meshdoctor.mesh.traffic import CLIENT, GATEWAY, SERVER, Seen
from meshdoctor.model.pods import has_proxy

LONG_IDLE_SECONDS = 45.0
"""Load balancers and firewalls forget a flow after minutes (240 and 350 s are common); applications after seconds."""
IDLE_SECONDS = 4.0
"""A shorter rest is enough where it alone divides what failed from what went well."""
ENOUGH = 3


class _Rested(NamedTuple):
    seen: Seen
    idle: float


def examine(case: Case, mesh: MeshIndex) -> Finding:
    told = {seen.access.request_id for seen in case.seen if seen.side == SERVER and seen.access}
    lines = tuple(
        seen
        for seen in case.with_flag("UC", "DC", "UT")
        if seen.side in (CLIENT, GATEWAY) and seen.access and seen.access.request_id not in told
    )
    rested = list(_resting(case, lines))
    chosen = [one for one in rested if one.idle >= LONG_IDLE_SECONDS]
    divided = _divided(case, rested)
    if not divided and (len(chosen) < 2 or len(chosen) < len(lines) / 2):
        return not_applicable("no request failed on a connection that had rested for long")
    chosen = rested if divided else chosen
    cut = tuple(seen for seen, _ in chosen)
    said = lines_say(cut, logged(cut[-1]))
    waited = Evidence(f"their connections had rested for {min(one.idle for one in chosen):.0f} s or more")
    lives = mesh.derived(Lives)
    owners = [lives.of_address(seen.upstream[0], seen.start) for seen in cut]
    if not all(life and life.exists and not life.stopped and not life.exits for life in owners):
        return inconclusive(
            "requests failed on rested connections, but the servers' pods were stopped, restarted or not read",
            said,
            waited,
        )
    bare = any((pod := mesh.pod_by_ip(seen.upstream[0])) is not None and not has_proxy(pod) for seen in cut)
    if bare and min(one.idle for one in chosen) < LONG_IDLE_SECONDS:
        return not_applicable("the application itself may have closed the connections")
    client = blame.of_workload(case.client) if case.client else None
    service = blame.of_service(case.destination)
    # Only where the server's proxy logs its requests does its silence about these ones say something.
    witnessed = any(seen.side == SERVER and not seen.failed for seen in case.seen)
    return culprit(
        Verdict(
            "idle-flow-dropped",
            0.87 if divided and witnessed else 0.8,
            f"Something between {case.client} and {case.destination} forgets idle connections; the next request "
            "on them fails",
            tuple(one for one in (client, service) if one),
            (said, waited, Evidence("the servers' pods ran all the time and never saw the requests")),
            remedy(
                "Keep the flow alive, or close it first, in a DestinationRule for this host:",
                "trafficPolicy:\n  connectionPool:\n    tcp:\n      tcpKeepalive: "
                "{time: 30s, interval: 10s, probes: 3}",
            ),
            cut,
        )
    )


def _resting(case: Case, lines: Iterable[Seen]) -> Iterable[_Rested]:
    for seen in lines:
        idle = case.rest_before(seen)
        if idle is not None:
            yield _Rested(seen, idle)


def _divided(case: Case, rested: list[_Rested]) -> bool:
    """Whether every request after a rest of some length failed, and none after a shorter one."""
    good = [
        idle
        for seen in case.seen
        if seen.side in (CLIENT, GATEWAY) and not seen.failed and (idle := case.rest_before(seen)) is not None
    ]
    shortest = min((one.idle for one in rested), default=0.0)
    return len(rested) >= ENOUGH and len(good) >= ENOUGH and shortest >= max(IDLE_SECONDS, max(good))


PROBE = Probe("idle-flow", "Are idle connections dropped on the way?", ("idle-flow-dropped",), examine)
