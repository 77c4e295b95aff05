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
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import config_says, lines_say, listed, logged, object_says, remedy
from meshdoctor.mesh.traffic import CLIENT, Seen
from meshdoctor.mesh.visibility import exporter, is_exported, sidecar_of
from meshdoctor.model import istio
from meshdoctor.model.names import parse_cluster_name
from meshdoctor.model.snapshot import PodRef, Want
from meshdoctor.model.wants import ProxyConfig

BLOCKED, PASSED = "BlackHoleCluster", "PassthroughCluster"


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
    """What keeps the host away: the Sidecar in force for the pod, or what exports the host elsewhere only."""
    sidecar = sidecar_of(mesh, pod)
    entries = _entries(mesh, case.destination.host)
    spaces = {case.destination.service[0]} if case.destination.service else {one.namespace for one in entries}
    resources: list[Resource] = []
    if sidecar and not _admits(sidecar, pod.namespace, spaces, case.destination.host):
        resources = [Resource("Sidecar", sidecar.namespace, sidecar.name, "spec.egress[].hosts")]
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    declared = (service,) if service else tuple(entries)
    if not any(is_exported(mesh, one, pod.namespace) for one in declared):
        resources[:0] = dict.fromkeys(named for one in declared for named in exporter(mesh, one))
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
