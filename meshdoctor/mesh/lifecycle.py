"""The life of each pod, also of those that are gone: created, ready, told to stop, finished, restarted.

Pod objects tell about the pods that are left, events about the others; a pod that was deleted during a rollout has no
object, and often no log, by the time that somebody looks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.logs import logged_addresses
from meshdoctor.mesh.owners import Workload
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.moment import unix
from meshdoctor.model.pods import PROXY_CONTAINER
from meshdoctor.model.snapshot import PodRef

EVENT_SLACK = 1.0
"""Seconds: the times of events and of pods are whole seconds."""
DEFAULT_GRACE = 30.0
"""terminationGracePeriodSeconds where a pod sets none (core/v1)."""
_PROBED = re.compile(r"https?://(?P<ip>[0-9.]+|\[[0-9a-f:]+\]):\d+/")


class Exit(msgspec.Struct, frozen=True):
    """A container that ended: *at* in Unix seconds; *code* 137 is SIGKILL, 143 SIGTERM. *restarted*: another followed,
    although a main container of a Deployment and the like is never done."""

    container: str
    at: float | None
    code: int | None
    reason: str
    restarted: bool = False


class PodLife(msgspec.Struct, frozen=True):
    """One pod's life; times in Unix seconds, None when nothing tells. *exists*: the pod object was there."""

    ref: PodRef
    workload: Workload
    addresses: frozenset[str]
    exists: bool
    created: float | None
    ready: float | None
    stopped: float | None
    """When the kubelet began to stop it (SIGTERM or preStop hook)."""
    grace: float
    exits: tuple[Exit, ...]
    pre_stop_failed: float | None

    def is_stopping(self, moment: float) -> bool:
        return self.stopped is not None and moment >= self.stopped

    def crashes(self) -> tuple[Exit, ...]:
        """Ends of application containers that nobody asked for."""
        return tuple(
            exit
            for exit in self.exits
            if exit.container != PROXY_CONTAINER
            and (exit.code != 0 or exit.restarted or exit.reason == "OOMKilled")
            and not (self.stopped is not None and exit.at is not None and exit.at >= self.stopped - 1)
        )


