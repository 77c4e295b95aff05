"""DC: did the caller hang up by itself?

`downstream_remote_disconnect` at the caller's own proxy, nobody else's timeout.
"""

from __future__ import annotations

from statistics import median

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import CONFIGURATION_ONLY, Finding, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, logged, remedy
from meshdoctor.mesh.traffic import CLIENT, GATEWAY, SERVER, Seen

LEFT = ("downstream_remote_disconnect", "http2.remote_reset")
ENOUGH = 2
BATCH = 5
NARROW = 0.25
"""Durations that differ by less than this share of their median are one timeout."""
MANY = 10
SHARE = 0.1
"""Fewer lines than MANY, and a smaller part of what was asked than this, is what impatient people do every day."""


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = tuple(seen for seen in case.with_flag("DC", "DR") if seen.access and seen.access.details in LEFT)
    if not lines:
        return not_applicable("no caller hung up before the answer")
    evidence = lines_say(lines, logged(lines[-1]))
    if case.client is None or len(lines) < ENOUGH:
        return inconclusive("a caller hung up once; any client may", evidence)
    durations = sorted(seen.duration or 0.0 for seen in lines)
    middle = median(durations)
    spread = durations[int(len(durations) * 0.9)] - durations[int(len(durations) * 0.1)]
    narrow = middle > 0 and spread <= NARROW * middle
    owner = blame.of_workload(case.client)
    if _never_arrived(case, lines):
        return inconclusive(f"{owner} hung up on requests that the server's proxy never saw", evidence)
    asked = sum(1 for seen in case.seen if seen.side in (CLIENT, GATEWAY))
    seldom = len(lines) < MANY and len(lines) < SHARE * asked
    server = f" (the answer of {case.destination.host} takes longer)" if narrow else ""
    return culprit(
        Verdict(
            "client-gave-up",
            CONFIGURATION_ONLY if seldom else 0.93 if narrow else 0.7,
            f"{owner} closes the connection after {middle:.0f} ms without an answer{server}",
            (owner,),
            (lines_say(lines, f"{logged(lines[-1])}, {durations[0]:.0f} to {durations[-1]:.0f} ms"),),
            remedy(f"Raise the client's own timeout in {owner}, or make {case.destination.host} answer faster."),
            case.together(lines),
        )
    )


def _never_arrived(case: Case, lines: tuple[Seen, ...]) -> bool:
    """Whether the server's proxy logs what it is asked, and yet knows none of these requests: they hung on the way."""
    served = {seen.access.request_id for seen in case.seen if seen.side == SERVER and seen.access}
    asked = {seen.access.request_id for seen in lines if seen.access and seen.access.upstream_host}
    # Both proxies write their logs in batches, so that the last lines may be missing on one side.
    return len(asked) >= BATCH and not asked & served and any(not s.failed for s in case.seen if s.side == SERVER)


PROBE = Probe("client-left", "Did the caller hang up?", ("client-gave-up",), examine)
