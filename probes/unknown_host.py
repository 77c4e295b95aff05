"""Does the caller's sidecar know the host at all?

BlackHoleCluster, `block_all`, PassthroughCluster to a known Service.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.hosts import subset_of
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.labels import selects
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import config_says, lines_say, listed, logged, object_says, remedy
from meshdoctor.mesh.traffic import CLIENT, Seen
from meshdoctor.model import istio
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.names import parse_cluster_name
from meshdoctor.model.snapshot import PodRef, Want
from meshdoctor.model.wants import ProxyConfig

BLOCKED, PASSED = "BlackHoleCluster", "PassthroughCluster"
EXPORT_TO = "networking.istio.io/exportTo"
EXPORT_FIELD = f"metadata.annotations[{EXPORT_TO}]"


def _outside(case: Case) -> tuple[Seen, ...]:
    return tuple(
        seen
        for seen in case.failures
        if seen.side == CLIENT
        and seen.access
        and (seen.access.upstream_cluster in (BLOCKED, PASSED) or seen.access.route_name == "block_all")
    )


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = _outside(case)
    if not lines:
        return not_applicable("every call went to a host that the sidecar knows")
    newest = lines[-1]
    said = lines_say(lines, f"{logged(newest)}, sent to {newest.access.upstream_cluster if newest.access else ''}")
    config = mesh.config(newest.pod)
    if config is None:
        return inconclusive("the sidecar does not know the host; its configuration was not read", said)
    destination = case.destination
    known = [
        entry.name
        for entry in config.clusters
        if (name := parse_cluster_name(entry.name)).direction == "outbound"
        and (name.host == destination.host or (not destination.service and _in_full(name.host, destination.host)))
        and destination.port in (0, name.port)
    ]
    if known:
        return inconclusive(f"the sidecar has a cluster for {destination}, and yet the call left it aside", said)
    shown = config_says(newest.pod, f"the sidecar has no cluster for {destination}", "ClustersConfigDump")
    blocked = any(seen.access and seen.access.upstream_cluster != PASSED for seen in lines)
    resources = _hiding(mesh, newest.pod, case)
    if not resources and destination.service is None and (mesh.in_part("Service") or mesh.in_part("ServiceEntry")):
        return inconclusive(
            f"the sidecar does not know {destination}; whether another namespace hides it was not read", said, shown
        )
    if not resources and blocked and destination.service is None and not _entries(mesh, destination.host):
        resources = [Resource("ConfigMap", mesh.mesh_config.root_namespace, "istio", "outboundTrafficPolicy")]
    if not resources or (not blocked and destination.service is None):
        return inconclusive(
            f"the sidecar does not know {destination}, and no Sidecar or exportTo hides it", said, shown
        )
    return culprit(
        Verdict(
            "host-outside-sidecar-scope",
            0.95,
            f"{resources[0]} keeps {destination} out of the caller's configuration"
            + (", and unknown hosts are blocked (REGISTRY_ONLY)" if blocked else ""),
            tuple(resources),
            (said, shown, *_shows(mesh, resources)),
            remedy(f"Add {_entry(case)} to the egress hosts of {resources[0]} (or correct exportTo)."),
            lines,
        )
    )


def _in_full(host: str | None, written: str) -> bool:
    """Whether *host* is what a client *written* so may mean: a Service that was not read has no full name."""
    return (host or "").startswith(f"{written}.")


def _entry(case: Case) -> str:
    return (
        f"{case.destination.service[0]}/{case.destination.host}" if case.destination.service else case.destination.host
    )


def _hiding(mesh: MeshIndex, pod: PodRef, case: Case) -> list[Resource]:
    """What keeps the host away: the Sidecar in force for the pod, or the Service's own exportTo."""
    found = mesh.pods.get(pod)
    labels = found.metadata.labels if found else {}
    sidecars = mesh.objects("Sidecar", istio.Sidecar)
    own = [one for one in sidecars if one.namespace == pod.namespace]
    # The one with a matching selector wins, then the namespace's, then the root namespace's (istiod's SidecarScope).
    chosen = (
        [one for one in own if one.spec.workload_selector and selects(one.spec.workload_selector.all_labels, labels)]
        or [one for one in own if one.spec.workload_selector is None]
        or [
            one
            for one in sidecars
            if one.namespace == mesh.mesh_config.root_namespace and one.spec.workload_selector is None
        ]
    )
    entries = _entries(mesh, case.destination.host)
    spaces = {case.destination.service[0]} if case.destination.service else {one.namespace for one in entries}
    resources = [
        Resource("Sidecar", one.namespace, one.name, "spec.egress[].hosts")
        for one in chosen[:1]
        if not _admits(one, pod.namespace, spaces, case.destination.host)
    ]
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    if service and not is_exported(service, pod.namespace):
        resources.insert(0, Resource("Service", service.namespace, service.name, EXPORT_FIELD))
    visible = [one for one in entries if _reaches(one.spec.export_to, one.namespace, pod.namespace)]
    if entries and not visible and service is None:
        resources[:0] = [Resource("ServiceEntry", one.namespace, one.name, "spec.exportTo") for one in entries]
    return resources


def _entries(mesh: MeshIndex, host: str) -> list[istio.ServiceEntry]:
    """The ServiceEntries that declare *host*, by its name or its domain."""
    return [
        one
        for one in mesh.objects("ServiceEntry", istio.ServiceEntry)
        if any(subset_of(host, name) for name in one.spec.hosts)
    ]


def _admits(sidecar: istio.Sidecar, own: str, spaces: set[str], host: str) -> bool:
    """Whether a Sidecar of a pod in namespace *own* lets a host of *spaces* in (of anywhere when that is not known)."""
    names = [name.partition("/") for entry in sidecar.spec.egress for name in entry.hosts]
    return not sidecar.spec.egress or any(
        (space == "*" or not spaces or (own if space == "." else space) in spaces) and subset_of(host, name)
        for space, _, name in names
    )


def _reaches(export_to: list[str], home: str, namespace: str) -> bool:
    """Whether an object of namespace *home* with this exportTo is seen in *namespace*."""
    return not export_to or "*" in export_to or namespace in export_to or ("." in export_to and home == namespace)


def is_exported(service: k8s.Service, namespace: str) -> bool:
    """Whether a Service's own annotation lets the proxies of *namespace* see it."""
    names = {name.strip() for name in service.metadata.annotations.get(EXPORT_TO, "*").split(",")}
    return bool(names & {"*", namespace}) or ("." in names and service.namespace == namespace)


def _shows(mesh: MeshIndex, resources: list[Resource]) -> list[Evidence]:
    names = {(one.namespace, one.name) for one in resources if one.kind == "Sidecar"}
    return [
        object_says(
            mesh, "Sidecar", one, f"egress hosts: {listed(host for entry in one.spec.egress for host in entry.hosts)}"
        )
        for one in mesh.objects("Sidecar", istio.Sidecar)
        if (one.namespace, one.name) in names
    ]


def needs(case: Case, mesh: MeshIndex) -> Iterable[Want[Any]]:
    return [ProxyConfig(seen.pod) for seen in _outside(case)[-1:]]


PROBE = Probe(
    "unknown-host", "Does the caller's sidecar know the host?", ("host-outside-sidecar-scope",), examine, needs
)
