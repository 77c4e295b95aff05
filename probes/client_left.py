"""DC: did the caller hang up by itself?

`downstream_remote_disconnect` at the caller's own proxy, nobody else's timeout.
"""

from __future__ import annotations

from statistics import median

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import (
    CONFIGURATION_ONLY,
    Evidence,
    Finding,
    Verdict,
    culprit,
    inconclusive,
    not_applicable,
)
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, logged, object_says, remedy
from meshdoctor.mesh.traffic import CLIENT, GATEWAY, SERVER, Seen
from meshdoctor.model.envoy.address import split_address
from meshdoctor.model.moment import unix
from meshdoctor.model.pods import has_sidecar

LEFT = ("downstream_remote_disconnect", "http2.remote_reset")
ENOUGH = 2
BATCH = 5
ENOUGH_ANSWERS = 3
PATTERNLESS = 0.7
_UNANSWERED = ("deadline exceeded", "Client.Timeout", "i/o timeout")
"""What the kubelet writes of a probe that got no answer in time."""
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
    silent = _fell_silent(case, mesh, lines)
    if silent is not None:
        hung = _stalled(case, mesh, lines, evidence, silent)
        # An application that hangs and one that became too slow look alike, unless the kubelet got no answer either.
        doubt = CONFIGURATION_ONLY if hung.confidence > CONFIGURATION_ONLY else PATTERNLESS
        return culprit(hung, _gave_up(case, lines, middle, doubt))
    asked = sum(1 for seen in case.seen if seen.side in (CLIENT, GATEWAY))
    seldom = len(lines) < MANY and len(lines) < SHARE * asked
    # Of a server that was left out of the recording, nobody knows whether the requests arrived.
    unseen = mesh.in_part("Pod") and not mesh.known("Pod", case.server_namespace)
    doubtful = seldom or unseen
    return culprit(_gave_up(case, lines, middle, CONFIGURATION_ONLY if doubtful else 0.93 if narrow else PATTERNLESS))


def _gave_up(case: Case, lines: tuple[Seen, ...], middle: float, confidence: float) -> Verdict:
    assert case.client is not None
    owner = blame.of_workload(case.client)
    durations = sorted(seen.duration or 0.0 for seen in lines)
    server = f" (the answer of {case.destination.host} takes longer)" if confidence > PATTERNLESS else ""
    return Verdict(
        "client-gave-up",
        confidence,
        f"{owner} closes the connection after {middle:.0f} ms without an answer{server}",
        (owner,),
        (lines_say(lines, f"{logged(lines[-1])}, {durations[0]:.0f} to {durations[-1]:.0f} ms"),),
        remedy(f"Raise the client's own timeout in {owner}, or make {case.destination.host} answer faster."),
        case.together(lines),
    )


def _fell_silent(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...]) -> float | None:
    """How long answers took, in ms, before the servers' pods stopped to give any; None when they did not.

    The same pods answered the same caller well within the time that it waits now, and since then not once: neither side
    was replaced, so the application hangs. A stopped process still has its connections accepted, by the kernel.
    """
    slowest = 0.0
    patience = min(seen.duration or 0.0 for seen in lines)
    for address, pod in dict.fromkeys((seen.access.upstream_host, seen.pod) for seen in lines if seen.access):
        begin = min(s.start or 0.0 for s in lines if s.access and (s.access.upstream_host, s.pod) == (address, pod))
        good = [
            seen
            for seen in case.timeline
            if seen.access and not seen.failed and (seen.access.upstream_host, seen.pod) == (address, pod)
        ]
        quick = [seen for seen in good if (seen.start or 0.0) < begin]
        server = mesh.pod_by_ip(split_address(address)[0])
        if len(quick) < ENOUGH_ANSWERS or len(quick) < len(good) or server is None or not has_sidecar(server):
            return None
        slowest = max(slowest, *(seen.duration or 0.0 for seen in quick))
    return slowest if len(lines) >= BATCH and slowest < patience / 2 else None


def _stalled(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...], said: Evidence, slowest: float) -> Verdict:
    servers = [pod for seen in lines if (pod := mesh.pod_by_ip(seen.upstream[0]))]
    owners = tuple(dict.fromkeys(blame.of_workload(mesh.workload(pod.ref)) for pod in servers))
    begin = min(seen.start or 0.0 for seen in lines)
    probed = [
        event
        for pod in servers
        for event in mesh.events("Pod", pod.namespace, pod.name)
        if event.reason == "Unhealthy"
        and any(word in event.message for word in _UNANSWERED)
        and (unix(event.last) or 0.0) >= begin
    ]
    return Verdict(
        "app-stalled",
        0.85 if probed else CONFIGURATION_ONLY,
        f"The application of {owners[0]} accepts connections and answers no more; callers hang up",
        owners,
        (
            said,
            Evidence(f"the same pods answered the same caller within {slowest:.0f} ms before, and never since"),
            *(object_says(mesh, "Event", event, event.message[:160]) for event in probed[-1:]),
        ),
        remedy(
            f"See what blocks {owners[0]} (threads, a full queue, CPU throttling); restarting it mends it for a while."
        ),
        case.together(lines),
    )


def _never_arrived(case: Case, lines: tuple[Seen, ...]) -> bool:
    """Whether the server's proxy logs what it is asked, and yet knows none of these requests: they hung on the way."""
    served = {seen.access.request_id for seen in case.seen if seen.side == SERVER and seen.access}
    asked = {seen.access.request_id for seen in lines if seen.access and seen.access.upstream_host}
    # Both proxies write their logs in batches, so that the last lines may be missing on one side.
    return len(asked) >= BATCH and not asked & served and any(not s.failed for s in case.seen if s.side == SERVER)


PROBE = Probe("client-left", "Did the caller hang up?", ("client-gave-up", "app-stalled"), examine)
