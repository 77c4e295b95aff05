"""FI, DI: does a VirtualService inject the fault? (Envoy's fault filter; details `fault_filter_abort`.)"""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Finding, Resource, Verdict, culprit, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, object_says, remedy
from meshdoctor.mesh.traffic import Seen
from meshdoctor.model import istio
from meshdoctor.model.wants import ProxyConfig


def _injects(found: istio.VirtualService) -> bool:
    return any(route.fault for route in found.spec.http)


def _does(seen: Seen) -> str:
    return "aborts" if seen.access and "FI" in seen.access.flags else "delays"


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = tuple(seen for seen in case.failures if seen.access and {"FI", "DI"} & set(seen.access.flags))
    if not lines:
        return not_applicable("no line has the flag FI or DI")
    services = list(blame.virtual_services(mesh, case.destination, _injects))
    resources = [blame.resource(found, "spec.http[].fault") for found in services]
    if not resources:
        routes = [route for seen in lines[:1] for route in blame.routes_for(mesh, seen)]
        resources = [
            resource
            for route in routes
            if any("fault" in name for name in route.typed_per_filter_config)
            and (resource := blame.of_route(route, "spec.http[].fault", mesh))
        ]
    named = listed(str(resource) for resource in resources) or "a fault filter (the object that adds it was not found)"
    return culprit(
        Verdict(
            "fault-injected",
            0.99 if resources else 0.9,
            f"{named} injects the fault: Envoy {_does(lines[-1])} the request itself",
            tuple(resources) or (Resource("Pod", *lines[0].pod),),
            (
                lines_say(lines, logged(lines[0])),
                *(object_says(mesh, "VirtualService", found, f"{found.key} has a fault rule") for found in services),
            ),
            remedy(f"Remove the fault rule from {named}."),
            case.together(lines),
        )
    )


PROBE = Probe(
    "fault-injection",
    "Does a fault rule answer?",
    ("fault-injected",),
    examine,
    lambda case, mesh: [ProxyConfig(seen.pod) for seen in case.caller_lines[:1]],
)
