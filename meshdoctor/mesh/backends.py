"""Why a Service has no healthy pod behind it: the selector, the scale, a port name, or the state of its pods."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from meshdoctor.mesh import blame
from meshdoctor.mesh.control_plane import istiod_down
from meshdoctor.mesh.finding import Evidence, Resource
from meshdoctor.mesh.index import PROXY_CONTAINER, MeshIndex, Workload, is_ready
from meshdoctor.mesh.lifecycle import Exit, Lives, PodLife
from meshdoctor.mesh.quoting import counted, listed, object_says
from meshdoctor.mesh.traffic import Seen
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.moment import clock, unix
from meshdoctor.model.snapshot import PodRef

_SCALED = re.compile(r"Scaled (?P<way>up|down) replica set (?P<name>\S+) (?:from \d+ )?to (?P<to>\d+)")
GENERATION_SECONDS = 60.0
"""Pods that were stopped longer than this before the first failure belong to an earlier rollout."""


class Backend(NamedTuple):
    """A Service, one of its ports (0: any), and the *labels* of the subset that is meant."""

    service: k8s.Service
    port: int
    labels: tuple[tuple[str, str], ...] = ()


class NoPods(NamedTuple):
    """The reason, in the words of a verdict."""

    cause: str
    confidence: float
    summary: str
    resources: tuple[Resource, ...]
    evidence: tuple[Evidence, ...]
    fix: str


def why_no_pods(mesh: MeshIndex, backend: Backend, lines: Sequence[Seen], over: bool) -> NoPods | str:
    """Why *backend* had no healthy pod when *lines* failed; a sentence when nothing proves a reason.

    *over*: the failures have ended, so that the pods' state at the end of the recording says nothing of them.
    """
    service = backend.service
    wanted = set(backend.labels)
    pods = tuple(pod for pod in mesh.selected_pods(service) if wanted <= set(pod.metadata.labels.items()))
    unnamed = _unnamed_target(backend, pods) if pods and not over else None
    if unnamed:
        return unnamed
    if over or any(is_ready(pod) for pod in pods):
        return _during(mesh, service, pods, lines)
    if not service.spec.selector:
        return f"Service {service.key} has no selector: its endpoints are kept by somebody else"
    if not pods:
        return _nothing_selected(mesh, service)
    return _unready(mesh, service, pods, lines)


def _nothing_selected(mesh: MeshIndex, service: k8s.Service) -> NoPods | str:
    selector = service.spec.selector or {}
    wanted = ",".join(f"{key}={value}" for key, value in selector.items())
    nothing = Evidence(f"no pod in {service.namespace} has the labels {wanted}", mesh.file("Pod"), service.key)
    owners = [
        found
        for kind in ("Deployment", "StatefulSet")
        for found in mesh.objects(kind, k8s.Workload)
        if found.namespace == service.namespace and selector.items() <= found.spec.template.metadata.labels.items()
    ]
    if not owners and not mesh.known("Deployment"):
        # Its selector may be right, and a Deployment that was not read be scaled to 0.
        resource = Resource("Service", service.namespace, service.name)
        return NoPods(
            "no-endpoints",
            0.7,
            f"no pod has the labels that {resource} selects ({wanted})",
            (resource,),
            (object_says(mesh, "Service", service, f"selector {wanted}"), nothing),
            f"See whether a Deployment makes pods with these labels, and how many; else correct {resource}.",
        )
    if not owners:
        resource = Resource("Service", service.namespace, service.name, "spec.selector")
        return NoPods(
            "no-endpoints",
            0.98,
            f"{resource} selects {wanted}, and no pod has these labels",
            (resource,),
            (object_says(mesh, "Service", service, f"selector {wanted}"), nothing),
            f"Correct spec.selector of {resource}.",
        )
    owner = owners[0]
    kind = owner.kind or "Deployment"
    resource = Resource(kind, owner.namespace, owner.name, "spec.replicas")
    if owner.spec.replicas == 0:
        return NoPods(
            "no-endpoints",
            0.98,
            f"{resource} is scaled to 0, so {service.key} has no pod",
            (resource,),
            (object_says(mesh, kind, owner, "spec.replicas is 0"), nothing),
            f"kubectl -n {owner.namespace} scale {kind.lower()}/{owner.name} --replicas=1 (or more).",
        )
    refused = _creation_failures(mesh, owner)
    down = istiod_down(mesh)
    if down and refused and "webhook" in refused[-1].message:
        # Without istiod its injection webhook answers nobody, and with failurePolicy Fail no pod is created.
        return NoPods(
            "control-plane-down",
            0.93,
            f"{down.summary}, so its injection webhook fails and {resource} gets no new pods",
            (*down.resources, resource),
            (nothing, object_says(mesh, "Event", refused[-1], refused[-1].message[:200]), *down.evidence),
            down.fix,
        )
    return NoPods(
        "no-endpoints",
        0.9 if refused else 0.7,
        f"{resource} wants {owner.spec.replicas or 1} pods and has none"
        + (f": {refused[-1].message[:120]}" if refused else ""),
        (resource,),
        (nothing, *(object_says(mesh, "Event", event, event.message[:200]) for event in refused[-1:])),
        f"See why the pods of {resource} are not created: kubectl -n {owner.namespace} describe rs.",
    )


def _creation_failures(mesh: MeshIndex, owner: k8s.Workload) -> list[k8s.Event]:
    names = [
        found.name
        for found in mesh.objects("ReplicaSet", k8s.Workload)
        if any(ref.name == owner.name for ref in found.metadata.owner_references)
    ]
    return [
        event
        for name in (*names, owner.name)
        for event in mesh.events("ReplicaSet", owner.namespace, name)
        if event.reason == "FailedCreate"
    ]


def _unnamed_target(backend: Backend, pods: tuple[k8s.Pod, ...]) -> NoPods | None:
    service = backend.service
    for port in service.spec.ports:
        if backend.port not in (0, port.port) or not isinstance(port.target_port, str):
            continue
        names = {entry.name for pod in pods for container in pod.spec.containers for entry in container.ports}
        if port.target_port not in names:
            resource = Resource("Service", service.namespace, service.name, "spec.ports[].targetPort")
            has = listed(sorted(name for name in names if name)) or "no named port"
            return NoPods(
                "no-endpoints",
                0.98,
                f"targetPort {port.target_port} of {resource} is a port name that no container declares",
                (resource,),
                (Evidence(f"the containers of its {counted(len(pods), 'pod')} declare {has}", "", service.key),),
                f"Set targetPort of {resource} to a declared name or to the number.",
            )
    return None


def _unready(mesh: MeshIndex, service: k8s.Service, pods: tuple[k8s.Pod, ...], lines: Sequence[Seen]) -> NoPods | str:
    owner = mesh.workload(PodRef(pods[0].namespace, pods[0].name))
    resource = blame.of_workload(owner)
    lives = mesh.derived(Lives)
    crashes = [
        exit
        for pod in pods
        for exit in lives.by_ref[PodRef(pod.namespace, pod.name)].crashes()
        if _still_matters(pod, exit, lines)
    ]
    state = Evidence(
        f"{counted(len(pods), 'pod')} of {service.key}, none Ready", mesh.file("Pod"), listed(pod.key for pod in pods)
    )
    if crashes:
        return crashed(resource, [f"{exit.container} ended with {exit.reason} {exit.code}" for exit in crashes], state)
    if not any(pod.status.pod_ip for pod in pods):
        return _unscheduled(mesh, service, resource, pods, state)
    waiting = [status for pod in pods for status in pod.status.container_statuses if not status.ready]
    proxies = [status for status in waiting if status.name == PROXY_CONTAINER]
    proxies += [
        status
        for pod in pods
        for status in pod.status.init_container_statuses
        if status.name == PROXY_CONTAINER and not status.ready
    ]
    if len(proxies) == len(pods):
        return _sidecars_unready(mesh, service, resource, pods, state)
    names = listed(sorted({status.name for status in waiting}))
    return NoPods(
        "endpoints-not-ready",
        0.95,
        f"No pod of {service.key} is Ready: container {names} does not pass its readiness probe",
        (resource,),
        (state, *_probe_failures(mesh, pods)),
        f"See why the readiness probe of {resource} fails: kubectl -n {service.namespace} describe pod.",
    )


def _still_matters(pod: k8s.Pod, exit: Exit, lines: Sequence[Seen]) -> bool:
    """Whether a container's end has to do with the pod's not being ready: it is not back, or it was just before."""
    status = next((one for one in pod.status.container_statuses if one.name == exit.container), None)
    if status is None or status.state.running is None:
        return True
    first = min((seen.start for seen in lines if seen.start is not None), default=None)
    recent = exit.at is None or first is None or exit.at >= first - GENERATION_SECONDS
    return recent and not status.ready


def _unscheduled(
    mesh: MeshIndex, service: k8s.Service, resource: Resource, pods: tuple[k8s.Pod, ...], state: Evidence
) -> NoPods:
    """Pods without an address: they have not been scheduled, or their sandbox is not up."""
    told = [
        event
        for pod in pods
        for event in mesh.events("Pod", pod.namespace, pod.name)
        if event.reason in ("FailedScheduling", "FailedCreatePodSandBox", "FailedMount")
    ]
    why = told[-1].message[:160] if told else "they have no address yet"
    return NoPods(
        "no-endpoints",
        0.85 if told else 0.7,
        f"No pod of {resource} has started, so {service.key} has no endpoint: {why}",
        (resource,),
        (state, *(object_says(mesh, "Event", event, event.message[:200]) for event in told[-1:])),
        f"See why the pods of {resource} do not start: kubectl -n {service.namespace} describe pod.",
    )


def _probe_failures(mesh: MeshIndex, pods: tuple[k8s.Pod, ...]) -> list[Evidence]:
    events = [
        event for pod in pods for event in mesh.events("Pod", pod.namespace, pod.name) if event.reason == "Unhealthy"
    ]
    return [object_says(mesh, "Event", event, event.message[:160]) for event in events[-1:]]


def _sidecars_unready(
    mesh: MeshIndex, service: k8s.Service, resource: Resource, pods: tuple[k8s.Pod, ...], state: Evidence
) -> NoPods:
    lives = mesh.derived(Lives)
    deaths = [
        exit
        for pod in pods
        for exit in lives.by_ref[PodRef(pod.namespace, pod.name)].exits
        if exit.container == PROXY_CONTAINER and (exit.reason == "OOMKilled" or exit.code == 137)
    ]
    if deaths:
        # A sidecar that is killed again and again did become ready; it does not get what it needs to stay.
        return NoPods(
            "proxy-overloaded",
            0.93,
            f"The sidecars of {resource} are killed ({deaths[-1].reason} {deaths[-1].code}), so {service.key} has no "
            "endpoint",
            (resource,),
            (state, Evidence(f"{PROXY_CONTAINER} ended with {deaths[-1].reason}", mesh.file("Pod"), pods[0].key)),
            f"Give istio-proxy of {resource} more memory (sidecar.istio.io/proxyMemoryLimit), and a Sidecar scope.",
        )
    connected = [pod for pod in pods if mesh.sync_records.get(PodRef(pod.namespace, pod.name))]
    says = "istiod does not know these proxies" if not connected else "istiod knows them"
    return NoPods(
        "sidecar-never-ready",
        0.95,
        f"The sidecars of {resource} never became ready, so {service.key} has no endpoint",
        (resource,),
        (
            state,
            Evidence(f"container {PROXY_CONTAINER} is not ready in any of them; {says}", mesh.file("Pod"), pods[0].key),
        ),
        f"Read the log of {PROXY_CONTAINER} in {pods[0].key}: it says why no configuration or certificate arrives "
        "(address of istiod, token, network policy for port 15012).",
    )


def crashed(resource: Resource, ends: Sequence[str], state: Evidence) -> NoPods:
    return NoPods(
        "app-crashed",
        0.95,
        f"The application of {resource} crashes: {listed(ends, 2)}",
        (resource,),
        (state, Evidence(f"{len(ends)} unexpected ends: {listed(ends)}")),
        f"Read the log of the container before its restart (kubectl logs --previous) of {resource}.",
    )


def _during(mesh: MeshIndex, service: k8s.Service, pods: tuple[k8s.Pod, ...], lines: Sequence[Seen]) -> NoPods | str:
    """The interval without ready pods, rebuilt from Killing events and Ready times."""
    times = [seen.start for seen in lines if seen.start is not None]
    owners = {mesh.workload(PodRef(pod.namespace, pod.name)) for pod in pods}
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
    if stopped and came:
        zero = _scaled_to_zero(mesh, resource, first - GENERATION_SECONDS, last)
        return _rescaled(mesh, service, resource, zero) if zero else _rollout(mesh, owner, resource, stopped, came)
    old = [life for life in came if life.created is not None and life.created < first - GENERATION_SECONDS]
    serving = [lives.by_ref[PodRef(pod.namespace, pod.name)] for pod in pods if is_ready(pod)]
    failed = _probe_failures(mesh, pods)
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
