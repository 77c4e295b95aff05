"""Did the application itself answer with the error, and do retries multiply it?

`via_upstream` without a flag at the server.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdoctor.mesh import blame
from meshdoctor.mesh.ambient import is_waypoint, waypoint_of
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
from meshdoctor.mesh.flows import Flows
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Lives, PodLife
from meshdoctor.mesh.passed_on import passed_on
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, remedy
from meshdoctor.mesh.traffic import SERVER, Seen
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.envoy.address import split_address
from meshdoctor.model.pods import has_proxy
from meshdoctor.model.snapshot import Want
from meshdoctor.model.wants import ProxyConfig

RESET = "reset reason: "
"""In the body of Envoy's own answer to a connection that failed or ended (`upstream connect error or disconnect/…`)."""
STORM_RETRIES = 3
"""Istio retries twice by default; from here on somebody asked for more."""
STORM_FACTOR = 3.0
"""Failing tries at the server per failing request at the caller."""


def examine(case: Case, mesh: MeshIndex) -> Finding:
    served = tuple(seen for seen in case.server_lines if _is_own(seen))
    asked = tuple(seen for seen in case.caller_lines if _is_own(seen))
    if not served and not asked:
        return _between_nobody(case, mesh) or not_applicable("no application answered with an error")
    if served:
        storm = _storm(mesh, served, asked)
        return culprit(_answered(case, mesh, served, storm), *storm)
    return _stopped_meanwhile(case, mesh, asked) or _without_server(mesh, asked)


def _is_own(seen: Seen) -> bool:
    line = seen.access
    return line is not None and line.details == "via_upstream" and line.code >= 500 and line.primary_flag is None


def _answered(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...], storm: list[Verdict]) -> Verdict:
    owners = dict.fromkeys(blame.of_workload(mesh.workload(seen.pod)) for seen in lines)
    codes = listed(sorted({str(seen.access.code) for seen in lines if seen.access}))
    good = sum(not seen.failed for seen in case.seen if seen.side == SERVER)
    share = f"; {good} other requests were answered well" if good else ""
    calls = passed_on(mesh, lines, mesh.derived(Flows).seen)
    onward = [f"while it worked on them, its own calls to {calls[-1].destination} failed"] if calls else []
    return Verdict(
        "app-returned-error",
        # What an application only passes on is mended elsewhere.
        CONFIGURATION_ONLY if calls else 0.96,
        f"{listed(str(one) for one in owners)} itself answers {codes}",
        (*owners, *(resource for verdict in storm for resource in verdict.resources)),
        (
            lines_say(lines, f"{logged(lines[-1])} at the server's sidecar: the application wrote this status{share}"),
            *(Evidence(one, calls[-1].file, f"line {calls[-1].line}") for one in onward),
        ),
        remedy(f"Read the application log of {next(iter(owners))} at these times; the mesh only passed its answer on."),
        case.together(lines),
    )


def _storm(mesh: MeshIndex, served: tuple[Seen, ...], asked: tuple[Seen, ...]) -> list[Verdict]:
    exhausted = tuple(seen for seen in asked if seen.access and "URX" in seen.access.flags)
    if not exhausted:
        return []
    routes = [route for route in blame.routes_for(mesh, exhausted[-1]) if route.route and route.route.retry_policy]
    retries = max(
        (route.route.retry_policy.num_retries or 1 for route in routes if route.route and route.route.retry_policy),
        default=0,
    )
    factor = len(served) / len(asked)
    owners = [owner for route in routes if (owner := blame.of_route(route, "spec.http[].retries", mesh))]
    if retries < STORM_RETRIES or factor < STORM_FACTOR or not owners:
        return []
    return [
        Verdict(
            "retry-storm",
            0.9,
            f"{owners[0]} retries {retries} times: the application gets {factor:.0f} failing requests for each "
            "one asked",
            tuple(dict.fromkeys(owners)),
            (
                lines_say(exhausted, logged(exhausted[-1])),
                Evidence(
                    f"{len(served)} failing tries at the server for {len(asked)} failing requests",
                    served[-1].file,
                    f"line {served[-1].line}",
                ),
            ),
            remedy(f"Retry at most twice in {owners[0]}, and only what can succeed the second time."),
            exhausted,
        )
    ]


