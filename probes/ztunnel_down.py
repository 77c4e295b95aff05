"""Does a ztunnel serve the node of the caller and of the server?

An ambient pod whose ztunnel is gone has no network: its traffic, and its DNS queries, are still redirected to sockets
that nobody serves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from meshdoctor.mesh.ambient import is_captured, serves, ztunnel_daemon_sets, ztunnels_on
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import (
    CONFIGURATION_ONLY,
    Evidence,
    Finding,
    Resource,
    Verdict,
    cleared,
    culprit,
    inconclusive,
    not_applicable,
)
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Lives, PodLife
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import counted, lines_say, listed, logged, object_says, remedy
from meshdoctor.mesh.traffic import APPLICATION, Seen
from meshdoctor.mesh.ztunnel.failures import (
    TUNNEL_BROKEN,
    TUNNEL_REFUSED,
    TUNNEL_TIMEOUT,
    explained,
    failures,
    silent,
)
from meshdoctor.mesh.ztunnel.tunnels import target_pod
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.moment import clock, unix
from meshdoctor.model.snapshot import PodRef

_ASSIGNED = re.compile(r"Successfully assigned \S+ to (?P<node>\S+)")


DEFAULT_NAME = "ztunnel"
"""The name of the DaemonSet in Istio's chart (manifests/charts/ztunnel)."""


class Outage(NamedTuple):
    """A time without ztunnel on a *node*; *begin* None: unknown, *end* None: it lasts."""

    node: str
    begin: float | None
    end: float | None
    evidence: tuple[Evidence, ...]


def examine(case: Case, mesh: MeshIndex) -> Finding:
    daemons = {found.namespace for found in ztunnel_daemon_sets(mesh)}
    if not mesh.complete("DaemonSet", *daemons) or not mesh.complete("Pod", *daemons, *case.namespaces):
        return inconclusive("pods or DaemonSets could not be read")
    lines = silent(case)
    clients = _nodes(mesh, (seen.pod for seen in case.seen if seen.side == APPLICATION))
    servers = _server_nodes(case, mesh)
    tunnels = failures(case, TUNNEL_REFUSED, TUNNEL_TIMEOUT, TUNNEL_BROKEN)
    for node in dict.fromkeys((*clients, *servers)):
        for outage in _outages(mesh, node):
            ours = (
                _within(lines, outage)
                if node in clients
                else explained(case, _within(_to(mesh, tunnels, node), outage))
            )
            if ours and (outage.end is not None or _lasts(case, ours)):
                return culprit(_verdict(case, mesh, outage, ours))
    if not lines and not tunnels:
        return not_applicable("no call was left without an answer")
    return cleared("a ztunnel serves every node of this flow")


def _nodes(mesh: MeshIndex, refs: Iterable[PodRef]) -> set[str]:
    """The nodes of captured pods: where no ztunnel redirects, none is missed."""
    pods = [mesh.pods[ref] for ref in dict.fromkeys(refs) if ref in mesh.pods]
    return {pod.spec.node_name for pod in pods if is_captured(pod) and pod.spec.node_name}


def _server_nodes(case: Case, mesh: MeshIndex) -> set[str]:
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    pods = mesh.selected_pods(service) if service else ()
    return _nodes(mesh, (pod.ref for pod in pods))


def _to(mesh: MeshIndex, lines: Iterable[Seen], node: str) -> tuple[Seen, ...]:
    """The connections to pods on *node*."""
    found = []
    for seen in lines:
        ref = target_pod(mesh, seen.tunnel) if seen.tunnel else None
        pod = mesh.pods.get(ref) if ref else None
        if pod and pod.spec.node_name == node:
            found.append(seen)
    return tuple(found)


def _outages(mesh: MeshIndex, node: str) -> list[Outage]:
    """When *node* was without ztunnel, as pods, container states and events tell."""
    pods = ztunnels_on(mesh, node)
    ready = [pod for pod in pods if serves(pod)]
    stops = [(life.stopped, life.ref) for life in _gone(mesh, node) if life.stopped is not None]
    if not ready:
        stops += [(moment, pod.ref) for pod in pods if (moment := _unready_since(pod))]
        begin = min((moment for moment, _ in stops), default=None) if pods else max((m for m, _ in stops), default=None)
        return [Outage(node, begin, None, (*_stopped_says(mesh, stops), _none_says(mesh, node, pods)))]
    found = []
    for pod in ready:
        came = next((unix(c.last_transition_time) for c in pod.status.conditions if c.type == "Ready"), None)
        life = mesh.derived(Lives).by_ref.get(pod.ref)
        exits = [exit.at for exit in life.exits if exit.at is not None] if life else []
        before = [(moment, ref) for moment, ref in stops if came is not None and moment <= came]
        begins = [*(moment for moment, _ in before[-1:]), *(moment for moment in exits if came and moment <= came)]
        if begins and came is not None:
            says = Evidence(f"{pod.key} became Ready at {clock(came)} UTC", mesh.file("Pod"), pod.key)
            found.append(Outage(node, max(begins), came, (*_stopped_says(mesh, before[-1:]), says)))
    return found


