"""Does the application accept the sidecar's connection? (UF on an inbound cluster: refused, or no answer to the SYN)"""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.application import application_of
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import (
    CONFIGURATION_ONLY,
    Evidence,
    Finding,
    Resource,
    Verdict,
    culprit,
    inconclusive,
    not_applicable,
)
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Lives, PodLife
from meshdoctor.mesh.owners import Workload
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import counted, lines_say, listed, logged, remedy
from meshdoctor.mesh.traffic import SERVER, Seen
from meshdoctor.model.moment import clock
from meshdoctor.model.snapshot import PodRef

START_SECONDS = 90.0
"""A refusal this soon after the pod became Ready is its start; later, something else."""
SLOW_START_SECONDS = 30.0
"""A pod that has been Ready for less than this may just be starting."""
REFUSED = ("Connection_refused", "connect_error:_111")
LOCAL = ("local_connection_failure", "Cannot_assign_requested_address", "Too_many_open_files")
CRASH_SECONDS = 20.0
"""A refusal this soon after the application ended is its restart."""
UNSTEADY_SECONDS = 300.0
"""A port that is refused this soon after an end of its application is no wrong port: clocks may differ by that."""


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = (
        *(
            seen
            for seen in case.server_lines
            if seen.access and seen.access.primary_flag == "UF" and seen.cluster and seen.cluster.inbound
        ),
        *(seen for seen in case.with_flag("UF") if _refuses_itself(mesh, seen)),
    )
    if not lines:
        return not_applicable("every connection to the application was accepted")
    if not mesh.known("Pod", case.server_namespace):
        return inconclusive(
            "the application refuses connections; the pods could not be read", lines_say(lines, logged(lines[-1]))
        )
    local = tuple(seen for seen in lines if is_local(seen))
    if local:
        return exhausted(case, mesh, local)
    timeouts = tuple(seen for seen in lines if "connection_timeout" in ((seen.access and seen.access.details) or ""))
    if timeouts:
        return _stalled(case, mesh, timeouts)
    verdicts = []
    lives = mesh.derived(Lives)
    groups: dict[tuple[Workload, str], list[Seen]] = {}
    refused = tuple(seen for seen in lines if is_refused(seen))
    if not refused:
        return inconclusive(
            "connections to the application failed, and the log does not say how", lines_say(lines, logged(lines[-1]))
        )
    for seen in refused:
        ref = application_of(mesh, seen) or seen.pod
        groups.setdefault((mesh.workload(ref), _kind(case, lives.by_ref.get(ref), seen)), []).append(seen)
    for (owner, kind), group in groups.items():
        if kind != "unknown":
            verdicts.append(_verdict(case, mesh, owner, kind, tuple(group)))
    return (
        culprit(*verdicts)
        if verdicts
        else inconclusive("the application refused connections now and then", lines_say(lines, logged(lines[-1])))
    )


def _kind(case: Case, life: PodLife | None, seen: Seen) -> str:
    """Which moment of the pod's life the refusal falls in."""
    moment = seen.start or 0.0
    if life is None:
        return "unknown" if _served(case, seen) else "listens"
    if life.is_stopping(moment):
        # Without a sidecar of its own nobody tells whether the pod still listened when the caller had to know.
        return "stopping" if seen.side == SERVER else "unknown"
    if any(exit.at is not None and -2.0 <= moment - exit.at <= CRASH_SECONDS for exit in life.crashes()):
        return "crashed"
    later = [good for good in case.seen if _same_place(good, seen) and not good.failed and (good.start or 0.0) > moment]
    if life.ready is not None and moment - life.ready <= START_SECONDS and later and not _served(case, seen):
        return "starting"
    # Kubernetes keeps no more than the last end of a container, so an earlier one may have been near.
    if any(exit.at is None or exit.at >= moment - UNSTEADY_SECONDS for exit in life.crashes()):
        return "crashed"
    return "unknown" if _served(case, seen) else "listens"


def _served(case: Case, seen: Seen) -> bool:
    """Whether the application answered on the same port of the same pod before and after it refused."""
    good = [
        one.start or 0.0
        for one in case.seen
        if _same_place(one, seen) and not one.failed and one.upstream[1] == seen.upstream[1]
    ]
    moment = seen.start or 0.0
    return any(one < moment for one in good) and any(one > moment for one in good)


def _same_place(one: Seen, seen: Seen) -> bool:
    """Whether two lines of the same side are about the same pod."""
    if seen.side == SERVER:
        return one.side == SERVER and one.pod == seen.pod
    return one.side == seen.side and one.upstream[0] == seen.upstream[0]


def _refuses_itself(mesh: MeshIndex, seen: Seen) -> bool:
    """Whether a caller's proxy was refused by a pod that has no sidecar which could have done it."""
    return is_refused(seen) and application_of(mesh, seen) is not None


def is_refused(seen: Seen) -> bool:
    """Whether a connection was refused, and not only left unanswered; older Envoys wrote the errno, not its name."""
    line = seen.access
    said = (line.details or "") + (line.transport_failure or "") if line else ""
    return any(word in said for word in REFUSED)


def is_local(seen: Seen) -> bool:
    """Whether a connection failed in the proxy's own pod: no port or descriptor was left for it."""
    details = (seen.access.details or "") + (seen.access.transport_failure or "") if seen.access else ""
    return any(word in details for word in LOCAL)


