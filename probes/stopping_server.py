"""UC at the caller: was the server's pod just being stopped?

Killed at the end of its grace period, or a sidecar that left.
"""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Lives, PodLife
from meshdoctor.mesh.owners import Workload
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, logged, remedy
from meshdoctor.mesh.traffic import CLIENT, GATEWAY, Seen
from meshdoctor.model.moment import clock, duration
from meshdoctor.model.pods import is_native_sidecar

SLACK = 2.0
"""Seconds: event times are whole seconds, and the kubelet needs a moment to kill."""
LONG_MS = 60_000.0
STREAM_MS = 8_000.0
"""An answer that has been streaming for this long is a stream, not a slow download."""


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lives = mesh.derived(Lives)
    lines: list[tuple[Seen, PodLife]] = []
    for seen in case.with_flag("UC", "UR"):
        life = lives.of_address(seen.upstream[0], seen.start)
        if seen.side in (CLIENT, GATEWAY) and life and life.stopped and life.is_stopping(_end(seen) + 1.0):
            lines.append((seen, life))
    if not lines:
        found = _connections_cut(case, lives)
        return found or not_applicable("no request was cut by a pod that was being stopped")
    cut = tuple(seen for seen, _ in lines)
    newest, life = lines[-1]
    owner = life.workload
    said = lines_say(cut, f"{logged(newest)} after {newest.duration or 0:.0f} ms")
    stop = Evidence(
        f"{life.ref} was told to stop at {clock(life.stopped or 0)} UTC, grace period {life.grace:.0f} s",
        mesh.file("Event"),
        str(life.ref),
    )
    streams = tuple(seen for seen in cut if is_stream(seen))
    if len(streams) >= len(cut) / 2:
        return culprit(streams_cut(case, owner, streams, said, stop))
    at_end = tuple(seen for seen, one in lines if abs(_end(seen) - (one.stopped or 0) - one.grace) <= SLACK)
    if len(at_end) >= len(lines) / 2:
        resource = Resource(owner.kind, owner.namespace, owner.name, "spec.template.spec.terminationGracePeriodSeconds")
        return culprit(
            Verdict(
                "grace-period-too-short",
                0.93,
                f"Pods of {resource} are killed {life.grace:.0f} s after they are told to stop, with requests "
                "still open",
                (resource,),
                (said, stop),
                remedy(f"Raise terminationGracePeriodSeconds of {resource} above preStop and the longest request."),
                case.together(cut),
            )
        )
    drain = duration(str(mesh.mesh_config.default_config.get("terminationDrainDuration", "5s"))) or 5.0
    server = mesh.pods.get(life.ref)
    left = (
        ()
        if server and is_native_sidecar(server.spec)
        else tuple(
            seen for seen, one in lines if abs(_end(seen) - (one.stopped or 0) - drain) <= SLACK and drain < one.grace
        )
    )
    if left and len(left) >= len(lines) / 2:
        resource = blame.of_workload(owner)
        return culprit(
            Verdict(
                "sidecar-exits-before-app",
                0.86,
                f"The sidecar of {resource} leaves {drain:.0f} s after the stop, while requests are still open",
                (resource,),
                (said, stop),
                remedy(f"Use native sidecars, or raise terminationDrainDuration for {resource}."),
                case.together(left),
            )
        )
    return inconclusive(f"requests were cut while {life.ref} was being stopped", said, stop)


def _connections_cut(case: Case, lives: Lives) -> Finding | None:
    """Long TCP connections that ended with the pod at their other end, as the callers themselves complain.

    Envoy's own lines of them look well: a TCP proxy passes the end of a connection on, whoever ended it.
    """
    lost = tuple(seen for seen in case.calls if seen.call and not seen.call.status and _lasted(seen))
    ended: list[tuple[Seen, Seen, PodLife]] = []
    for line in case.seen:
        life = lives.of_address(line.upstream[0], line.start) if _is_tcp(line) and _lasted(line) else None
        if life is None or life.stopped is None:
            continue
        if life.stopped - SLACK <= _end(line) <= life.stopped + life.grace + SLACK:
            ended.extend((seen, line, life) for seen in lost if seen.pod == line.pod and _ends_with(seen, line))
    calls = tuple({id(seen): seen for seen, _, _ in ended}.values())
    if not calls or len(calls) < len(case.calls) / 2:
        return None
    _, line, life = ended[-1]
    said = lines_say(calls, f"{logged(calls[-1])[:120]} after {(calls[-1].duration or 0) / 1000:.0f} s")
    stop = Evidence(
        f"{life.ref} was told to stop at {clock(life.stopped or 0)} UTC, and its TCP connections ended then",
        line.file,
        f"line {line.line}",
    )
    return culprit(streams_cut(case, life.workload, calls, said, stop))


def _ends_with(call: Seen, line: Seen) -> bool:
    """Whether a call ended with a connection; applications log the time when they called, or when it ended."""
    return any(abs(moment - _end(line)) <= SLACK for moment in (_end(call), call.start or 0.0))


def _is_tcp(seen: Seen) -> bool:
    return seen.side == CLIENT and seen.access is not None and seen.access.method is None and seen.access.code == 0


def _lasted(seen: Seen) -> bool:
    return (seen.duration or 0.0) >= STREAM_MS


def is_stream(seen: Seen) -> bool:
    """Whether a request was a long-lived stream: its answer had begun long ago, or it had run for minutes."""
    lasted = seen.duration or 0.0
    begun = seen.access is not None and "after_response_started" in (seen.access.details or "")
    upgraded = seen.access is not None and seen.access.code == 101
    return lasted >= LONG_MS or ((begun or upgraded or _is_tcp(seen)) and lasted >= STREAM_MS)


def streams_cut(case: Case, owner: Workload, lines: tuple[Seen, ...], *evidence: Evidence) -> Verdict:
    resource = blame.of_workload(owner)
    return Verdict(
        "long-stream-cut-by-rollout",
        0.88,
        f"Stopping pods of {resource} cut streams that had run for {min(s.duration or 0 for s in lines) / 1000:.0f} s "
        "or more",
        (resource,),
        evidence,
        remedy("Limit the age of connections at the server below its drain time, and let clients reconnect."),
        case.together(lines),
    )


def _end(seen: Seen) -> float:
    return (seen.start or 0.0) + (seen.duration or 0.0) / 1000


PROBE = Probe(
    "stopping-server",
    "Was the server's pod being stopped?",
    ("grace-period-too-short", "long-stream-cut-by-rollout", "sidecar-exits-before-app"),
    examine,
)
