"""UH: why is no endpoint of the cluster healthy?

None, ejected, unready, a subset without pods, a name without address.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdoctor.mesh import blame, delivered
from meshdoctor.mesh.backends import Backend, why_no_pods
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.control_plane import absent_proxies, istiod_down
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, merged, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.interruptions import NoPods
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, object_says, remedy
from meshdoctor.mesh.told_by_proxies import told_by_proxies
from meshdoctor.mesh.traffic import Seen, cluster_of
from meshdoctor.mesh.traffic_policy import detects_outliers
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.labels import selects
from meshdoctor.model.names import ClusterName
from meshdoctor.model.pods import is_ready
from meshdoctor.model.snapshot import Want
from meshdoctor.model.wants import ProxyClusters, ProxyConfig

DNS_TYPES = ("STRICT_DNS", "LOGICAL_DNS")


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = tuple(seen for seen in case.with_flag("UH") if seen.cluster and seen.cluster.host)
    if not lines:
        return not_applicable("no cluster was without a healthy endpoint")
    groups: dict[ClusterName, list[Seen]] = {}
    for seen in lines:
        if seen.cluster:
            groups.setdefault(seen.cluster, []).append(seen)
    findings = [_cluster(case, mesh, name, tuple(group)) for name, group in groups.items()]
    return merged(findings)


def _cluster(case: Case, mesh: MeshIndex, name: ClusterName, lines: tuple[Seen, ...]) -> Finding:
    newest = lines[-1]
    raw = newest.cluster.name if newest.cluster else ""
    cluster = cluster_of(mesh, newest)
    status = mesh.cluster_status(newest.pod, raw)
    evidence = lines_say(lines, f"{logged(newest)} on {raw}")
    if cluster and cluster.type in DNS_TYPES and not (status and status.host_statuses):
        return _unresolved(mesh, name, lines, evidence)
    hosts = status.host_statuses if status else []
    if hosts and all(host.health_status.failed_outlier_check for host in hosts):
        return _ejected(mesh, name, raw, lines, evidence, len(hosts))
    if name.subset:
        found = _subset(mesh, name, lines, evidence)
        if found:
            return found
    return _of_service(case, mesh, name, lines, evidence)


def _unresolved(mesh: MeshIndex, name: ClusterName, lines: tuple[Seen, ...], evidence: Evidence) -> Finding:
    entries = [found for found in mesh.objects("ServiceEntry", istio.ServiceEntry) if name.host in found.spec.hosts]
    resources = tuple(Resource("ServiceEntry", found.namespace, found.name, "spec.endpoints") for found in entries)
    if not resources:
        return inconclusive(f"{name.host} has no address, and no ServiceEntry declares it", evidence)
    targets = [endpoint.address for found in entries for endpoint in found.spec.endpoints] or list(
        entries[0].spec.hosts
    )
    return culprit(
        Verdict(
            "external-host-unresolved",
            0.95,
            f"{listed(targets)} of {resources[0]} does not resolve, so the cluster has no endpoint",
            resources,
            (
                evidence,
                object_says(
                    mesh,
                    "ServiceEntry",
                    entries[0],
                    f"resolution {entries[0].spec.resolution}, address {listed(targets)}",
                ),
                Evidence(
                    f"the cluster of {name.host} has no host", f"envoy/{lines[-1].pod}/clusters.json", name.host or ""
                ),
            ),
            remedy(f"Correct the address in {resources[0]}, or the DNS that should know it."),
            lines,
        )
    )


def _ejected(
    mesh: MeshIndex, name: ClusterName, raw: str, lines: tuple[Seen, ...], evidence: Evidence, hosts: int
) -> Finding:
    owner = blame.of_cluster(cluster_of(mesh, lines[-1]), "spec.trafficPolicy.outlierDetection")
    rules = [blame.resource(found) for found in blame.destination_rules(mesh, name.host or "", detects_outliers)]
    resources = (owner,) if owner else tuple(rules)
    if not resources:
        return inconclusive("every endpoint is ejected, but no DestinationRule sets outlier detection", evidence)
    return culprit(
        Verdict(
            "all-endpoints-ejected",
            0.98,
            f"Outlier detection of {resources[0]} ejected all {hosts} endpoints of {name.host}",
            resources,
            (
                evidence,
                Evidence(
                    f"{hosts} of {hosts} hosts have failed_outlier_check", f"envoy/{lines[-1].pod}/clusters.json", raw
                ),
            ),
            remedy(
                f"Mend what fails at {name.host} first; then lower maxEjectionPercent in {resources[0]} "
                "so that some endpoints always stay."
            ),
            lines,
        )
    )


def _subset(mesh: MeshIndex, name: ClusterName, lines: tuple[Seen, ...], evidence: Evidence) -> Finding | None:
    rules = [
        (found, subset)
        for found in blame.destination_rules(mesh, name.host or "")
        for subset in found.spec.subsets
        if subset.name == name.subset
    ]
    service = mesh.service_by_host(name.host or "")
    if not rules or not service or not mesh.complete("Pod", service.namespace):
        return None
    pods = mesh.selected_pods(service)
    rule, subset = rules[0]
    labels = subset.labels
    matching = [pod for pod in pods if selects(labels, pod.metadata.labels)]
    if matching or not pods:
        return None
    wanted = ",".join(f"{key}={value}" for key, value in labels.items())
    resource = Resource("DestinationRule", rule.namespace, rule.name, "spec.subsets")
    return culprit(
        Verdict(
            "subset-without-pods",
            0.98,
            f"No pod of {service.key} has the labels {wanted} of subset {subset.name} in {resource}",
            (resource, *_routes_to(lines, mesh)),
            (
                evidence,
                object_says(mesh, "DestinationRule", rule, f"subset {subset.name} wants {wanted}"),
                Evidence(f"{len(pods)} pods of the Service, none with these labels", mesh.file("Pod"), service.key),
            ),
            remedy(f"Correct the labels of subset {subset.name} in {resource}, or send no traffic to it."),
            lines,
        )
    )


def _subset_labels(mesh: MeshIndex, name: ClusterName) -> dict[str, str]:
    return next(
        (
            subset.labels
            for found in blame.destination_rules(mesh, name.host or "")
            for subset in found.spec.subsets
            if subset.name == name.subset
        ),
        {},
    )


def _routes_to(lines: tuple[Seen, ...], mesh: MeshIndex) -> Iterable[Resource]:
    routes = blame.routes_for(mesh, lines[-1])
    return dict.fromkeys(owner for route in routes if (owner := blame.of_route(route, "spec.http[].route", mesh)))


def _of_service(case: Case, mesh: MeshIndex, name: ClusterName, lines: tuple[Seen, ...], evidence: Evidence) -> Finding:
    service = mesh.service_by_host(name.host or "")
    if service is None or not _known(mesh, service.namespace):
        return told_by_proxies(case, mesh, name, lines, evidence)
    labels = tuple(_subset_labels(mesh, name).items())
    behind = _behind(case, mesh, name, service, lines, evidence)
    if behind:
        return culprit(behind)
    why = why_no_pods(mesh, Backend(service, name.port or 0, labels), lines, case.is_over(lines))
    if isinstance(why, NoPods):
        return culprit(
            Verdict(
                why.cause, why.confidence, why.summary, why.resources, (evidence, *why.evidence), remedy(why.fix), lines
            )
        )
    return inconclusive(why, evidence)


def _behind(
    case: Case, mesh: MeshIndex, name: ClusterName, service: k8s.Service, lines: tuple[Seen, ...], evidence: Evidence
) -> Verdict | None:
    """The Service has ready pods, but the caller's proxy is not told of them any more: istiod is down or cut off."""
    pod = lines[-1].pod
    labels = _subset_labels(mesh, name).items()
    ready = [one for one in mesh.selected_pods(service) if is_ready(one) and labels <= one.metadata.labels.items()]
    if not ready or case.is_over(lines):
        return None
    seen = Evidence(f"{service.key} has {len(ready)} ready pods", mesh.file("Pod"), ready[0].key)
    down = istiod_down(mesh)
    if down:
        return Verdict(
            "control-plane-down",
            0.9,
            f"{down.summary}, so the proxies are not told of the endpoints of {service.key}",
            down.resources,
            (evidence, seen, *down.evidence),
            remedy(down.fix),
            lines,
        )
    absent = absent_proxies(mesh).get(pod)
    if absent is None:
        return None
    client = blame.of_workload(mesh.workload(pod))
    return Verdict(
        "proxy-stale",
        0.9,
        f"The sidecar of {client} is cut off from istiod and does not know the endpoints of {service.key}",
        (client,),
        (evidence, seen, *absent),
        remedy(f"See why {pod} cannot reach istiod (log of istio-proxy, network policy for port 15012)."),
        lines,
    )