def exhausted(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...]) -> Finding:
    owner = blame.of_workload(mesh.workload(lines[-1].pod))
    return culprit(
        Verdict(
            "local-resource-exhausted",
            0.93,
            f"{owner} has no local port (or descriptor) left for new connections",
            (owner,),
            (lines_say(lines, logged(lines[-1])),),
            remedy(f"Reuse connections in {owner} (keep-alive, HTTP/2), or spread its calls over more pods."),
            case.together(lines),
        )
    )


def _verdict(case: Case, mesh: MeshIndex, owner: Workload, kind: str, lines: tuple[Seen, ...]) -> Verdict:
    resource = blame.of_workload(owner)
    newest = lines[-1]
    ref = application_of(mesh, newest) or newest.pod
    port = (newest.cluster.port if newest.cluster and newest.side == SERVER else 0) or newest.upstream[1]
    said = lines_say(lines, f"{logged(newest)} on port {port} of {ref}")
    together = case.together(lines)
    life = mesh.derived(Lives).by_ref.get(ref)
    if kind == "crashed" and life:
        ends = listed(f"{exit.container} ended with {exit.reason} {exit.code}" for exit in life.crashes())
        return Verdict(
            "app-crashed",
            0.96,
            f"The application of {resource} crashes and refuses connections until it is back",
            (resource,),
            (said, Evidence(ends, mesh.file("Pod"), str(ref))),
            remedy(f"Read kubectl logs --previous of {ref}: why did it end?"),
            together,
        )
    if kind == "stopping" and life and life.stopped:
        return Verdict(
            "app-closes-on-sigterm",
            0.9,
            f"The application of {resource} closes its port as soon as it is told to stop, while callers still send",
            (Resource(resource.kind, resource.namespace, resource.name, "spec.template.spec.containers[].lifecycle"),),
            (
                said,
                Evidence(f"{ref} was told to stop at {clock(life.stopped)} UTC", mesh.file("Event"), str(ref)),
            ),
            remedy(
                "Let the application finish for some seconds after SIGTERM (preStop: sleep), longer than callers need.",
                "lifecycle:\n  preStop:\n    sleep:\n      seconds: 10",
            ),
            together,
        )
    if kind == "starting" and life and life.ready is not None:
        pods = listed(str(application_of(mesh, seen) or seen.pod) for seen in lines)
        return Verdict(
            "ready-before-listening",
            0.95,
            f"Pods of {resource} are Ready before the application listens on port {port}",
            (
                Resource(
                    resource.kind, resource.namespace, resource.name, "spec.template.spec.containers[].readinessProbe"
                ),
            ),
            (
                said,
                Evidence(
                    f"{ref} was Ready at {clock(life.ready)} UTC and answered later; refusals: {pods}",
                    mesh.file("Pod"),
                    str(ref),
                ),
            ),
            remedy(f"Give {resource} a readinessProbe (or startupProbe) that asks the application itself."),
            together,
        )
    return _nothing_listens(case, mesh, resource, (ref, port or 0), lines, said)


def _nothing_listens(
    case: Case, mesh: MeshIndex, resource: Resource, where: tuple[PodRef, int], lines: tuple[Seen, ...], said: Evidence
) -> Verdict:
    ref, port = where
    service = blame.of_service(case.destination, "spec.ports[].targetPort")
    pod = mesh.pods.get(ref)
    declared = (
        {entry.container_port for container in pod.spec.containers for entry in container.ports} if pod else set()
    )
    resources = (
        (service, resource) if service and port not in declared else (resource, *((service,) if service else ()))
    )
    blamed = resources[0]
    # A declared port that a young pod refuses may still be opened: the application is only slow to start.
    life = mesh.derived(Lives).by_ref.get(ref)
    age = (lines[-1].start or 0.0) - life.ready if life and life.ready is not None else None
    young = port in declared and age is not None and age < SLOW_START_SECONDS
    ports = listed(str(number) for number in sorted(declared)) or "none"
    return Verdict(
        "nothing-listens-on-target-port",
        CONFIGURATION_ONLY if young else 0.95,
        f"Nothing listens on port {port}, to which {blamed} sends"
        if blamed is service
        else f"{resource} does not listen on port {port}",
        resources,
        (said, Evidence(f"the containers declare {ports}", mesh.file("Pod"), str(ref))),
        remedy(f"Set targetPort of {service or resource} to the port that the application listens on (on 0.0.0.0)."),
        case.together(lines),
    )


def _stalled(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...]) -> Finding:
    owner = blame.of_workload(mesh.workload(lines[-1].pod))
    pods = dict.fromkeys(seen.pod for seen in lines)
    if len(lines) < 2:
        return inconclusive("one connection to the application timed out", lines_say(lines, logged(lines[0])))
    return culprit(
        Verdict(
            "app-stalled",
            0.93,
            f"The application of {owner} no longer accepts connections, though its pod runs",
            (owner,),
            (lines_say(lines, f"{logged(lines[-1])} in {counted(len(pods), 'pod')}"),),
            remedy(
                f"See what blocks {owner} (threads, a full queue, CPU throttling); restarting it mends it for a while."
            ),
            case.together(lines),
        )
    )


PROBE = Probe(
    "application-connect",
    "Does the application accept connections?",
    (
        "nothing-listens-on-target-port",
        "ready-before-listening",
        "app-crashed",
        "app-closes-on-sigterm",
        "app-stalled",
        "local-resource-exhausted",
    ),
    examine,
)
