"""UT: which timeout ended the request? (`response_timeout`: the route's; `upstream_per_try_timeout`: of one try)"""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Verdict, culprit, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.mended import by_flag
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, object_says, remedy
from meshdoctor.model import istio
from meshdoctor.model.envoy.route import RouteAction
from meshdoctor.model.wants import ProxyConfig


def _has_timeout(found: istio.VirtualService) -> bool:
    return any(route.timeout or (route.retries or {}).get("perTryTimeout") for route in found.spec.http)


def _limit(action: RouteAction) -> str:
    """The timeout that a route sets, of the whole or of one try; "" for none (`0s` is no limit)."""
    one_try = action.retry_policy.per_try_timeout if action.retry_policy else None
    return next((value for value in (action.timeout, one_try) if value not in (None, "0s")), None) or ""


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = case.with_flag("UT")
    if not lines:
        return not_applicable("no request ran into a timeout of a route")
    newest = lines[-1]
    routes = [route for route in blame.routes_for(mesh, newest) if route.route and _limit(route.route)]
    owners = [owner for route in routes if (owner := blame.of_route(route, "spec.http[].timeout", mesh))]
    services = list(blame.virtual_services(mesh, case.destination, _has_timeout))
    resources = tuple(dict.fromkeys(owners or [blame.resource(found, "spec.http[].timeout") for found in services]))
    evidence = lines_say(lines, f"{logged(newest)} after {newest.duration or 0:.0f} ms")
    if not resources:
        what = f"a timeout of a route ended the requests after {newest.duration or 0:.0f} ms"
        return by_flag(case, mesh, "route-timeout", lines, ("VirtualService",), what)
    values = listed(dict.fromkeys(_limit(route.route) for route in routes if route.route))
    limit = f"timeout {values}" if values else "its timeout"
    return culprit(
        Verdict(
            "route-timeout",
            0.98,
            f"{resources[0]} gives up ({limit}) before {case.destination.host} has answered",
            resources,
            (
                evidence,
                *(object_says(mesh, "VirtualService", found, f"{found.key} sets a timeout") for found in services),
                *(
                    Evidence(
                        "the server saw the connection end: 0 DC downstream_remote_disconnect",
                        seen.file,
                        f"line {seen.line}",
                    )
                    for seen in case.server_lines[:1]
                ),
            ),
            remedy(f"Raise the timeout in {resources[0]} above what the answer takes, or make the answer faster."),
            case.together(lines),
        )
    )


PROBE = Probe(
    "timeout",
    "Which timeout ended the request?",
    ("route-timeout",),
    examine,
    lambda case, mesh: [ProxyConfig(seen.pod) for seen in case.with_flag("UT")[-1:]],
)
