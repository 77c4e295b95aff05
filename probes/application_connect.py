"""Does the application accept the sidecar's connection? (UF on an inbound cluster: refused, or no answer to the SYN)"""

from __future__ import annotations

from meshdoctor.mesh import blame
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
from meshdoctor.mesh.index import MeshIndex, Workload
from meshdoctor.mesh.lifecycle import Lives, PodLife
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import counted, lines_say, listed, logged, remedy
from meshdoctor.mesh.traffic import SERVER, Seen
from meshdoctor.model.moment import clock

START_SECONDS = 90.0
"""A refusal this soon after the pod became Ready is its start; later, something else."""
SLOW_START_SECONDS = 30.0
"""A pod that has been Ready for less than this may just be starting."""
CRASH_SECONDS = 20.0
"""A refusal this soon after the application ended is its restart."""


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = tuple(
        seen
        for seen in case.server_lines
        if seen.access and seen.access.primary_flag == "UF" and seen.cluster and seen.cluster.inbound
    )
    if not lines:
        return not_applicable("every connection to the application was accepted")
    if not mesh.known("Pod"):
        return inconclusive(
            "the application refuses connections; the pods could not be read", lines_say(lines, logged(lines[-1]))
        )
    timeouts = tuple(seen for seen in lines if "connection_timeout" in ((seen.access and seen.access.details) or ""))
    if timeouts:
        return _stalled(case, mesh, timeouts)
    verdicts = []
    lives = mesh.derived(Lives)
    groups: dict[tuple[Workload, str], list[Seen]] = {}
    for seen in lines:
        groups.setdefault((mesh.workload(seen.pod), _kind(case, lives.by_ref.get(seen.pod), seen)), []).append(seen)
    for (owner, kind), group in groups.items():
        verdicts.append(_verdict(case, mesh, owner, kind, tuple(group)))
    return culprit(*verdicts)


def _kind(case: Case, life: PodLife | None, seen: Seen) -> str:
    """Which moment of the pod's life the refusal falls in."""
    moment = seen.start or 0.0
    if life is None:
        return "listens"
    if life.is_stopping(moment):
        return "stopping"
    if any(exit.at is not None and -2.0 <= moment - exit.at <= CRASH_SECONDS for exit in life.crashes()):
        return "crashed"
    later = [
        good
        for good in case.seen
        if good.side == SERVER and good.pod == seen.pod and not good.failed and (good.start or 0.0) > moment
    ]
    if life.ready is not None and moment - life.ready <= START_SECONDS and later:
        return "starting"
    return "listens"


def _verdict(case: Case, mesh: MeshIndex, owner: Workload, kind: str, lines: tuple[Seen, ...]) -> Verdict:
    resource = blame.of_workload(owner)
    newest = lines[-1]
    port = newest.cluster.port if newest.cluster else 0
    said = lines_say(lines, f"{logged(newest)} on inbound port {port}")
    together = case.together(lines)
    lives = mesh.derived(Lives)
    life = lives.by_ref.get(newest.pod)
    if kind == "crashed" and life:
        ends = listed(f"{exit.container} ended with {exit.reason} {exit.code}" for exit in life.crashes())
        return Verdict(
            "app-crashed",
            0.96,
            f"The application of {resource} crashes and refuses connections until it is back",
            (resource,),
            (said, Evidence(ends, mesh.file("Pod"), str(newest.pod))),
            remedy(f"Read kubectl logs --previous of {newest.pod}: why did it end?"),
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
                Evidence(
                    f"{newest.pod} was told to stop at {clock(life.stopped)} UTC", mesh.file("Event"), str(newest.pod)
                ),
            ),
            remedy(
                "Let the application finish for some seconds after SIGTERM (preStop: sleep), longer than callers need.",
                "lifecycle:\n  preStop:\n    sleep:\n      seconds: 10",
            ),
            together,
        )
    if kind == "starting" and life and life.ready is not None:
        pods = listed(str(pod) for pod in dict.fromkeys(seen.pod for seen in lines))
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
                    f"{newest.pod} was Ready at {clock(life.ready)} UTC and answered later; refusals: {pods}",
                    mesh.file("Pod"),
                    str(newest.pod),
                ),
            ),
            remedy(f"Give {resource} a readinessProbe (or startupProbe) that asks the application itself."),
            together,
        )
    return _nothing_listens(case, mesh, resource, port or 0, lines, said)


def _nothing_listens(
    case: Case, mesh: MeshIndex, resource: Resource, port: int, lines: tuple[Seen, ...], said: Evidence
) -> Verdict:
    service = blame.of_service(case.destination, "spec.ports[].targetPort")
    pod = mesh.pods.get(lines[-1].pod)
    declared = (
        {entry.container_port for container in pod.spec.containers for entry in container.ports} if pod else set()
    )
    resources = (
        (service, resource) if service and port not in declared else (resource, *((service,) if service else ()))
    )
    blamed = resources[0]
    # A declared port that a young pod refuses may still be opened: the application is only slow to start.
    life = mesh.derived(Lives).by_ref.get(lines[-1].pod)
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
        (said, Evidence(f"the containers declare {ports}", mesh.file("Pod"), str(lines[-1].pod))),
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
    ("nothing-listens-on-target-port", "ready-before-listening", "app-crashed", "app-closes-on-sigterm", "app-stalled"),
    examine,
)
