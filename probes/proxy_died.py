"""Did the server's own sidecar die? (its container ended: out of memory, a crash; callers see UC, then UF)"""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Verdict, culprit, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Exit, Lives
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, logged, remedy
from meshdoctor.mesh.traffic import APPLICATION, Seen
from meshdoctor.model.pods import PROXY_CONTAINER

AROUND_SECONDS = 30.0
"""A sidecar that died is back after its restart and readiness: failures this long after belong to its death."""


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lives = mesh.derived(Lives)
    lines: list[Seen] = []
    death: Exit | None = None
    owner = None
    for seen in (*case.with_flag("UC", "UF"), *case.calls):
        if seen.side == APPLICATION:
            life = lives.by_ref.get(seen.pod)
        else:
            life = lives.of_address(seen.upstream[0], seen.start)
        ended = (seen.start or 0.0) + (seen.duration or 0.0) / 1000
        for exit in life.exits if life else ():
            near = exit.at is not None and -2.0 <= ended - exit.at <= AROUND_SECONDS
            if (
                exit.container == PROXY_CONTAINER
                and near
                and exit.code not in (0, 143)
                and life
                and not life.is_stopping(ended)
            ):
                lines.append(seen)
                death, owner = exit, life
    if death is None or owner is None:
        return not_applicable("no sidecar ended near the failures")
    resource = blame.of_workload(owner.workload)
    how = "ran out of memory" if death.reason == "OOMKilled" or death.code == 137 else f"ended with {death.code}"
    return culprit(
        Verdict(
            "proxy-overloaded",
            0.92,
            f"The sidecar of {resource} {how} while requests were open",
            (resource,),
            (
                lines_say(lines, logged(lines[-1])[:120]),
                Evidence(
                    f"{PROXY_CONTAINER} of {owner.ref} ended: {death.reason} {death.code}",
                    mesh.file("Pod"),
                    str(owner.ref),
                ),
            ),
            remedy(
                f"Give istio-proxy of {resource} more memory (sidecar.istio.io/proxyMemoryLimit), and a Sidecar scope."
            ),
            case.together(lines),
        )
    )


PROBE = Probe("proxy-died", "Did the server's sidecar die?", ("proxy-overloaded",), examine)
