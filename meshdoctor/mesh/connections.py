"""Which istiod a proxy is connected to, what is odd about that, and why no istiod lists it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from meshdoctor.mesh.revisions import Revisions, injected_revision, release
from meshdoctor.model.istio import WorkloadEntry
from meshdoctor.model.istiod import SyncRecord
from meshdoctor.model.kubernetes import ContainerStatus, Pod
from meshdoctor.model.moment import unix
from meshdoctor.model.pods import PROXY_CONTAINER
from meshdoctor.model.snapshot import PodRef

CONNECTED, NEVER_CONNECTED, DISCONNECTED, NO_ISTIOD, UNKNOWN = (
    "connected",
    "never connected",
    "disconnected",
    "no istiod",
    "unknown",
)
# What istiod notes on the WorkloadEntry of a machine that registers itself (pilot/pkg/autoregistration, 1.9 to 1.32).
_CONTROLLER, _DISCONNECTED_AT = "istio.io/workloadController", "istio.io/disconnectedAt"
_STARTING = 2.0
"""A pod's conditions get their first time this many seconds after its start, at most."""


class IstiodFacts(NamedTuple):
    """One istiod: its answer to `/debug/syncz` (None when it could not be read, with *why*), revision and version."""

    name: str
    records: Sequence[SyncRecord] | None
    revision: str = ""
    version: str = ""
    why: str = ""


class Connection(NamedTuple):
    """What an istiod says of one proxy."""

    istiod: IstiodFacts
    record: SyncRecord


def connections(istiods: Iterable[IstiodFacts]) -> dict[PodRef, list[Connection]]:
    """What each istiod says of each proxy, the newest send first; other clients of istiod are no proxies."""
    found: dict[PodRef, list[Connection]] = {}
    for istiod in istiods:
        for record in istiod.records or ():
            if is_proxy(record):
                found.setdefault(PodRef(record.namespace, record.pod), []).append(Connection(istiod, record))
    for connected in found.values():
        if len(connected) > 1:
            connected.sort(key=lambda one: _last_send(one.record), reverse=True)
    return found


def is_proxy(record: SyncRecord) -> bool:
    """Whether it is no other client of istiod, such as istioctl itself."""
    return bool(record.proxy and (record.proxy_type or record.istio_version))


def _last_send(record: SyncRecord) -> float:
    return max((unix(entry.sent_time) or 0.0 for entry in record.resources.values()), default=0.0)


class ControlPlane:
    """The istiods, the pods and the machines: why a proxy is in no istiod's list, and what is odd when it is in one."""

    def __init__(
        self,
        istiods: Sequence[IstiodFacts],
        pods: Sequence[Pod],
        revisions: Revisions,
        machines: Iterable[WorkloadEntry] = (),
    ) -> None:
        self._istiods = istiods
        self._revisions = revisions
        known_istiods = {pod.name: ready for pod in pods if (ready := _is_ready_istiod(pod)) is not None}
        self._none_ready = not any(known_istiods.values()) and {one.name for one in istiods} <= known_istiods.keys()
        self._machines = {entry.namespace for entry in machines}
        known = {PodRef(pod.namespace, pod.name) for pod in pods}
        self._clusters = {
            connected.record.cluster_id
            for ref, found in connections(istiods).items()
            if ref in known
            for connected in found
        }
        """What istiod calls the cluster of which the pods are known."""

    def absence(self, pod: Pod | None) -> tuple[str, str]:
        """Why no istiod lists the proxy, as state and note."""
        silent = [istiod for istiod in self._istiods if istiod.records is None]
        inside = self._revisions.pods_known and not self._revisions.external
        if inside and self._none_ready and len(silent) == len(self._istiods):
            return NO_ISTIOD, "no istiod is ready"
        if silent:
            return UNKNOWN, f"{silent[0].name} did not say which proxies it has: {silent[0].why or 'not recorded'}"
        if not self._istiods:
            return UNKNOWN, "what istiod says of its proxies is not in this source"
        injected = self._revisions.resolve(injected_revision(pod)) if pod else ""
        served = {istiod.revision for istiod in self._istiods}
        if injected and all(served) and injected not in served and not self._revisions.external:
            return NO_ISTIOD, f"no istiod of its revision {injected} is there, only of {', '.join(sorted(served))}"
        return _absence(pod)

    def oddities(self, pod: Pod | None, connected: Sequence[Connection]) -> Iterator[str]:
        """What is odd about a proxy's newest connection, and which others it has."""
        istiod, record = connected[0]
        if pod is None and self._revisions.pods_known and not self._is_elsewhere(record):
            yield "no such pod: it left, or it is a virtual machine"
        injected = injected_revision(pod) if pod else ""
        if injected and istiod.revision and self._revisions.resolve(injected) != istiod.revision:
            yield f"wrong revision: injected by {injected}, connected to {istiod.revision}"
        wanted = self._revisions.wanted(pod) if pod else ""
        if injected and wanted and self._revisions.resolve(injected) != self._revisions.resolve(wanted):
            yield f"wrong revision: its namespace wants {wanted}, it was injected by {injected}; restart it"
        mine, theirs = release(record.istio_version), release(istiod.version)
        if mine and theirs and mine != theirs:
            yield f"version skew: proxy {record.istio_version}, istiod {istiod.version}"
        yield from (f"also connected to {other.istiod.name}" for other in connected[1:])

    def _is_elsewhere(self, record: SyncRecord) -> bool:
        """Whether a proxy without a pod is of another cluster, or of a machine that a WorkloadEntry tells of."""
        other = bool(record.cluster_id and self._clusters) and record.cluster_id not in self._clusters
        return other or record.namespace in self._machines


