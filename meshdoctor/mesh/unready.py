"""Why none of a Service's pods is Ready: they crash, have not started, or their application or sidecar is not ready."""

from __future__ import annotations

from collections.abc import Sequence

from meshdoctor.mesh import blame
from meshdoctor.mesh.finding import Evidence, Resource
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.interruptions import GENERATION_SECONDS, NoPods, crashed, probe_failures
from meshdoctor.mesh.lifecycle import Exit, Lives
from meshdoctor.mesh.quoting import counted, listed, object_says
from meshdoctor.mesh.traffic import Seen
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.pods import PROXY_CONTAINER


def unready(mesh: MeshIndex, service: k8s.Service, pods: tuple[k8s.Pod, ...], lines: Sequence[Seen]) -> NoPods:
    """The reason for *pods*, of which there is at least one and none is Ready."""
    owner = mesh.workload(pods[0].ref)
    resource = blame.of_workload(owner)
    lives = mesh.derived(Lives)
    crashes = [exit for pod in pods for exit in lives.by_ref[pod.ref].crashes() if _still_matters(pod, exit, lines)]
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
        (state, *probe_failures(mesh, pods)),
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


def _sidecars_unready(
    mesh: MeshIndex, service: k8s.Service, resource: Resource, pods: tuple[k8s.Pod, ...], state: Evidence
) -> NoPods:
    lives = mesh.derived(Lives)
    deaths = [
        exit
        for pod in pods
        for exit in lives.by_ref[pod.ref].exits
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
    connected = [pod for pod in pods if mesh.sync_records.get(pod.ref)]
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
