"""NC: which cluster is missing, and was it only late? (`cluster_not_found`; the log never names the cluster)"""

from __future__ import annotations

from collections.abc import Iterable

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
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import config_says, lines_say, listed, logged, remedy
from meshdoctor.mesh.services import EXPORT_TO
from meshdoctor.mesh.traffic import Seen
from meshdoctor.mesh.visibility import exporter, is_exported
from meshdoctor.model import istio
from meshdoctor.model.moment import unix
from meshdoctor.model.names import parse_cluster_name
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.wants import ProxyConfig

PROPAGATION_SECONDS = 60.0
"""Failures that end this soon after the object was applied are its way to the proxies, not a wrong object."""
ENOUGH = 2
"""One NC can be the honest moment between two updates; it is not yet an incident."""


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = case.with_flag("NC")
    if not lines:
        return not_applicable("no request was sent to a missing cluster")
    if len(lines) < ENOUGH:
        return inconclusive(
            "a single NC: two objects may have been applied together", lines_say(lines, logged(lines[0]))
        )
    pod = lines[-1].pod
    config = mesh.config(pod)
    if config is None:
        return inconclusive("the proxy's configuration was not read, so the missing cluster is not known")
    routes = blame.routes_for(mesh, lines[-1])
    missing = {
        name: owner
        for route in routes
        if route.route
        for name in route.route.clusters
        if config.cluster(name) is None and (owner := blame.of_route(route, "spec.http[].route[].destination", mesh))
    }
    evidence = lines_say(lines, logged(lines[-1]))
    if missing:
        hidden = _hidden(mesh, missing, pod)
        if hidden:
            return _not_exported(hidden, missing, lines, evidence)
        return _missing(missing, lines, evidence, 0.97 if _services_known(mesh, missing) else CONFIGURATION_ONLY)
    if case.is_over(lines):
        return _late(case, mesh, lines, evidence)
    return inconclusive("every cluster that the routes name exists now", evidence)


def _services_known(mesh: MeshIndex, missing: Iterable[str]) -> bool:
    """Whether the Services of the missing clusters would have been read: one that is there may not be exported."""
    names = (parse_cluster_name(name) for name in missing)
    hosts = [name.host or "" for name in names if not name.subset]
    return all(
        not mesh.in_part("Service") or mesh.known("Service", host.split(".")[1]) for host in hosts if "." in host
    )


def _hidden(mesh: MeshIndex, missing: dict[str, Resource], pod: PodRef) -> list[Resource]:
    """The Services behind the missing clusters that are not exported to the caller's namespace."""
    named = [mesh.service_by_host(parse_cluster_name(name).host or "") for name in missing]
    return [
        resource
        for one in named
        if one and not is_exported(mesh, one, pod.namespace)
        for resource in exporter(mesh, one)
    ]


def _not_exported(
    hidden: list[Resource], missing: dict[str, Resource], lines: tuple[Seen, ...], evidence: Evidence
) -> Finding:
    owners, absent = tuple(dict.fromkeys(missing.values())), next(iter(missing))
    return culprit(
        Verdict(
            "host-outside-sidecar-scope",
            0.93,
            f"{hidden[0]} is not exported to {lines[-1].pod.namespace}, so the cluster that {owners[0]} names is "
            "not there",
            (*dict.fromkeys(hidden), *owners),
            (evidence, config_says(lines[-1].pod, f"the proxy has no cluster {absent}", absent)),
            remedy(f"Add {lines[-1].pod.namespace} to {EXPORT_TO} of {hidden[0]}."),
            lines,
        )
    )


def _missing(missing: dict[str, Resource], lines: tuple[Seen, ...], evidence: Evidence, confidence: float) -> Finding:
    name = next(iter(missing))
    cluster = parse_cluster_name(name)
    what = (
        f"subset {cluster.subset} of {cluster.host}, which no DestinationRule defines"
        if cluster.subset
        else f"{cluster.host}:{cluster.port}, which is no service that the proxy knows"
    )
    owners = tuple(dict.fromkeys(missing.values()))
    fix = (
        f"Define subset {cluster.subset} in a DestinationRule for {cluster.host} first, or correct the route."
        if cluster.subset
        else f"Correct the destination host of {owners[0]}, or create the Service (check exportTo and Sidecar scope)."
    )
    of_gateway_api = owners[0].kind in ("HTTPRoute", "GRPCRoute")
    return culprit(
        Verdict(
            "route-backend-invalid" if of_gateway_api else "missing-cluster",
            confidence,
            f"{owners[0]} routes to {what}",
            owners,
            (
                evidence,
                *(
                    config_says(lines[-1].pod, f"a route names cluster {name}, and the proxy has no such cluster", name)
                    for name in missing
                ),
            ),
            remedy(fix),
            lines,
        )
    )


def _late(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...], evidence: Evidence) -> Finding:
    ended = max(seen.start or 0.0 for seen in lines)
    began = min(seen.start or 0.0 for seen in lines)
    services = list(blame.virtual_services(mesh, case.destination))
    hosts = {route.destination.host for found in services for http in found.spec.http for route in http.route}
    rules = [
        found
        for host in {case.destination.host, *hosts}
        for found in blame.destination_rules(mesh, host, lambda rule: bool(rule.spec.subsets))
    ]
    objects: tuple[istio.VirtualService | istio.DestinationRule, ...] = (*services, *rules)
    changed = [
        found
        for found in objects
        if (made := unix(found.metadata.creation_timestamp)) is not None
        and began - PROPAGATION_SECONDS <= made <= ended + PROPAGATION_SECONDS
    ]
    if not changed:
        return inconclusive("the missing cluster exists now, and no object changed near the failures", evidence)
    resources = tuple(dict.fromkeys(blame.resource(found) for found in changed))
    return culprit(
        Verdict(
            "config-not-yet-propagated",
            0.9,
            f"A route was there before its cluster: {listed(str(one) for one in resources)} were applied apart",
            resources,
            (evidence, Evidence(f"the clusters that the routes name all exist now; {_order(changed)}")),
            remedy("Apply the DestinationRule before the VirtualService that uses its subsets; delete in reverse."),
            lines,
        )
    )


def _order(changed: list[istio.VirtualService | istio.DestinationRule]) -> str:
    made = sorted((found.metadata.creation_timestamp or "", type(found).__name__) for found in changed)
    return ", then ".join(f"{kind} at {moment}" for moment, kind in made)


PROBE = Probe(
    "missing-cluster",
    "Which cluster does the route miss?",
    ("missing-cluster", "config-not-yet-propagated", "route-backend-invalid", "host-outside-sidecar-scope"),
    examine,
    lambda case, mesh: [ProxyConfig(seen.pod) for seen in case.caller_lines[-1:]],
)
