"""Is there HTTP configuration for the Service that no waypoint acts on? (configuration only: no 503 by itself)"""

from __future__ import annotations

from collections.abc import Iterator

from meshdoctor.mesh import blame
from meshdoctor.mesh.ambient import is_captured, waypoint_of
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import (
    CONFIGURATION_ONLY,
    Evidence,
    Finding,
    Resource,
    Verdict,
    cleared,
    culprit,
    not_applicable,
)
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, remedy
from meshdoctor.mesh.unread_rules import Rule, acts_on, of_http_route, of_virtual_service
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s


def examine(case: Case, mesh: MeshIndex) -> Finding:
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    if service is None:
        return not_applicable("the destination is no Service that was read")
    refs = mesh.workloads.get(case.client, ()) if case.client else ()
    if not any(is_captured(mesh.pods[ref]) for ref in refs if ref in mesh.pods):
        return not_applicable("the caller's traffic does not go through ztunnel")
    waypoint = waypoint_of(mesh, service)
    if waypoint:
        return not_applicable(f"waypoint {waypoint} acts on HTTP configuration")
    found = (*_routes(mesh, service), *_virtual_services(case, mesh), *_policies(mesh, service))
    if not found:
        return cleared(f"no HTTP configuration waits for a waypoint of {service.key}")
    names = listed(str(one) for one in found)
    # What such a route would have sent elsewhere went to the Service itself, which answers what it does not know.
    answered = tuple(seen for seen in case.seen if seen.call and seen.call.status >= 400)
    missed = tuple(
        seen for seen in answered if any(acts_on(one, service, seen.path) for one in _rules(case, mesh, service))
    )
    return culprit(
        Verdict(
            "l7-config-without-waypoint",
            0.86 if missed else CONFIGURATION_ONLY - 0.05,
            f"{names} has no effect on calls from {case.client}: {service.key} has no waypoint",
            (*found, Resource("Service", service.namespace, service.name, "metadata.labels")),
            (
                Evidence("no label istio.io/use-waypoint on it or its namespace", mesh.file("Service"), service.key),
                Evidence("ztunnel carries connections and reads no HTTP"),
                *((lines_say(missed, logged(missed[-1])),) if missed else ()),
            ),
            remedy(
                f"Give {service.key} a waypoint: istioctl waypoint apply -n {service.namespace}, then label the "
                "Service with istio.io/use-waypoint=waypoint."
            ),
            missed,
        )
    )


def _rules(case: Case, mesh: MeshIndex, service: k8s.Service) -> Iterator[Rule]:
    for found in _mesh_services(case, mesh):
        for http in found.spec.http:
            matches = [one for one in http.match or [] if isinstance(one, dict)]
            yield of_virtual_service(found.namespace, matches, http)
    for kind in ("HTTPRoute", "GRPCRoute"):
        for route in mesh.objects(kind, istio.GenericObject):
            if any(
                _is(one, service, route.namespace)
                for one in route.spec.get("parentRefs") or []
                if isinstance(one, dict)
            ):
                yield from of_http_route(route)


def _routes(mesh: MeshIndex, service: k8s.Service) -> list[Resource]:
    """HTTPRoutes and GRPCRoutes whose parent is the Service."""
    found = []
    for kind in ("HTTPRoute", "GRPCRoute"):
        for route in mesh.objects(kind, istio.GenericObject):
            parents = [one for one in route.spec.get("parentRefs") or [] if isinstance(one, dict)]
            if any(_is(parent, service, route.namespace) for parent in parents):
                found.append(Resource(kind, route.namespace, route.name))
    return found


def _virtual_services(case: Case, mesh: MeshIndex) -> list[Resource]:
    """VirtualServices of the mesh (not of gateways alone) with HTTP routes for the Service."""
    return [blame.resource(one, "spec.http") for one in _mesh_services(case, mesh)]


def _mesh_services(case: Case, mesh: MeshIndex) -> Iterator[istio.VirtualService]:
    return blame.virtual_services(
        mesh,
        case.destination,
        lambda one: bool(one.spec.http) and (not one.spec.gateways or "mesh" in one.spec.gateways),
    )


def _policies(mesh: MeshIndex, service: k8s.Service) -> list[Resource]:
    """AuthorizationPolicies and RequestAuthentications that are attached to the Service."""
    found = []
    for kind, struct in (
        ("AuthorizationPolicy", istio.AuthorizationPolicy),
        ("RequestAuthentication", istio.RequestAuthentication),
    ):
        for policy in mesh.objects(kind, struct):
            spec = policy.spec  # type: ignore[attr-defined]
            targets = [*spec.target_refs, *([spec.target_ref] if spec.target_ref else [])]
            if policy.namespace == service.namespace and any(
                one.kind == "Service" and one.name == service.name for one in targets
            ):
                found.append(Resource(kind, policy.namespace, policy.name, "spec.targetRefs"))
    return found


def _is(parent: dict[str, object], service: k8s.Service, namespace: str) -> bool:
    return (
        parent.get("kind") == "Service"
        and parent.get("name") == service.name
        and parent.get("namespace", namespace) == service.namespace
    )


PROBE = Probe(
    "config-without-waypoint",
    "Does HTTP configuration miss a waypoint?",
    ("l7-config-without-waypoint",),
    examine,
)
