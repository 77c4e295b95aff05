"""UC on a connection that had rested long: does something between the two proxies drop idle flows?"""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Lives
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, logged, remedy
from meshdoctor.mesh.traffic import CLIENT, split_address

LONG_IDLE_SECONDS = 45.0
"""Load balancers and firewalls forget a flow after minutes (240 and 350 s are common); applications after seconds."""


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = tuple(seen for seen in case.with_flag("UC") if seen.side == CLIENT)
    rested = [
        (seen, idle) for seen in lines if (idle := case.rest_before(seen)) is not None and idle >= LONG_IDLE_SECONDS
    ]
    if len(rested) < 2 or len(rested) < len(lines) / 2:
        return not_applicable("no request failed on a connection that had rested for long")
    cut = tuple(seen for seen, _ in rested)
    said = lines_say(cut, logged(cut[-1]))
    waited = Evidence(f"their connections had rested for {min(one for _, one in rested):.0f} s or more")
    lives = mesh.derived(Lives)
    owners = [
        lives.of_address(split_address(seen.access.upstream_host if seen.access else None)[0], seen.start)
        for seen in cut
    ]
    if not all(life and life.exists and not life.stopped and not life.exits for life in owners):
        return inconclusive(
            "requests failed on rested connections, but the servers' pods were stopped, restarted or not read",
            said,
            waited,
        )
    if any(seen.side == "server" and seen.failed for seen in case.seen):
        return not_applicable("the server saw these requests")
    client = blame.of_workload(case.client) if case.client else None
    return culprit(
        Verdict(
            "idle-flow-dropped",
            0.8,
            f"Something between {case.client} and {case.destination} forgets idle connections; the next request "
            "on them fails",
            (client,) if client else (),
            (said, waited, Evidence("the servers' pods ran all the time and never saw the requests")),
            remedy(
                "Keep the flow alive, or close it first, in a DestinationRule for this host:",
                "trafficPolicy:\n  connectionPool:\n    tcp:\n      tcpKeepalive: "
                "{time: 30s, interval: 10s, probes: 3}",
            ),
            cut,
        )
    )


PROBE = Probe("idle-flow", "Are idle connections dropped on the way?", ("idle-flow-dropped",), examine)