def machines_that_left(machines: Iterable[WorkloadEntry]) -> Mapping[PodRef, str]:
    """Machines that had registered themselves and lost istiod since, each with a note; it forgets them after a while.

    Of a machine whose WorkloadEntry a person wrote it is not known whether it runs a proxy at all.
    """
    found = {}
    for entry in machines:
        notes = entry.metadata.annotations
        if notes.get(_CONTROLLER) and notes.get(_DISCONNECTED_AT):
            note = f"a virtual machine (its WorkloadEntry says: disconnected at {notes[_DISCONNECTED_AT]})"
            found[PodRef(entry.namespace, entry.name)] = note
    return found


def _is_ready_istiod(pod: Pod) -> bool | None:
    """Whether it is an istiod that can answer; None for another pod, and where that is not known."""
    ready = [entry.ready for entry in pod.status.container_statuses if entry.name == "discovery"]
    if ready:
        return any(ready)
    pending = pod.status.phase == "Pending" and any(entry.name == "discovery" for entry in pod.spec.containers)
    return False if pending else None


def _absence(pod: Pod | None) -> tuple[str, str]:
    """Why no istiod lists the proxy, though every one of them said which proxies it has."""
    if pod is None:
        return DISCONNECTED, "no istiod lists it"
    if pod.metadata.deletion_timestamp:
        return DISCONNECTED, "its pod is being deleted"
    statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
    proxy = next((entry for entry in statuses if entry.name == PROXY_CONTAINER), None)
    # The agent is ready only once Envoy has got clusters and listeners (pilot/cmd/pilot-agent/status/ready).
    if proxy and proxy.ready:
        return DISCONNECTED, "its proxy is ready, so it was connected, and no istiod lists it now"
    why = _why_not_ready(proxy)
    if _was_ready(pod):
        return DISCONNECTED, f"its pod was ready, so it was connected; now {why}"
    return NEVER_CONNECTED, why


def _why_not_ready(proxy: ContainerStatus | None) -> str:
    waiting = proxy.state.waiting if proxy else None
    return f"its proxy is {waiting.reason}" if waiting and waiting.reason else "its proxy is not ready"


def _was_ready(pod: Pod) -> bool:
    """Whether the pod is not ready now and was: the condition changed after it had got its first value."""
    started = unix(pod.status.start_time)
    for condition in pod.status.conditions:
        if condition.type == "Ready" and condition.status == "False" and started is not None:
            changed = unix(condition.last_transition_time)
            return changed is not None and changed > started + _STARTING
    return False
