"""UF without TLS: who owns the address that the caller could not connect to?

Gone, alive but unreachable, or never there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.control_plane import (
    Trouble,
    absent_proxies,
    istiod_down,
    istiod_pods,
    stale_endpoints,
    stale_records,
)
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Lives, PodLife
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, remedy
from meshdoctor.mesh.traffic import Seen
from meshdoctor.mesh.unanswered import timed_out
from meshdoctor.model.accesslog import parse_details
from meshdoctor.model.envoy.address import split_address
from meshdoctor.model.moment import clock
from meshdoctor.model.pods import has_proxy
from meshdoctor.model.snapshot import PodRef, Want
from meshdoctor.model.wants import ProxyConfig
from meshdoctor.probes.application_connect import exhausted, is_local, is_refused


def _unconnected(case: Case) -> tuple[Seen, ...]:
    """Lines whose connection failed before TLS said anything."""
    return tuple(
        seen
        for seen in case.with_flag("UF")
        if seen.access and "TLS_error" not in (seen.access.details or "") + (seen.access.transport_failure or "")
    )


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = _unconnected(case)
    if not lines:
        return not_applicable("no connection failed before its TLS handshake")
    local = tuple(seen for seen in lines if is_local(seen))
    if local:
        return exhausted(case, mesh, local)
    lives = mesh.derived(Lives)
    answers = _last_answers(case)
    gone: list[Seen] = []
    alive: list[Seen] = []
    for seen in lines:
        address = seen.upstream[0]
        if not address:
            continue
        ended = (seen.start or 0.0) + (seen.duration or 0.0) / 1000
        there = answers.get(address, 0.0) > ended or _lives(mesh, lives, address, seen)
        (alive if there else gone).append(seen)
    verdicts: list[Verdict] = []
    said: list[str] = []
    for finding in (
        _gone(case, mesh, lives, tuple(gone)) if gone else None,
        _alive(case, mesh, tuple(alive)) if alive else None,
    ):
        if finding:
            verdicts.extend(finding.verdicts)
            said.append(finding.says)
    why = "; ".join(said) or "connections failed, and the log does not say to which address"
    return culprit(*verdicts) if verdicts else inconclusive(why, lines_say(lines, logged(lines[-1])))


def _last_answers(case: Case) -> dict[str, float]:
    """When each upstream address last gave the caller a good answer: until then it was there."""
    found: dict[str, float] = {}
    for seen in case.timeline:
        if seen.access and seen.access.upstream_host and not seen.failed:
            address = split_address(seen.access.upstream_host)[0]
            found[address] = max(found.get(address, 0.0), seen.start or 0.0)
    return found


def _lives(mesh: MeshIndex, lives: Lives, address: str, seen: Seen) -> bool:
    """Whether a pod that was not being stopped had *address* when the connection failed."""
    pod = mesh.pod_by_ip(address)
    life = lives.of_address(address, seen.start)
    if life is not None:
        ended = (seen.start or 0.0) + (seen.duration or 0.0) / 1000
        # A pod that was only stopped later is gone now, and was alive when the connection failed.
        return not life.is_stopping(ended) and (life.exists or life.stopped is not None)
    return pod is not None


def _gone(case: Case, mesh: MeshIndex, lives: Lives, lines: tuple[Seen, ...]) -> Finding:
    newest = lines[-1]
    addresses = list(dict.fromkeys(split_address(seen.access.upstream_host)[0] for seen in lines if seen.access))
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    # Behind a Service with a selector are pods of its namespace; any other address may be a pod's of any namespace.
    where = (service.namespace,) if service and service.spec.selector else ()
    if not mesh.complete("Pod", *where) or (case.destination.service is None and not _in_slices(mesh, addresses)):
        outside = tuple(seen for seen in lines if _reason(seen) == "connection_timeout")
        if outside and mesh.complete("Pod"):
            return timed_out(case, mesh, outside)
        return inconclusive(f"no pod with address {listed(addresses)} was recorded")
    said = lines_say(lines, f"{logged(newest)}, to {listed(addresses)}")
    dead = [life for address in addresses if (life := lives.of_address(address, newest.start))]
    owner = Evidence(
        f"{listed(f'{life.ref} ({_fate(life)})' for life in dead)} had this address"
        if dead
        else "no pod has this address",
        mesh.file("Pod"),
        listed(addresses),
    )
    down = istiod_down(mesh)
    if down is None and mesh.in_part("Pod") and not istiod_pods(mesh):
        return inconclusive("the proxies send to pods that are gone; whether istiod runs was not read", said, owner)
    if down and not case.is_over(lines):
        return culprit(_no_news(down, lines, (said, owner)))
    stale = stale_endpoints(mesh, newest.pod)
    absent = absent_proxies(mesh)
    unacked = stale_records(mesh, newest.pod, mesh.snapshot.info.finished_at)
    if (newest.pod in absent or (stale and unacked)) and (stale or not case.is_over(lines)):
        shown = (said, owner, *absent.get(newest.pod, ()), *unacked[:1], *stale[:2])
        return culprit(_cut_off(mesh, lines, shown))
    workloads = {life.workload for life in dead} or {
        mesh.workload(pod.ref) for pod in (mesh.selected_pods(service) if service else ())
    }
    owners = tuple(blame.of_workload(one, "spec.template.spec.containers[].lifecycle") for one in sorted(workloads))
    if not owners:
        return inconclusive(f"no pod with address {listed(addresses)} was recorded")
    return culprit(_sent_too_late(owners, lines, (said, owner)))


def _no_news(down: Trouble, lines: tuple[Seen, ...], evidence: tuple[Evidence, ...]) -> Verdict:
    return Verdict(
        "control-plane-down",
        0.93,
        f"{down.summary}, so the proxies still send to pods that are gone",
        down.resources,
        (*evidence, *down.evidence),
        remedy(down.fix),
        lines,
    )


def _cut_off(mesh: MeshIndex, lines: tuple[Seen, ...], evidence: tuple[Evidence, ...]) -> Verdict:
    pod = lines[-1].pod
    client = blame.of_workload(mesh.workload(pod))
    return Verdict(
        "proxy-stale",
        0.95,
        f"The sidecar of {client} is cut off from istiod and works on old endpoints",
        (client,),
        evidence,
        remedy(
            f"See why {pod} cannot reach istiod (log of istio-proxy, network policy for port 15012); "
            "restart the pod when it can."
        ),
        lines,
    )


def _sent_too_late(owners: tuple[Resource, ...], lines: tuple[Seen, ...], evidence: tuple[Evidence, ...]) -> Verdict:
    return Verdict(
        "stale-endpoint-after-delete",
        0.93,
        f"Callers still sent to pods of {owners[0]} that had been deleted",
        owners,
        evidence,
        remedy(
            "Let a pod go on answering while the news of its end travels:",
            "lifecycle:\n  preStop:\n    sleep:\n      seconds: 10",
        ),
        lines,
    )


def _in_slices(mesh: MeshIndex, addresses: Iterable[str]) -> bool:
    known = {mesh.derived(Lives).of_address(address, None) for address in addresses}
    return any(known)


def _fate(life: PodLife) -> str:
    if life.stopped:
        return f"told to stop at {clock(life.stopped)} UTC"
    return "exists" if life.exists else "gone"


def _alive(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...]) -> Finding:
    timeouts = tuple(seen for seen in lines if _reason(seen) == "connection_timeout")
    if timeouts:
        return timed_out(case, mesh, timeouts)
    newest = lines[-1]
    pods = {
        pod.key: pod
        for seen in lines
        if seen.access and (pod := mesh.pod_by_ip(split_address(seen.access.upstream_host)[0]))
    }
    bare = [pod for pod in pods.values() if not has_proxy(pod)]
    if bare and is_refused(newest):
        return _refused(case, mesh, lines, PodRef(bare[0].namespace, bare[0].name))
    return inconclusive(f"connections to {listed(pods)} failed, though these pods run")


def _reason(seen: Seen) -> str:
    return parse_details(seen.access.details or "").reason or "" if seen.access else ""


def _refused(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...], pod: PodRef) -> Finding:
    port = split_address(lines[-1].access.upstream_host if lines[-1].access else None)[1]
    service = blame.of_service(case.destination, "spec.ports[].targetPort")
    owner = blame.of_workload(mesh.workload(pod))
    resources = tuple(one for one in (service, owner) if one)
    return culprit(
        Verdict(
            "nothing-listens-on-target-port",
            0.92,
            f"Nothing listens on port {port} of {owner}, to which {resources[0]} sends",
            resources,
            (
                lines_say(lines, logged(lines[-1])),
                Evidence(f"{pod} runs and has no sidecar: it refused by itself", mesh.file("Pod"), str(pod)),
            ),
            remedy(f"Set targetPort of {resources[0]} to the port that the application listens on (on 0.0.0.0)."),
            lines,
        )
    )


def needs(case: Case, mesh: MeshIndex) -> Iterable[Want[Any]]:
    return [ProxyConfig(pod) for pod in dict.fromkeys(seen.pod for seen in _unconnected(case))]


PROBE = Probe(
    "upstream-connect",
    "Who owns the address that could not be reached?",
    (
        "stale-endpoint-after-delete",
        "proxy-stale",
        "control-plane-down",
        "packets-dropped",
        "connect-timeout-too-small",
        "local-resource-exhausted",
        "nothing-listens-on-target-port",
    ),
    examine,
    needs,
)