def _known(mesh: MeshIndex, namespace: str) -> bool:
    """Whether it is known which pods and endpoints there are in a namespace."""
    return mesh.complete("Pod", namespace) and mesh.known("EndpointSlice", namespace)


def needs(case: Case, mesh: MeshIndex) -> Iterable[Want[Any]]:
    lines = case.with_flag("UH")
    callers = dict.fromkeys(seen.pod for seen in lines)
    wanted: list[Want[Any]] = [want for pod in callers for want in (ProxyConfig(pod), ProxyClusters(pod))]
    for host in dict.fromkeys(seen.cluster.host for seen in lines if seen.cluster):
        service, _, rest = host.partition(".")
        namespace = rest.partition(".")[0]
        if not mesh.known("Service", namespace) or not _known(mesh, namespace):
            pods = delivered.candidates(mesh, delivered.ServiceName(namespace, service))
            wanted += [ProxyConfig(pod) for pod in pods]
    return wanted


PROBE = Probe(
    "no-healthy-upstream",
    "Why is no endpoint healthy?",
    (
        "no-endpoints",
        "all-endpoints-ejected",
        "subset-without-pods",
        "endpoints-not-ready",
        "external-host-unresolved",
        "no-ready-pod-in-rollout",
        "sidecar-never-ready",
        "app-crashed",
        "control-plane-down",
        "proxy-stale",
        "proxy-overloaded",
    ),
    examine,
    needs,
)
