"""The application saw its call fail, and no proxy logged it: was there a proxy to log it?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, merged, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Lives, PodLife
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, logged, remedy
from meshdoctor.mesh.traffic import CLIENT, Seen
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.moment import clock, unix
from meshdoctor.model.pods import PROXY_CONTAINER, has_sidecar, is_native_sidecar, is_ready
from meshdoctor.model.snapshot import PodRef, Want
from meshdoctor.model.wants import LogText

SPENT = ("cannot assign requested address", "eaddrnotavail", "too many open files", "emfile")
"""What the kernel tells an application that has used up its own ports or descriptors."""
HOLD = "holdApplicationUntilProxyStarts"
READY_SLACK = 3.0
"""Seconds: the Ready condition is set up to a probe period before or after the proxy takes connections."""


def _silent(case: Case) -> tuple[Seen, ...]:
    """Calls that got no HTTP answer, in pods whose proxy logged no failure at that time."""
    told = [seen for seen in case.failures if seen.side == CLIENT and seen.start is not None]
    return tuple(
        seen
        for seen in case.calls
        if seen.call
        and seen.call.status == 0
        and not any(abs((one.start or 0.0) - (seen.start or 0.0)) < 1.0 and one.pod == seen.pod for one in told)
    )


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = _silent(case)
    if not lines:
        return not_applicable("every failed call was logged by a proxy")
    lives = mesh.derived(Lives)
    groups: dict[PodRef, list[Seen]] = {}
    for seen in lines:
        groups.setdefault(seen.pod, []).append(seen)
    findings = [_of_pod(mesh, lives.by_ref.get(pod), pod, tuple(group)) for pod, group in groups.items()]
    return merged(findings)


def _of_pod(mesh: MeshIndex, life: PodLife | None, ref: PodRef, lines: tuple[Seen, ...]) -> Finding:
    pod = mesh.pods.get(ref)
    said = lines_say(lines, f"{logged(lines[-1])[:120]}, and no line of a proxy")
    if life is None or (pod is not None and not has_sidecar(pod)):
        return inconclusive("the call failed without an HTTP answer, and the caller has no proxy that could tell", said)
    owner = blame.of_workload(life.workload)
    spent = tuple(seen for seen in lines if seen.call and any(word in seen.call.error.lower() for word in SPENT))
    if len(spent) > 1:
        return culprit(_nothing_left(owner, spent))
    first, last = min(seen.start or 0.0 for seen in lines), max(seen.start or 0.0 for seen in lines)
    before = _before_the_sidecar(mesh, pod, lines) if pod is not None else ()
    if before:
        return culprit(_init_container(owner, ref, before, mesh))
    native = pod is not None and is_native_sidecar(pod.spec)
    if life.stopped is not None and first >= life.stopped - 1.0 and not native:
        told = f"{ref} was told to stop at {clock(life.stopped)} UTC; the calls fail from {clock(first)} on"
        return culprit(_exits_first(owner, (said, Evidence(told, mesh.file("Event"), str(ref))), lines))
    if pod is not None and _proxy_unready(pod) and not native:
        return culprit(_never_ready(mesh, owner, ref, said, lines))
    ready = _proxy_ready(mesh, life)
    if pod is None or ready is None or last > ready + READY_SLACK or native:
        return inconclusive("calls failed without an HTTP answer while the sidecar ran", said)
    if not _waits(mesh, pod):
        told = f"the sidecar of {ref} was ready at {clock(ready)} UTC; the calls before that were refused"
        return culprit(_starts_first(owner, (said, Evidence(told, mesh.file("Pod"), str(ref))), lines))
    return inconclusive("calls failed at the pod's start, although its application waits for the sidecar", said)


def _nothing_left(owner: Resource, spent: tuple[Seen, ...]) -> Verdict:
    return Verdict(
        "local-resource-exhausted",
        0.9,
        f"{owner} has no local port (or descriptor) left for new connections",
        (owner,),
        (lines_say(spent, logged(spent[-1])[:120]),),
        remedy(f"Reuse connections in {owner} (keep-alive, HTTP/2), or spread its calls over more pods."),
        spent,
    )


def _exits_first(owner: Resource, evidence: tuple[Evidence, ...], lines: tuple[Seen, ...]) -> Verdict:
    return Verdict(
        "sidecar-exits-before-app",
        0.94,
        f"The sidecar of {owner} exits while the application still works, so its last calls fail",
        (_annotations(owner),),
        evidence,
        remedy(
            "Use native sidecars, or let the sidecar drain longer than the application needs to finish:",
            "metadata:\n  annotations:\n    proxy.istio.io/config: |\n      terminationDrainDuration: 30s",
        ),
        lines,
    )


def _never_ready(mesh: MeshIndex, owner: Resource, ref: PodRef, said: Evidence, lines: tuple[Seen, ...]) -> Verdict:
    return Verdict(
        "sidecar-never-ready",
        0.93,
        f"The sidecar of {owner} never became ready, so its application has no network",
        (owner,),
        (said, Evidence(f"container {PROXY_CONTAINER} of {ref} is not ready", mesh.file("Pod"), str(ref))),
        remedy(
            f"Read the log of {PROXY_CONTAINER} in {ref}: it says why no configuration or certificate arrives "
            "(address of istiod, token, network policy for port 15012)."
        ),
        lines,
    )


def _starts_first(owner: Resource, evidence: tuple[Evidence, ...], lines: tuple[Seen, ...]) -> Verdict:
    return Verdict(
        "sidecar-start-race",
        0.94,
        f"The application of {owner} calls before its sidecar listens",
        (_annotations(owner),),
        evidence,
        remedy(
            "Let the application wait for its sidecar (or use native sidecars):",
            "metadata:\n  annotations:\n    proxy.istio.io/config: |\n      holdApplicationUntilProxyStarts: true",
        ),
        lines,
    )


def _annotations(owner: Resource) -> Resource:
    return Resource(owner.kind, owner.namespace, owner.name, "spec.template.metadata.annotations")


def _waits(mesh: MeshIndex, pod: k8s.Pod) -> bool:
    """Whether the application starts only after its sidecar is ready (holdApplicationUntilProxyStarts, of the pod's own
    proxy config or the mesh's): istiod then puts the sidecar first, with a postStart hook that waits.
    """
    own = pod.metadata.annotations.get("proxy.istio.io/config", "")
    if HOLD in own:
        return "true" in own.partition(HOLD)[2].partition("\n")[0].lower()
    return mesh.mesh_config.default_config.get(HOLD) is True


def _before_the_sidecar(mesh: MeshIndex, pod: k8s.Pod, lines: tuple[Seen, ...]) -> tuple[Seen, ...]:
    """Calls of init containers that run before the sidecar, towards a Service that has a ready pod."""
    names = [container.name for container in pod.spec.init_containers]
    early = names[: names.index(PROXY_CONTAINER)] if PROXY_CONTAINER in names else names
    return tuple(
        seen
        for seen in lines
        if seen.log
        and seen.log.container in early
        and (service := mesh.services.get(seen.destination.service or ("", ""))) is not None
        and any(is_ready(server) for server in mesh.selected_pods(service))
    )


def _init_container(owner: Resource, ref: PodRef, lines: tuple[Seen, ...], mesh: MeshIndex) -> Verdict:
    name = lines[-1].log.container if lines[-1].log else ""
    return Verdict(
        "init-container-needs-network",
        0.88,
        f"Init container {name} of {owner} calls {lines[-1].destination} before the pod's sidecar runs",
        (owner,),
        (
            lines_say(lines, f"{logged(lines[-1])[:120]}, and no line of a proxy"),
            Evidence(f"{name} runs before {PROXY_CONTAINER} in {ref}", mesh.file("Pod"), str(ref)),
        ),
        remedy("Use native sidecars (Kubernetes 1.33 or newer), or do this work in the application container."),
        lines,
    )


def _proxy_ready(mesh: MeshIndex, life: PodLife) -> float | None:
    """When the proxy could take connections: pilot-agent's own line where its log was read, else the pod's Ready
    time.
    """
    for log in mesh.inventory.logs:
        if log.pod != life.ref or log.container != PROXY_CONTAINER:
            continue
        for line in (mesh.snapshot.value(LogText(log)) or "").splitlines():
            if "Envoy proxy is ready" in line:
                return unix(line.partition("\t")[0])
    return life.ready


def _proxy_unready(pod: k8s.Pod) -> bool:
    """Whether the sidecar runs without being ready; one that has not been started yet is no sidecar to blame."""
    return any(
        status.name == PROXY_CONTAINER and not status.ready and status.state.running is not None
        for status in pod.status.container_statuses
    )


def needs(case: Case, mesh: MeshIndex) -> Iterable[Want[Any]]:
    pods = {seen.pod for seen in _silent(case)}
    return [LogText(log) for log in mesh.inventory.logs if log.pod in pods and log.container == PROXY_CONTAINER]


PROBE = Probe(
    "silent-failure",
    "Was there a proxy to log the failure?",
    (
        "sidecar-start-race",
        "sidecar-exits-before-app",
        "sidecar-never-ready",
        "local-resource-exhausted",
        "init-container-needs-network",
    ),
    examine,
    needs,
)
