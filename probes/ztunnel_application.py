"""Does the application accept the connections that its own ztunnel makes to it?"""

from __future__ import annotations

from typing import NamedTuple

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Lives, PodLife
from meshdoctor.mesh.owners import Workload
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, remedy
from meshdoctor.mesh.traffic import Seen
from meshdoctor.mesh.ztunnel.failures import REFUSED, ended, explained, failures
from meshdoctor.mesh.ztunnel.tunnels import target_pod
from meshdoctor.model.envoy.address import split_address
from meshdoctor.model.moment import clock
from meshdoctor.model.snapshot import PodRef

START_SECONDS = 90.0
"""A refusal this soon after the pod became Ready, with answers later, is its start."""
CRASH_SECONDS = 20.0
"""A refusal this soon after the application ended is its restart."""


class _Group(NamedTuple):
    """Refusals of one workload's port in one moment of its pods' lives."""

    owner: Workload
    port: int
    moment: str


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = failures(case, REFUSED)
    if not lines:
        return not_applicable("no application refused a connection of ztunnel")
    groups: dict[_Group, list[Seen]] = {}
    lost: list[Seen] = []
    for seen in lines:
        ref = target_pod(mesh, seen.tunnel) if seen.tunnel else None
        if ref is None:
            lost.append(seen)
            continue
        groups.setdefault(_Group(mesh.workload(ref), _port(seen), _moment(case, mesh, ref, seen)), []).append(seen)
    findings = [_conclude(case, mesh, group, tuple(found)) for group, found in groups.items()]
    verdicts = [verdict for finding in findings for verdict in finding.verdicts]
    if verdicts:
        return culprit(*verdicts)
    said = lines_say(lines, logged(lines[-1]))
    return findings[-1] if findings else inconclusive("the pod that refused the connections is not known", said)


def _port(seen: Seen) -> int:
    """The port of the application itself."""
    line = seen.tunnel
    return split_address((line.dst_hbone_addr or line.dst_addr) if line else None)[1]


def _moment(case: Case, mesh: MeshIndex, ref: PodRef, seen: Seen) -> str:
    """Which moment of the pod's life a refusal falls in."""
    life, moment = mesh.derived(Lives).by_ref.get(ref), seen.start or 0.0
    if life is None:
        return "running"
    if life.is_stopping(moment):
        return "stopping"
    if any(exit.at is not None and -2.0 <= moment - exit.at <= CRASH_SECONDS for exit in life.crashes()):
        return "crashed"
    if life.ready is not None and moment - life.ready <= START_SECONDS and _answers(case, mesh, ref, seen):
        return "starting"
    return "running"


def _answers(case: Case, mesh: MeshIndex, ref: PodRef, refused: Seen) -> bool:
    """Whether the same pod accepted a connection to the same port later."""
    return any(
        seen.tunnel
        and not seen.failed
        and (seen.start or 0.0) > (refused.start or 0.0)
        and _port(seen) == _port(refused)
        and target_pod(mesh, seen.tunnel) == ref
        for seen in case.seen
    )


def _conclude(case: Case, mesh: MeshIndex, group: _Group, lines: tuple[Seen, ...]) -> Finding:
    said = lines_say(lines, f"{logged(_clearest(lines))}, port {group.port}")
    newest = lines[-1]
    ref = target_pod(mesh, newest.tunnel) if newest.tunnel else None
    life = mesh.derived(Lives).by_ref.get(ref) if ref else None
    if group.moment == "crashed" and life:
        return culprit(_crashed(case, mesh, group, life, lines, said))
    if group.moment == "starting" and life:
        return culprit(_starting(case, mesh, group, life, lines, said))
    if group.moment == "stopping":
        return inconclusive(f"pods of {group.owner} were being stopped while callers still sent to them", said)
    if ended(case, lines) or (ref and _answers(case, mesh, ref, newest)):
        return inconclusive(f"{group.owner} refused connections to port {group.port} for a while", said)
    if ref not in mesh.pods or len(lines) < 2:
        return inconclusive(f"{group.owner} refused {len(lines)} connections; its pod is gone", said)
    return culprit(_nothing_listens(case, mesh, group, lines, said))


def _clearest(lines: tuple[Seen, ...]) -> Seen:
    """The newest line of the server's ztunnel, which has the reason; the caller's has only a status."""
    inbound = [seen for seen in lines if seen.tunnel and seen.tunnel.direction == "inbound"]
    return (inbound or list(lines))[-1]


def _crashed(
    case: Case, mesh: MeshIndex, group: _Group, life: PodLife, lines: tuple[Seen, ...], said: Evidence
) -> Verdict:
    resource = blame.of_workload(group.owner)
    ends = listed(f"{exit.container} ended with {exit.reason} {exit.code}" for exit in life.crashes())
    return Verdict(
        "app-crashed",
        0.95,
        f"The application of {resource} crashes and refuses connections until it is back",
        (resource,),
        (said, Evidence(ends, mesh.file("Pod"), str(life.ref))),
        remedy(f"Read kubectl logs --previous of {life.ref}: why did it end?"),
        explained(case, lines),
    )


def _starting(
    case: Case, mesh: MeshIndex, group: _Group, life: PodLife, lines: tuple[Seen, ...], said: Evidence
) -> Verdict:
    resource = blame.of_workload(group.owner, "spec.template.spec.containers[].readinessProbe")
    ready = f"{life.ref} was Ready at {clock(life.ready or 0.0)} UTC and answered later"
    return Verdict(
        "ready-before-listening",
        0.93,
        f"Pods of {resource} are Ready before the application listens on port {group.port}",
        (resource,),
        (said, Evidence(ready, mesh.file("Pod"), str(life.ref))),
        remedy(f"Give {resource} a readinessProbe (or startupProbe) that asks the application itself."),
        explained(case, lines),
    )


def _nothing_listens(case: Case, mesh: MeshIndex, group: _Group, lines: tuple[Seen, ...], said: Evidence) -> Verdict:
    service = blame.of_service(case.destination, "spec.ports[].targetPort")
    workload = blame.of_workload(group.owner)
    refs = [ref for seen in lines if seen.tunnel and (ref := target_pod(mesh, seen.tunnel))]
    pods = [mesh.pods[ref] for ref in refs if ref in mesh.pods]
    declared = {port.container_port for pod in pods for one in pod.spec.containers for port in one.ports}
    # A port that the containers declare is the application's fault; any other is the Service's.
    blamed: list[Resource] = [one for one in (service, workload) if one]
    if group.port in declared:
        blamed.reverse()
    ports = listed(str(port) for port in sorted(declared)) or "none"
    return Verdict(
        "nothing-listens-on-target-port",
        0.95,
        f"Nothing listens on port {group.port} of {workload}, to which {service or case.destination} sends",
        tuple(blamed),
        (said, Evidence(f"the containers declare {ports}", mesh.file("Pod"), pods[-1].key)),
        remedy(
            f"Set targetPort of {service or workload} to the port on which the application listens "
            "(on the pod's address, not on 127.0.0.1 alone)."
        ),
        explained(case, lines),
    )


PROBE = Probe(
    "ztunnel-application",
    "Does the application accept ztunnel's connections?",
    ("nothing-listens-on-target-port", "ready-before-listening", "app-crashed"),
    examine,
)
