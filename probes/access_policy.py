"""Did a policy refuse the request?

RBAC 403, JWT 401, ext_authz; the answers of filters at the server's proxy or a gateway.
"""

from __future__ import annotations

from meshdoctor.mesh.applying import applying
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import (
    CONFIGURATION_ONLY,
    Finding,
    Resource,
    Verdict,
    culprit,
    inconclusive,
    merged,
    not_applicable,
)
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.mended import by_flag
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, object_says, remedy
from meshdoctor.mesh.traffic import Seen
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.accesslog import parse_details
from meshdoctor.model.accesslog_details import rbac_rule
from meshdoctor.model.labels import GATEWAY_NAME, selects, selects_some
from meshdoctor.model.snapshot import PodRef

RBAC = "rbac_access_denied_matched_policy"
BAD_CUSTOM = "bad-CUSTOM-action"
"""Part of the rule by which istiod denies everything where a CUSTOM policy names an unknown provider."""
FEW = 10
"""Requests of somebody who is no pod of the mesh: fewer than these are what a policy is there for."""


def examine(case: Case, mesh: MeshIndex) -> Finding:
    groups = {
        "rbac": tuple(
            seen
            for seen in case.failures
            if seen.access
            and (seen.access.details or "").startswith(RBAC)
            and BAD_CUSTOM not in (seen.access.details or "")
        ),
        "jwt": tuple(
            seen for seen in case.failures if seen.access and (seen.access.details or "").startswith("jwt_authn")
        ),
        "ext": tuple(
            seen
            for seen in case.failures
            if seen.access and ("UAEX" in seen.access.flags or BAD_CUSTOM in (seen.access.details or ""))
        ),
    }
    if not any(groups.values()):
        return not_applicable("no policy refused a request")
    findings = [_of_kind(case, mesh, kind, lines) for kind, lines in groups.items() if lines]
    return merged(findings)


def _of_kind(case: Case, mesh: MeshIndex, kind: str, lines: tuple[Seen, ...]) -> Finding:
    if kind == "rbac":
        verdict, cause, of = denied(case, mesh, lines), "authorization-denied", "AuthorizationPolicy"
    elif kind == "jwt":
        verdict, cause, of = _token(mesh, lines), "jwt-rejected", "RequestAuthentication"
    else:
        verdict, cause, of = _external(mesh, lines), "ext-authz-failed", "AuthorizationPolicy"
    if verdict is None and _is_stranger(case, mesh, lines[-1]) and len(lines) < FEW:
        return inconclusive("a policy refused a few requests of somebody who is no pod of the mesh")
    return culprit(verdict) if verdict else by_flag(case, mesh, cause, lines, (of,), "a policy refused the requests")


def policies(
    mesh: MeshIndex, pod: PodRef, action: str, service: tuple[str, str] | None = None
) -> list[istio.AuthorizationPolicy]:
    """The AuthorizationPolicies with *action* that apply to a pod: those that select it (in its namespace and the root
    namespace), and those that target the Gateway whose proxy it is, or the *service* behind that (a waypoint).
    """
    found = mesh.pods.get(pod)
    labels = found.metadata.labels if found else {}
    gateway = (pod.namespace, labels.get(GATEWAY_NAME, "")) if labels.get(GATEWAY_NAME) else None

    def applies(policy: istio.AuthorizationPolicy) -> bool:
        refs = [*policy.spec.target_refs, *([policy.spec.target_ref] if policy.spec.target_ref else [])]
        if refs:
            aims = {"Gateway": gateway, "Service": service if gateway else None}
            return any(aims.get(ref.kind) == (policy.namespace, ref.name) for ref in refs)
        namespaces = (pod.namespace, mesh.mesh_config.root_namespace)
        wanted = policy.spec.selector.all_labels if policy.spec.selector else {}
        return policy.namespace in namespaces and selects(wanted, labels)

    return [
        policy
        for policy in mesh.objects("AuthorizationPolicy", istio.AuthorizationPolicy)
        if policy.spec.action == action and applies(policy)
    ]


def _provider(mesh: MeshIndex, name: str) -> tuple[Resource, ...]:
    """The Service of an extension provider of the mesh config, and the workload behind it."""
    entry = next((one for one in mesh.mesh_config.extension_providers if one.get("name") == name), {})
    settings = [value for key, value in entry.items() if key.startswith("envoyExtAuthz") and isinstance(value, dict)]
    hosts = [str(value.get("service", "")).rpartition("/")[2] for value in settings]
    services = [service for host in hosts if (service := mesh.service_by_host(host))]
    owners = {
        kind.key: Resource(kind.kind or "Deployment", kind.namespace, kind.name)
        for service in services
        for kind in mesh.objects("Deployment", k8s.Workload)
        if kind.namespace == service.namespace
        and selects_some(service.spec.selector, kind.spec.template.metadata.labels)
    }
    return (*(Resource("Service", one.namespace, one.name) for one in services), *owners.values())


