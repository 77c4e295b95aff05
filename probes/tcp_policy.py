"""A connection ended by a policy: can the policy see what it is about? (RBAC on a TCP filter chain)"""

from __future__ import annotations

from typing import Any

from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.flows import Flows
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.protocols import is_http, of_service_port
from meshdoctor.mesh.quoting import lines_say, object_says, remedy
from meshdoctor.model import istio
from meshdoctor.probes.access_policy import RBAC, denied, policies

HTTP_OPERATIONS = ("methods", "notMethods", "paths", "notPaths", "hosts", "notHosts")
HTTP_SOURCES = ("requestPrincipals", "notRequestPrincipals")


def uses_http(policy: istio.AuthorizationPolicy) -> bool:
    """Whether some rule asks for what only HTTP has; on a TCP port such a rule allows nothing (istiod's authz
    builder).
    """
    return any(_rule_uses_http(rule) for rule in policy.spec.rules or [])


def _rule_uses_http(rule: dict[str, Any]) -> bool:
    operations = [entry.get("operation") or {} for entry in rule.get("to") or []]
    sources = [entry.get("source") or {} for entry in rule.get("from") or []]
    keys = [str(entry.get("key", "")) for entry in rule.get("when") or []]
    return (
        any(name in operation for operation in operations for name in HTTP_OPERATIONS)
        or any(name in source for source in sources for name in HTTP_SOURCES)
        or any(key.startswith("request.") for key in keys)
    )


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = tuple(
        seen for seen in case.server_lines if seen.access and (seen.access.termination or "").startswith(RBAC)
    )
    if not lines:
        return not_applicable("no connection was ended by a policy")
    everything = (*lines, *case.caller_lines, *case.calls)
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    port = next((one for one in service.spec.ports if one.port == case.destination.port), None) if service else None
    http = [one for one in policies(mesh, lines[-1].pod, "ALLOW") if uses_http(one)]
    if service and port and http and not is_http(of_service_port(port)) and _carries_http(case, mesh):
        resource = Resource("Service", service.namespace, service.name, "spec.ports[].name")
        named = port.name or port.app_protocol or "without a name"
        return culprit(
            Verdict(
                "http-on-tcp-port",
                0.94,
                f"Port {port.port} ({named}) of {resource} is declared TCP but carries HTTP, so {http[0].key} "
                "cannot see "
                "methods and paths and denies every connection",
                (resource, *(Resource("AuthorizationPolicy", one.namespace, one.name, "spec.rules") for one in http)),
                (
                    lines_say(lines, f"connection ended: {lines[-1].access.termination if lines[-1].access else ''}"),
                    object_says(mesh, "Service", service, f"port {port.port} is named {named}"),
                    *(
                        object_says(mesh, "AuthorizationPolicy", one, "its rules ask for HTTP methods, paths or hosts")
                        for one in http
                    ),
                ),
                remedy(f"Name the port http-… (or set appProtocol: http) in {resource}."),
                everything,
            )
        )
    verdict = denied(case, mesh, lines)
    if verdict is None:
        return inconclusive(
            "a policy ended the connection, and no AuthorizationPolicy was found", Evidence("see the server's log")
        )
    return culprit(verdict)


def _carries_http(case: Case, mesh: MeshIndex) -> bool:
    """Whether some caller's own log shows HTTP to this port."""
    return any(
        seen.call and seen.call.url.startswith("http://") and seen.destination.key == case.destination.key
        for seen in mesh.derived(Flows).seen
    )


PROBE = Probe("tcp-policy", "Did a policy end the connection?", ("http-on-tcp-port", "authorization-denied"), examine)
