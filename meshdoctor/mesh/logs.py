"""The logs of a pod that were read: those of its proxy, and those of its application's containers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model.accesslog import ParsedLog
from meshdoctor.model.applog import AppLog
from meshdoctor.model.envoy.address import split_address
from meshdoctor.model.pods import PROXY_CONTAINER
from meshdoctor.model.snapshot import Fact, Missing, PodRef
from meshdoctor.model.wants import AccessLog, ApplicationLog, LogRef


def access_logs(mesh: MeshIndex, pod: PodRef) -> Iterator[tuple[LogRef, Fact[ParsedLog]]]:
    """The proxy's access logs, the one before a restart first."""
    for log in mesh.derived(_by_pod).get(pod, ()):
        found = mesh.snapshot.get(AccessLog(log))
        if log.container == PROXY_CONTAINER and not isinstance(found, Missing):
            yield log, found


def app_logs(mesh: MeshIndex, pod: PodRef) -> Iterator[tuple[LogRef, Fact[AppLog]]]:
    """The logs of the application's containers, the ones before a restart first."""
    for log in mesh.derived(_by_pod).get(pod, ()):
        found = mesh.snapshot.get(ApplicationLog(log))
        if log.container != PROXY_CONTAINER and not isinstance(found, Missing):
            yield log, found


def logged_addresses(mesh: MeshIndex, pod: PodRef) -> frozenset[str]:
    """A pod's own addresses as its access log tells them: client of outbound lines, server of inbound ones."""
    own = set()
    for _, fact in access_logs(mesh, pod):
        for line in fact.value.lines:
            cluster = line.upstream_cluster or ""
            if cluster.startswith("outbound|"):
                own.add(split_address(line.downstream_remote_address)[0])
            elif cluster.startswith("inbound|"):
                own.add(split_address(line.downstream_local_address)[0])
    return frozenset(own - {""})


def _by_pod(mesh: MeshIndex) -> Mapping[PodRef, Sequence[LogRef]]:
    found: dict[PodRef, list[LogRef]] = {}
    for log in sorted(mesh.inventory.logs, key=lambda entry: not entry.previous):
        found.setdefault(log.pod, []).append(log)
    return found
