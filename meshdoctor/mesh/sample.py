"""Which pods of a large mesh are looked at when not all can be: 5,000 proxies and their logs take minutes.

Whoever is asked about, the gateways and ztunnels (all traffic from outside or of a node passes them), proxies that are
not well, and then of each workload as many pods as there is room for: pods of one workload have one configuration.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import zip_longest
from typing import Any

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.named import named
from meshdoctor.mesh.question import Question, parse_question
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.snapshot import PodRef, Want

MOST_PODS = 300
"""Pods of a cluster whose logs and counters are read to find what fails: that many take half a minute."""
UNWELL_SHARE = 4
"""At most one in so many of the pods is chosen because it is not well: in a rollout hundreds are not."""


def sample(mesh: MeshIndex, question: Question | None, most: int, namespace: str = "") -> frozenset[PodRef] | None:
    """At most *most* of the pods that have a proxy, a ztunnel or an istiod; None when there are no more than that.

    Those of the *question* and of a *namespace* that is looked at come first.
    """
    inventory = mesh.inventory
    pods = dict.fromkeys((*inventory.proxies, *inventory.ztunnels, *(log.pod for log in inventory.logs)))
    if len(pods) <= most:
        return None
    chosen: dict[PodRef, None] = {}
    within = (pod for pod in pods if namespace and pod.namespace == namespace)
    for pod in (*within, *_in_order(mesh, question, pods, most)):
        if pod in pods:
            chosen[pod] = None
        if len(chosen) == most:
            break
    return frozenset(chosen)


def spared(mesh: MeshIndex, wants: Iterable[Want[Any]], client: str, target: str = "") -> list[Want[Any]]:
    """*wants*; in a large cluster those of the pods that are meant, and of some of each workload.

    *client* is a namespace or a workload as `--from` takes it, *target* as `--to` does; "" for nobody in particular.
    """
    namespace = client if client and "/" not in client else ""
    few = sample(mesh, parse_question("" if namespace else client, target), MOST_PODS, namespace)
    return _of_pods(wants, few)


def _of_pods(wants: Iterable[Want[Any]], few: Container[PodRef] | None) -> list[Want[Any]]:
    return [want for want in wants if few is None or (pod := _pod_of(want)) is None or pod in few]


def _pod_of(want: Any) -> PodRef | None:
    log = getattr(want, "log", None)
    return log.pod if log is not None else getattr(want, "pod", None)


def _in_order(mesh: MeshIndex, question: Question | None, pods: Iterable[PodRef], most: int) -> Iterator[PodRef]:
    pods = tuple(pods)
    if question is not None:
        yield from _asked_about(mesh, question)
    istiods = set(mesh.inventory.istiods)
    yield from (pod for pod in pods if pod.name in istiods or mesh.is_gateway(pod))
    yield from mesh.inventory.ztunnels
    unwell = [pod for pod in pods if (found := mesh.pods.get(pod)) is not None and not _is_well(found)]
    yield from unwell[: most // UNWELL_SHARE]
    by_workload: dict[object, list[PodRef]] = {}
    for pod in pods:
        by_workload.setdefault(mesh.workload(pod), []).append(pod)
    for one_of_each in zip_longest(*by_workload.values()):
        yield from (pod for pod in one_of_each if pod is not None)


def _asked_about(mesh: MeshIndex, question: Question) -> Iterator[PodRef]:
    clients = named(mesh, question.client) if question.client else ()
    for client in clients:
        yield from client.pods
    if not question.host:
        return
    namespace = clients[0].workload.namespace if clients else ""
    service = mesh.service_by_host(question.host, namespace) or mesh.service_by_ip(question.host)
    if service is not None:
        yield from (PodRef(pod.namespace, pod.name) for pod in mesh.selected_pods(service))


def _is_well(pod: Pod) -> bool:
    statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
    return pod.status.phase == "Running" and not any(status.restart_count for status in statuses)