class Lives:
    """Every pod that objects or events tell of."""

    def __init__(self, mesh: MeshIndex) -> None:
        self._mesh = mesh
        named = {
            PodRef(event.involved_object.namespace, event.involved_object.name): None
            for event in mesh.objects("Event", k8s.Event)
            if event.involved_object.kind == "Pod"
        }
        self.by_ref: Mapping[PodRef, PodLife] = {
            ref: self._life(ref) for ref in dict.fromkeys((*mesh.pods, *named, *mesh.inventory.proxies))
        }
        earlier = (self._earlier(life) for life in self.by_ref.values())
        self._all = (*self.by_ref.values(), *(life for life in earlier if life))
        self._by_address: dict[str, list[PodLife]] = {}
        for life in self._all:
            for address in life.addresses:
                self._by_address.setdefault(address, []).append(life)

    def of_address(self, address: str, moment: float | None) -> PodLife | None:
        """The pod that had *address* at *moment*; the last one before it when its time is not known."""
        owners = self._by_address.get(address, [])
        born = [life for life in owners if moment is None or life.created is None or life.created <= moment]
        return max(born, key=lambda life: life.created or 0.0, default=None)

    def of_workload(self, workload: Workload) -> tuple[PodLife, ...]:
        return tuple(life for life in self._all if life.workload == workload)

    def _life(self, ref: PodRef) -> PodLife:
        pod = self._mesh.pods.get(ref)
        workload = self._mesh.workload(ref)
        created = unix(pod.metadata.creation_timestamp) if pod else None
        events = self._events(ref, since=created)
        killing = [unix(event.first) for event in events if event.reason == "Killing" and _stops_pod(event)]
        hook = [unix(event.last) for event in events if event.reason == "FailedPreStopHook"]
        template = self._mesh.template(workload)
        spec = pod.spec if pod else template.spec.template.spec if template else k8s.PodSpec()
        grace = pod.metadata.deletion_grace_period_seconds if pod else None
        grace = spec.termination_grace_period_seconds if grace is None else grace
        return PodLife(
            ref=ref,
            workload=workload,
            addresses=self._addresses(pod, ref, events),
            exists=pod is not None,
            created=created if pod else _first(events, "Scheduled", "Created", "Started"),
            ready=_condition_time(pod, "Ready") if pod else None,
            stopped=_stopped(pod, [moment for moment in killing if moment is not None]),
            grace=DEFAULT_GRACE if grace is None else float(grace),
            exits=_exits(pod) if pod else (),
            pre_stop_failed=max((moment for moment in hook if moment is not None), default=None),
        )

    def _events(self, ref: PodRef, since: float | None = None, before: float | None = None) -> tuple[k8s.Event, ...]:
        """What happened to the pod of this name, from *since* (a pod's creation) on, or *before* it."""
        found = self._mesh.events("Pod", ref.namespace, ref.name)
        if since is not None:
            return tuple(one for one in found if (unix(one.last) or since) >= since - EVENT_SLACK)
        if before is not None:
            return tuple(one for one in found if (unix(one.last) or before) < before - EVENT_SLACK)
        return found

    def _earlier(self, life: PodLife) -> PodLife | None:
        """The pod that had the same name before: a StatefulSet gives the names of its pods again."""
        events = self._events(life.ref, before=life.created) if life.exists and life.created is not None else ()
        killing = [moment for event in events if event.reason == "Killing" and (moment := unix(event.first))]
        if not killing:
            return None
        probed = {match["ip"].strip("[]") for event in events for match in _PROBED.finditer(event.message)}
        return msgspec.structs.replace(
            life,
            addresses=frozenset(probed - life.addresses),
            exists=False,
            created=_first(events, "Scheduled", "Created", "Started"),
            ready=None,
            stopped=max(killing),
            exits=(),
            pre_stop_failed=None,
        )

    def _addresses(self, pod: k8s.Pod | None, ref: PodRef, events: tuple[k8s.Event, ...]) -> frozenset[str]:
        if pod and pod.status.pod_ip:
            return frozenset({pod.status.pod_ip, *(entry.ip for entry in pod.status.pod_ips)})
        probed = {match["ip"].strip("[]") for event in events for match in _PROBED.finditer(event.message)}
        return frozenset(probed | logged_addresses(self._mesh, ref))


def _stops_pod(event: k8s.Event) -> bool:
    """Whether a Killing event is a stop of the pod, not a restart after a failed liveness probe."""
    return event.message.startswith("Stopping container")


def _stopped(pod: k8s.Pod | None, killing: list[float]) -> float | None:
    deadline = unix(pod.metadata.deletion_timestamp) if pod else None
    if pod and deadline is not None:
        # deletionTimestamp is the end of the grace period, not its beginning (meta/v1).
        begin = deadline - (pod.metadata.deletion_grace_period_seconds or 0)
        return min([begin, *killing])
    return min(killing, default=None)


def _exits(pod: k8s.Pod) -> tuple[Exit, ...]:
    found = []
    for status in (*pod.status.container_statuses, *pod.status.init_container_statuses):
        for state in (status.last_state, status.state):
            if state.terminated:
                end = state.terminated
                restarted = state is status.last_state and status in pod.status.container_statuses
                found.append(Exit(status.name, unix(end.finished_at), end.exit_code, end.reason, restarted))
    return tuple(found)


def _condition_time(pod: k8s.Pod, kind: str) -> float | None:
    return next(
        (unix(c.last_transition_time) for c in pod.status.conditions if c.type == kind and c.status == "True"), None
    )


def _first(events: tuple[k8s.Event, ...], *reasons: str) -> float | None:
    times = [unix(event.first) for event in events if event.reason in reasons]
    return min((moment for moment in times if moment is not None), default=None)
