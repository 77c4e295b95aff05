"""Does the application close connections with requests on them? (UC on an inbound cluster)"""

from __future__ import annotations

from statistics import median

from meshdoctor.mesh import blame
from meshdoctor.mesh.application import application_of
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, merged, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Lives, PodLife
from meshdoctor.mesh.owners import Workload
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, remedy
from meshdoctor.mesh.traffic import Seen
from meshdoctor.model.moment import clock
from meshdoctor.probes.stopping_server import is_stream, streams_cut

CRASH_SECONDS = 3.0
UNSTEADY_SECONDS = 300.0
"""A container that ended this near to the resets leaves no pattern in time to be read: clocks may differ by that."""
RACE_MS = 250.0
"""A keep-alive race fails at once (a busy machine aside): the application closed the connection unread."""
IDLE_SECONDS = 0.2
"""A connection that rested this long before the request that failed on it was an idle one."""
OWN_TIMEOUT_MS = 1000.0
SHORT_TIMEOUT_MS = 300.0
ENOUGH = 4
"""So many resets after the same short time are a timeout as well."""
NARROW = 0.15
SPREAD_MS = 60.0


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = tuple(
        seen
        for seen in (*case.server_lines, *case.with_flag("UC"))
        if seen.access and seen.access.primary_flag == "UC" and application_of(mesh, seen)
    )
    if not lines:
        return not_applicable("the application reset no request")
    if not mesh.known("Pod", case.server_namespace):
        return inconclusive(
            "the application resets requests; the pods could not be read", lines_say(lines, logged(lines[-1]))
        )
    owners: dict[Workload, list[Seen]] = {}
    for seen in lines:
        if ref := application_of(mesh, seen):
            owners.setdefault(mesh.workload(ref), []).append(seen)
    findings = [_of_workload(case, mesh, owner, tuple(group)) for owner, group in owners.items()]
    return merged(findings)


def _of_workload(case: Case, mesh: MeshIndex, owner: Workload, lines: tuple[Seen, ...]) -> Finding:
    resource = blame.of_workload(owner)
    lives = mesh.derived(Lives)
    crashed = tuple(seen for seen in lines if _crash_near(mesh, lives, seen))
    if crashed:
        ends = [exit for life in lives.of_workload(owner) for exit in life.crashes()]
        says = listed(f"{exit.container} ended with {exit.reason} {exit.code}" for exit in ends)
        return culprit(
            Verdict(
                "app-crashed",
                0.97,
                f"The application of {resource} crashes in the middle of requests",
                (resource,),
                (lines_say(lines, logged(lines[-1])), Evidence(says, mesh.file("Pod"), str(crashed[-1].pod))),
                remedy(f"Read kubectl logs --previous of {crashed[-1].pod}: why did it end?"),
                case.together(lines),
            )
        )
    stopping = tuple(seen for seen in lines if _is_stopping(mesh, lives, seen))
    life = _life(mesh, lives, stopping[-1]) if stopping else None
    if stopping and life:
        streams = tuple(seen for seen in stopping if is_stream(seen))
        if len(streams) >= len(stopping) / 2:
            return culprit(
                streams_cut(case, owner, streams, lines_say(streams, logged(streams[-1])), _stop_of(mesh, life))
            )
        return culprit(
            Verdict(
                "app-closes-on-sigterm",
                0.93,
                f"The application of {resource} exits at SIGTERM with requests in flight",
                (
                    Resource(
                        resource.kind, resource.namespace, resource.name, "spec.template.spec.containers[].lifecycle"
                    ),
                ),
                (
                    lines_say(stopping, logged(stopping[-1])),
                    _stop_of(mesh, life),
                ),
                remedy(
                    "Finish open requests after SIGTERM, and give callers time to leave (preStop: sleep).",
                    "lifecycle:\n  preStop:\n    sleep:\n      seconds: 10",
                ),
                case.together(stopping),
            )
        )
    if any(_crash_near(mesh, lives, seen, UNSTEADY_SECONDS) for seen in lines):
        return inconclusive(
            f"{resource} resets requests; its container ended, though not at these moments",
            lines_say(lines, logged(lines[-1])),
        )
    return _steady(case, resource, lines)


