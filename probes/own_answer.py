"""Does a route answer by itself?

Details `direct_response`: VirtualService, HTTPRoute, or REGISTRY_ONLY's block_all.
"""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Finding, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.mended import by_flag
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, object_says, remedy
from meshdoctor.mesh.traffic import GATEWAY
from meshdoctor.model import istio
from meshdoctor.model.wants import ProxyConfig
from meshdoctor.probes.missing_route import MISDIRECTED

BLOCK_ALL = "block_all"
"""The route that istiod adds for REGISTRY_ONLY (pilot/pkg/networking/core/httproute.go)."""


def _answers(found: istio.VirtualService) -> bool:
    return any(route.direct_response or route.redirect for route in found.spec.http)


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = tuple(
        seen
        for seen in case.caller_lines
        if seen.access
        and seen.access.details == "direct_response"
        and seen.access.route_name != BLOCK_ALL
        and seen.access.code != MISDIRECTED
    )
    if not lines:
        return not_applicable("no line was answered by a route")
    routes = [route for route in blame.routes_for(mesh, lines[-1]) if route.direct_response or route.redirect]
    owners = [owner for route in routes if (owner := blame.of_route(route, mesh=mesh))]
    services = list(blame.virtual_services(mesh, case.destination, _answers))
    resources = owners or [blame.resource(found, "spec.http[].directResponse") for found in services]
    invalid = [owner for owner in resources if owner.kind in ("HTTPRoute", "GRPCRoute")]
    code = lines[-1].access.code if lines[-1].access else 0
    if invalid and code == 500:
        # Istio gives an HTTPRoute rule without a valid backend a direct response 500 (Gateway API).
        return culprit(
            Verdict(
                "route-backend-invalid",
                0.95,
                f"{invalid[0]} has no valid backend, so its route answers 500 by itself",
                tuple(invalid),
                (lines_say(lines, logged(lines[-1])),),
                remedy(f"Correct the backendRefs of {invalid[0]}; its status says which one was not resolved."),
                lines,
            )
        )
    if not resources:
        if code in (500, 502):  # what istiod's own routes answer, for other reasons
            return inconclusive("a route answered by itself, but the object that it comes from was not found")
        what = f"a route answered {code} by itself"
        return by_flag(case, mesh, "direct-response", lines, ("VirtualService",), what)
    named = listed(str(owner) for owner in resources)
    where = "the gateway" if lines[-1].side == GATEWAY else "the caller's sidecar"
    return culprit(
        Verdict(
            "direct-response",
            0.98,
            f"{named} makes {where} answer {code} itself; the request goes nowhere",
            tuple(dict.fromkeys(resources)),
            (
                lines_say(lines, logged(lines[-1])),
                *(object_says(mesh, "VirtualService", found, f"{found.key} answers directly") for found in services),
            ),
            remedy(f"Remove the direct response from {named}, or narrow its match."),
            lines,
        )
    )


PROBE = Probe(
    "own-answer",
    "Does a route answer by itself?",
    ("direct-response", "route-backend-invalid"),
    examine,
    lambda case, mesh: [ProxyConfig(seen.pod) for seen in case.caller_lines[:1]],
)