def _unready_since(pod: k8s.Pod) -> float | None:
    return next(
        (unix(c.last_transition_time) for c in pod.status.conditions if c.type == "Ready" and c.status != "True"), None
    )


def _gone(mesh: MeshIndex, node: str) -> Iterator[PodLife]:
    """The lives of ztunnel pods of a node that exist no more (an event tells which node was theirs)."""
    names = {(one.namespace, one.name) for one in mesh.derived(ztunnel_daemon_sets)}
    for ref, life in mesh.derived(Lives).by_ref.items():
        if (ref.namespace, ref.name.rpartition("-")[0]) in names:
            placed = [_ASSIGNED.search(event.message) for event in mesh.events("Pod", *ref)]
            nodes = {match["node"] for match in placed if match}
            if not nodes or node in nodes:
                yield life


def _stopped_says(mesh: MeshIndex, stops: list[tuple[float, PodRef]]) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(f"{ref} was stopped at {clock(moment)} UTC", mesh.file("Event"), str(ref))
        for moment, ref in sorted(stops)[-1:]
    )


def _none_says(mesh: MeshIndex, node: str, pods: tuple[k8s.Pod, ...]) -> Evidence:
    if not pods:
        return Evidence(f"no ztunnel pod on node {node}", mesh.file("Pod"), node)
    waiting = [
        status.state.waiting.reason
        for pod in pods
        for status in pod.status.container_statuses
        if status.state.waiting and status.state.waiting.reason
    ]
    reason = f" ({listed(waiting)})" if waiting else ""
    names = listed(pod.key for pod in pods)
    return Evidence(f"{counted(len(pods), 'ztunnel pod')} on node {node}, none Ready{reason}", mesh.file("Pod"), names)


def _within(lines: Iterable[Seen], outage: Outage) -> tuple[Seen, ...]:
    return tuple(
        seen
        for seen in lines
        if seen.start is not None
        and (outage.begin is None or seen.start + (seen.duration or 0.0) / 1000 >= outage.begin)
        and (outage.end is None or seen.start <= outage.end)
    )


def _lasts(case: Case, lines: tuple[Seen, ...]) -> bool:
    """Whether nothing went well once the failures were there: what a node without ztunnel looks like."""
    last = max(seen.start or 0.0 for seen in lines)
    return len(lines) > 1 and not case.successes_after(last)


def _verdict(case: Case, mesh: MeshIndex, outage: Outage, lines: tuple[Seen, ...]) -> Verdict:
    owner = next(iter(mesh.derived(ztunnel_daemon_sets)), None)
    resource = (
        Resource("DaemonSet", owner.namespace, owner.name)
        if owner
        else Resource("DaemonSet", mesh.mesh_config.root_namespace, DEFAULT_NAME)
    )
    over = outage.end is not None
    how = "did not run" if over else "does not run"
    missed = _unmet(mesh, outage.node, owner.spec.template.spec.node_selector) if owner and not over else []
    why = f": its nodeSelector asks for {listed(missed)}, which the node has not" if missed else ""
    return Verdict(
        "ztunnel-down",
        (0.9 if _began(case, lines) else CONFIGURATION_ONLY) if over else 0.97,
        f"ztunnel {how} on node {outage.node}, so the ambient pods there have no network{why}",
        (resource,),
        (lines_say(lines, logged(lines[-1])), *outage.evidence, _state(mesh, owner)),
        remedy(
            f"Bring ztunnel back on node {outage.node}: correct nodeSelector, tolerations or image of {resource}; "
            "update it one node at a time, after draining the node."
        ),
        lines,
    )


def _began(case: Case, lines: tuple[Seen, ...]) -> bool:
    """Whether the logs hold the beginning of the failures; else what they show may be the end of something longer."""
    first = min(seen.start or 0.0 for seen in lines)
    return any(not seen.failed and (seen.start or first) < first for seen in case.seen)


def _state(mesh: MeshIndex, owner: k8s.Workload | None) -> Evidence:
    if owner is None:
        return Evidence("no ztunnel DaemonSet is there, while pods are redirected to it", mesh.file("DaemonSet"))
    status = owner.status
    labels = ",".join(f"{key}={value}" for key, value in owner.spec.template.spec.node_selector.items())
    ready = f"{status.number_ready} of {status.desired_number_scheduled} pods are Ready"
    return object_says(mesh, "DaemonSet", owner, f"{ready}; nodeSelector {labels or 'none'}")


def _unmet(mesh: MeshIndex, node: str, selector: dict[str, str]) -> list[str]:
    """The parts of a nodeSelector that a node does not have."""
    found = next((one for one in mesh.objects("Node", k8s.Node) if one.name == node), None)
    if found is None:
        return []
    return [f"{key}={value}" for key, value in selector.items() if found.metadata.labels.get(key) != value]


PROBE = Probe("ztunnel-down", "Does ztunnel run on the nodes of this flow?", ("ztunnel-down",), examine)