def _crash_near(mesh: MeshIndex, lives: Lives, seen: Seen, within: float = CRASH_SECONDS) -> bool:
    life, moment = _life(mesh, lives, seen), seen.start
    if life is None or moment is None:
        return False
    ended = moment + (seen.duration or 0.0) / 1000
    return any(exit.at is not None and abs(exit.at - ended) <= within for exit in life.crashes())


def _life(mesh: MeshIndex, lives: Lives, seen: Seen) -> PodLife | None:
    ref = application_of(mesh, seen)
    return lives.by_ref.get(ref) if ref else None


def _stop_of(mesh: MeshIndex, life: PodLife) -> Evidence:
    return Evidence(
        f"{life.ref} was told to stop at {clock(life.stopped or 0.0)} UTC", mesh.file("Event"), str(life.ref)
    )


def _is_stopping(mesh: MeshIndex, lives: Lives, seen: Seen) -> bool:
    life = _life(mesh, lives, seen)
    ended = (seen.start or 0.0) + (seen.duration or 0.0) / 1000
    # Event times are whole seconds, so the stop may look a second later than it was.
    return life is not None and life.is_stopping(ended + 1.0)


def _steady(case: Case, resource: Resource, lines: tuple[Seen, ...]) -> Finding:
    durations = sorted(seen.duration or 0.0 for seen in lines)
    middle = median(durations)
    evidence = lines_say(lines, f"{logged(lines[-1])}, {durations[0]:.0f} to {durations[-1]:.0f} ms")
    good = [seen for seen in case.seen if seen.side == lines[0].side and not seen.failed]
    slower = [seen for seen in good if (seen.duration or 0.0) > middle * (1 + NARROW)]
    limit = OWN_TIMEOUT_MS if len(lines) < ENOUGH else SHORT_TIMEOUT_MS
    narrow = durations[-1] - durations[0] <= max(NARROW * middle, SPREAD_MS)
    if middle >= limit and narrow and len(lines) > 1 and not slower:
        return culprit(
            Verdict(
                "app-closes-at-own-timeout",
                0.9,
                f"{resource} closes the connection after {middle:.0f} ms, at a timeout of its own",
                (resource,),
                (evidence,),
                remedy(f"Raise the server or worker timeout of {resource} above what its slowest answer takes."),
                case.together(lines),
            )
        )
    rests = [case.rest_before(seen) for seen in lines]
    idle = [rest for rest in rests if rest is not None and rest >= IDLE_SECONDS]
    rare = len(good) > len(lines)
    if middle <= RACE_MS and rare and len(lines) > 1 and len(idle) >= len(lines) / 2:
        return culprit(
            Verdict(
                "keepalive-race",
                0.9,
                f"{resource} closes idle connections just when the sidecar uses them again",
                (resource,),
                (
                    evidence,
                    Evidence(f"the connections had been idle for {min(idle):.1f} to {max(idle):.1f} s"),
                    Evidence(f"{len(good)} other requests to it went well, and no container ended"),
                ),
                remedy(
                    f"Keep idle connections open longer in {resource}, or let the sidecar close them first:",
                    "trafficPolicy:\n  connectionPool:\n    http:\n      idleTimeout: 500ms  # below the application's",
                ),
                case.together(lines),
            )
        )
    return inconclusive(
        f"{resource} resets requests; neither a crash, a stop nor a pattern in time explains it", evidence
    )


PROBE = Probe(
    "application-reset",
    "Does the application reset requests?",
    (
        "app-crashed",
        "app-closes-on-sigterm",
        "app-closes-at-own-timeout",
        "keepalive-race",
        "long-stream-cut-by-rollout",
    ),
    examine,
)