def _between_nobody(case: Case, mesh: MeshIndex) -> Finding | None:
    """HTTP answers to a caller that no proxy which reads HTTP stands before: then the application wrote them.

    ztunnel carries connections and never answers by itself.
    """
    lines = tuple(seen for seen in case.calls if seen.call and seen.call.status >= 500)
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    if not lines or service is None or not mesh.complete("Pod", *case.namespaces) or waypoint_of(mesh, service):
        return None
    servers = mesh.selected_pods(service)
    callers = [mesh.pods.get(seen.pod) for seen in lines]
    proxied = any(one is None or has_proxy(one) for one in (*callers, *servers))
    if proxied or not servers or case.proxied or any(is_waypoint(pod) or _is_gateway(mesh, pod) for pod in servers):
        return None
    owners = tuple(dict.fromkeys(blame.of_workload(mesh.workload(pod.ref)) for pod in servers))
    codes = listed(sorted({str(seen.call.status) for seen in lines if seen.call}))
    return culprit(
        Verdict(
            "app-returned-error",
            0.85,
            f"{listed(str(one) for one in owners)} itself answers {codes}",
            owners,
            (
                lines_say(lines, logged(lines[-1])[:120]),
                Evidence("no proxy that reads HTTP is on the way: no sidecar, no waypoint", mesh.file("Pod")),
            ),
            remedy(f"Read the application log of {owners[0]} at these times."),
            lines,
        )
    )


def _is_gateway(mesh: MeshIndex, pod: k8s.Pod) -> bool:
    return mesh.is_gateway(pod.ref)


def _stopped_meanwhile(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...]) -> Finding | None:
    """Errors from pods that were being stopped and left no log: the body tells what their sidecars saw."""
    lives = mesh.derived(Lives)
    logs = {seen.pod for seen in case.seen if seen.side == SERVER}
    found: list[tuple[Seen, PodLife]] = []
    for seen in lines:
        life = lives.of_address(seen.upstream[0], seen.start)
        ended = (seen.start or 0.0) + (seen.duration or 0.0) / 1000
        if life and life.ref not in logs and life.is_stopping(ended + 1.0):
            found.append((seen, life))
    bodies = [seen for seen in case.calls if seen.call and RESET in seen.call.error]
    reset = tuple(
        seen for seen, _ in found if any(abs((one.start or 0.0) - (seen.start or 0.0)) <= 1.0 for one in bodies)
    )
    if len(reset) < 2 or len(reset) < len(lines) / 2:
        return None
    life = found[-1][1]
    owner = blame.of_workload(life.workload, "spec.template.spec.containers[].lifecycle")
    return culprit(
        Verdict(
            "app-closes-on-sigterm",
            0.86,
            f"The application of {owner} exits at SIGTERM while callers still send",
            (owner,),
            (
                lines_say(reset, logged(reset[-1])),
                Evidence(
                    "the body is of the server's sidecar: its connection to the application ended", bodies[-1].file
                ),
                Evidence(f"{life.ref} was being stopped, and left no log", mesh.file("Event"), str(life.ref)),
            ),
            remedy(
                "Finish open requests after SIGTERM, and give callers time to leave (preStop: sleep).",
                "lifecycle:\n  preStop:\n    sleep:\n      seconds: 10",
            ),
            (*reset, *bodies),
        )
    )


def _without_server(mesh: MeshIndex, lines: tuple[Seen, ...]) -> Finding:
    """No line of the server's: either it has no sidecar (then the answer is the application's), or its log is
    missing.
    """
    addresses = {split_address(seen.access.upstream_host)[0] for seen in lines if seen.access}
    pods = [pod for address in addresses if (pod := mesh.pod_by_ip(address))]
    evidence = lines_say(lines, logged(lines[-1]))
    if not pods or any(has_proxy(pod) for pod in pods):
        return inconclusive("the next hop answered with an error, and its own log says nothing of it", evidence)
    owners = tuple(dict.fromkeys(blame.of_workload(mesh.workload(pod.ref)) for pod in pods))
    return culprit(
        Verdict(
            "app-returned-error",
            0.8,
            f"{listed(str(one) for one in owners)} itself answers with an error",
            owners,
            (
                evidence,
                Evidence("its pods have no sidecar, so nobody else can have answered", mesh.file("Pod"), pods[0].key),
            ),
            remedy(f"Read the application log of {owners[0]} at these times."),
            lines,
        )
    )


def needs(case: Case, mesh: MeshIndex) -> Iterable[Want[Any]]:
    return [ProxyConfig(seen.pod) for seen in case.caller_lines[-1:] if _is_own(seen)]


PROBE = Probe(
    "application-answer",
    "Did the application itself answer with the error?",
    ("app-returned-error", "retry-storm", "app-closes-on-sigterm"),
    examine,
    needs,
)