def denied(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...]) -> Verdict | None:
    newest = lines[-1]
    line = newest.access
    text = (line.details or line.termination or "") if line else ""
    rule = rbac_rule(text)
    if rule:
        resources = [Resource("AuthorizationPolicy", rule.namespace, rule.policy, f"spec.rules[{rule.rule}]")]
        says = f"{resources[0]} denies it: rule {rule.rule} matches"
        fix = f"Narrow rule {rule.rule} of {resources[0]}."
    else:
        allowing, denying = (
            policies(mesh, newest.pod, action, case.destination.service) for action in ("ALLOW", "DENY")
        )
        # The body of the answer, where it is all that was read, does not tell which of the two refused.
        found = allowing if "[" in text else [*denying, *allowing]
        resources = [Resource("AuthorizationPolicy", policy.namespace, policy.name, "spec.rules") for policy in found]
        who = str(case.client) if case.client else "the caller"
        named = listed(str(one) for one in resources)
        says = f"{named} denies {who}" if found[:1] == denying[:1] and found else f"No rule of {named} allows {who}"
        fix = f"Add {who} (its principal, method or path) to the rules of {listed(str(one) for one in resources)}."
    if not resources:
        return None
    stranger = _is_stranger(case, mesh, newest)
    objects = {policy.key: policy for policy in mesh.objects("AuthorizationPolicy", istio.AuthorizationPolicy)}
    shown = [
        object_says(mesh, "AuthorizationPolicy", objects[key], f"action {objects[key].spec.action}")
        for one in resources
        if (key := f"{one.namespace}/{one.name}") in objects
    ]
    return Verdict(
        "authorization-denied",
        CONFIGURATION_ONLY if stranger and len(lines) < FEW else 0.98,
        says,
        tuple(resources),
        (lines_say(lines, f"{logged(newest)} {text if line and line.termination else ''}".strip()), *shown),
        remedy(fix),
        case.together(lines),
    )


def _is_stranger(case: Case, mesh: MeshIndex, seen: Seen) -> bool:
    """Whether the caller is no pod that was recorded; a gateway stands in for the callers that it does not know."""
    return case.client is None or (case.client == mesh.workload(seen.pod) and mesh.is_gateway(seen.pod))


def _token(mesh: MeshIndex, lines: tuple[Seen, ...]) -> Verdict | None:
    newest = lines[-1]
    pod = mesh.pods.get(newest.pod)
    labels = pod.metadata.labels if pod else {}
    found = [
        policy
        for policy in mesh.objects("RequestAuthentication", istio.RequestAuthentication)
        if policy.namespace in (newest.pod.namespace, mesh.mesh_config.root_namespace)
        and selects(policy.spec.selector.all_labels if policy.spec.selector else {}, labels)
    ]
    if not found:
        return None
    details = parse_details((newest.access.details or "") if newest.access else "")
    reason = (details.reason or "").replace("_", " ")
    resources = tuple(Resource("RequestAuthentication", one.namespace, one.name, "spec.jwtRules") for one in found)
    return Verdict(
        "jwt-rejected",
        0.98,
        f"{resources[0]} rejects the caller's token: {reason or 'it is not valid'}",
        resources,
        (
            lines_say(lines, logged(newest)),
            object_says(mesh, "RequestAuthentication", found[0], "selects this workload"),
        ),
        remedy(f"Send a valid token ({reason}), or correct issuer, audiences and jwksUri in {resources[0]}."),
        lines,
    )


def _by_filter(mesh: MeshIndex, lines: tuple[Seen, ...]) -> Verdict | None:
    """External authorization that an EnvoyFilter adds."""
    filters = tuple(
        Resource("EnvoyFilter", one.namespace, one.name, "spec.configPatches")
        for one in applying(mesh, lines[-1].pod, "EnvoyFilter", ("ext_authz",))
    )
    if not filters:
        return None
    return Verdict(
        "ext-authz-failed",
        0.93,
        f"The external authorization that {filters[0]} adds refused the request, or could not be asked",
        filters,
        (lines_say(lines, logged(lines[-1])),),
        remedy(f"See what the authorization service of {filters[0]} answers, and whether its cluster has an endpoint."),
        lines,
    )


def _external(mesh: MeshIndex, lines: tuple[Seen, ...]) -> Verdict | None:
    newest = lines[-1]
    found = policies(mesh, newest.pod, "CUSTOM")
    if not found:
        return _by_filter(mesh, lines)
    failed = newest.access is not None and newest.access.details == "ext_authz_error"
    provider = str((found[0].spec.provider or {}).get("name", ""))
    resources = tuple(Resource("AuthorizationPolicy", one.namespace, one.name, "spec.provider") for one in found)
    bad = BAD_CUSTOM in ((newest.access.details or "") if newest.access else "")
    did = "is not known to istiod" if bad else "could not be asked" if failed else "denied the request"
    resources += _provider(mesh, provider)
    return Verdict(
        "ext-authz-failed",
        0.97,
        f"The external authorization service {provider} of {resources[0]} {did}",
        resources,
        (lines_say(lines, logged(newest)), object_says(mesh, "AuthorizationPolicy", found[0], f"provider {provider}")),
        remedy(
            f"See why {provider} does not answer (its pods, its Service, extensionProviders in the mesh config)."
            if failed or bad
            else f"Ask {provider} why it denies; the mesh only passes its answer on."
        ),
        lines,
    )


PROBE = Probe(
    "access-policy",
    "Did a policy refuse the request?",
    ("authorization-denied", "jwt-rejected", "ext-authz-failed"),
    examine,
)
