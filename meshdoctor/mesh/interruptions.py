"""Why a Service had no healthy pod for a while and has some again: a rollout, a rescaling, crashes, failing probes.

The pods' state at the end says nothing of it; the interval is rebuilt from events and from the times of their lives.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from meshdoctor.mesh import blame
from meshdoctor.mesh.finding import Evidence, Resource
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Lives, PodLife
from meshdoctor.mesh.owners import Workload
from meshdoctor.mesh.quoting import listed, object_says
from meshdoctor.mesh.traffic import Seen
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.moment import clock, unix
from meshdoctor.model.pods import is_ready

_SCALED = re.compile(r"Scaled (?P<way>up|down) replica set (?P<name>\S+) (?:from \d+ )?to (?P<to>\d+)")
GENERATION_SECONDS = 60.0
"""Pods that were stopped longer than this before the first failure belong to an earlier rollout."""
NEWS_SECONDS = 2.0
"""So late a caller hears of the end of a pod, or of a new one (istiod debounces, event times are whole seconds)."""


class NoPods(NamedTuple):
    """The reason, in the words of a verdict."""

    cause: str
    confidence: float
    summary: str
    resources: tuple[Resource, ...]
    evidence: tuple[Evidence, ...]
    fix: str


def probe_failures(mesh: MeshIndex, pods: tuple[k8s.Pod, ...]) -> list[Evidence]:
    events = [
        event for pod in pods for event in mesh.events("Pod", pod.namespace, pod.name) if event.reason == "Unhealthy"
    ]
    return [object_says(mesh, "Event", event, event.message[:160]) for event in events[-1:]]


def crashed(resource: Resource, ends: Sequence[str], state: Evidence) -> NoPods:
    return NoPods(
        "app-crashed",
        0.95,
        f"The application of {resource} crashes: {listed(ends, 2)}",
        (resource,),
        (state, Evidence(f"{len(ends)} unexpected ends: {listed(ends)}")),
        f"Read the log of the container before its restart (kubectl logs --previous) of {resource}.",
    )


def why_for_a_while(
    mesh: MeshIndex, service: k8s.Service, pods: tuple[k8s.Pod, ...], lines: Sequence[Seen]
) -> NoPods | str:
    """The interval without ready pods, rebuilt from Killing events and Ready times."""
    times = [seen.start for seen in lines if seen.start is not None]
    owners = {mesh.workload(pod.ref) for pod in pods}
    if not times or not owners:
        return f"{service.key} had no healthy pod for a while, and has them again"
    first, last = min(times), max(times)
    lives = mesh.derived(Lives)
    owner = sorted(owners)[0]
    generation = [life for workload in owners for life in lives.of_workload(workload)]
    resource = blame.of_workload(owner)
    crashes = [exit for life in generation for exit in life.crashes() if exit.at and first - 60 <= exit.at <= last + 5]
    if crashes:
        ends = [f"{exit.container} ended with {exit.reason} {exit.code}" for exit in crashes]
        return crashed(resource, ends, Evidence("its pods were unready meanwhile", mesh.file("Pod"), service.key))
    stopped = [life for life in generation if life.stopped and first - GENERATION_SECONDS <= life.stopped <= last]
    came = [life for life in generation if life.ready and first <= life.ready <= last + 30]
    if stopped and came and _without_pods(generation, times):
        zero = _scaled_to_zero(mesh, resource, first - GENERATION_SECONDS, last)
        return _rescaled(mesh, service, resource, zero) if zero else _rollout(mesh, owner, resource, stopped, came)
    old = [life for life in came if life.created is not None and life.created < first - GENERATION_SECONDS]
    serving = [lives.by_ref[pod.ref] for pod in pods if is_ready(pod)]
    failed = probe_failures(mesh, pods)
    if serving and failed and all(life in old for life in serving):
        return NoPods(
            "endpoints-not-ready",
            0.88,
            f"Every pod of {service.key} was unready for a while, without being stopped or restarted",
            (resource,),
            (Evidence(f"they became Ready again at {clock(max(life.ready or 0.0 for life in old))} UTC"), *failed),
            f"See why the readiness probe of {resource} failed: kubectl -n {service.namespace} describe pod.",
        )
    return f"{service.key} had no healthy pod for a while, and has them again"


def _without_pods(generation: Sequence[PodLife], times: Sequence[float]) -> bool:
    """Whether at most of *times* no pod was ready: the last had been stopped, and the next was not Ready yet."""
    return sum(any(_served(life, moment) for life in generation) for moment in times) < len(times) / 2


def _served(life: PodLife, moment: float) -> bool:
    """Whether a pod was ready well before *moment* and not stopped until well after it.

    Of a pod that is gone nothing tells when it became Ready: it counts from its creation to its stop, where that is
    known.
    """
    began = life.ready if life.exists else life.created or 0.0
    if began is None or began > moment - NEWS_SECONDS:
        return False
    return life.exists if life.stopped is None else life.stopped > moment + NEWS_SECONDS


def _scaled_to_zero(mesh: MeshIndex, owner: Resource, begin: float, end: float) -> k8s.Event | None:
    """The scale-down of the whole Deployment, where the same ReplicaSet was scaled up again: no rollout.

    A rollout takes the old ReplicaSet to 0 for good.
    """
    scaled = [
        (event, match)
        for event in mesh.events("Deployment", owner.namespace, owner.name)
        if event.reason == "ScalingReplicaSet" and (match := _SCALED.search(event.message))
    ]
    for event, match in scaled:
        again = any(one["way"] == "up" and one["name"] == match["name"] for other, one in scaled if other is not event)
        times = [moment for moment in (unix(event.first), unix(event.last)) if moment is not None]
        if match["way"] == "down" and match["to"] == "0" and again and any(begin <= one <= end for one in times):
            return event
    return None


def _rescaled(mesh: MeshIndex, service: k8s.Service, owner: Resource, event: k8s.Event) -> NoPods:
    resource = Resource(owner.kind, owner.namespace, owner.name, "spec.replicas")
    return NoPods(
        "no-endpoints",
        0.9,
        f"{resource} was scaled to 0 for a while, so {service.key} had no endpoint",
        (resource,),
        (object_says(mesh, "Event", event, event.message[:200]),),
        f"Keep at least one replica of {owner} (see who scales it: a person, an autoscaler, a job).",
    )


def _rollout(
    mesh: MeshIndex, owner: Workload, resource: Resource, stopped: list[PodLife], came: list[PodLife]
) -> NoPods:
    template = mesh.template(owner)
    strategy = str(template.spec.strategy.get("type", "")) if template else ""
    gone = max(life.stopped or 0.0 for life in stopped)
    back = min(life.ready or 0.0 for life in came)
    how = f" (strategy {strategy})" if strategy else ""
    return NoPods(
        "no-ready-pod-in-rollout",
        0.93,
        f"During the rollout of {resource}{how} no pod was ready for {max(back - gone, 0):.0f} s",
        (Resource(resource.kind, resource.namespace, resource.name, "spec.strategy"),),
        (
            Evidence(f"old pods were stopped by {clock(gone)} UTC", mesh.file("Event"), str(stopped[-1].ref)),
            Evidence(f"the first new pod was Ready at {clock(back)} UTC", mesh.file("Pod"), str(came[0].ref)),
        ),
        f"Roll {resource} out with RollingUpdate, maxUnavailable 0 and at least two replicas.",
    )
