"""Why a Service has no healthy pod behind it: the selector, the scale or a port name, or else the pods (`unready`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from meshdoctor.mesh.control_plane import istiod_down
from meshdoctor.mesh.finding import Evidence, Resource
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.interruptions import NoPods, why_for_a_while
from meshdoctor.mesh.quoting import counted, listed, object_says
from meshdoctor.mesh.traffic import Seen
from meshdoctor.mesh.unready import unready
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.labels import selects, selects_some
from meshdoctor.model.pods import is_ready, long_running


class Backend(NamedTuple):
    """A Service, one of its ports (0: any), and the *labels* of the subset that is meant."""

    service: k8s.Service
    port: int
    labels: tuple[tuple[str, str], ...] = ()


def why_no_pods(mesh: MeshIndex, backend: Backend, lines: Sequence[Seen], over: bool) -> NoPods | str:
    """Why *backend* had no healthy pod when *lines* failed; a sentence when nothing proves a reason.

    *over*: the failures have ended, so that the pods' state at the end of the recording says nothing of them.
    """
    service = backend.service
    subset = dict(backend.labels)
    pods = tuple(pod for pod in mesh.selected_pods(service) if selects(subset, pod.metadata.labels))
    unnamed = _unnamed_target(backend, pods) if pods and not over else None
    if unnamed:
        return unnamed
    if over or any(is_ready(pod) for pod in pods):
        return why_for_a_while(mesh, service, pods, lines)
    if not service.spec.selector:
        return f"Service {service.key} has no selector: its endpoints are kept by somebody else"
    if not pods:
        return _nothing_selected(mesh, service)
    return unready(mesh, service, pods, lines)


def _nothing_selected(mesh: MeshIndex, service: k8s.Service) -> NoPods | str:
    selector = service.spec.selector or {}
    wanted = ",".join(f"{key}={value}" for key, value in selector.items())
    nothing = Evidence(f"no pod in {service.namespace} has the labels {wanted}", mesh.file("Pod"), service.key)
    owners = [
        found
        for kind in ("Deployment", "StatefulSet")
        for found in mesh.objects(kind, k8s.Workload)
        if found.namespace == service.namespace and selects_some(selector, found.spec.template.metadata.labels)
    ]
    if not owners and not mesh.known("Deployment", service.namespace):
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
        names = {entry.name for pod in pods for container in long_running(pod.spec) for entry in container.ports}
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
