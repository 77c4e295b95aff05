"""UF without TLS: who owns the address that the caller could not connect to?

Gone, alive but unreachable, or never there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.control_plane import absent_proxies, istiod_down, stale_endpoints, stale_records
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.lifecycle import Lives, PodLife
from meshdoctor.mesh.network_policy import blocking
from meshdoctor.mesh.pods import has_sidecar, is_ready
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import counted, lines_say, listed, logged, object_says, remedy
from meshdoctor.mesh.traffic import Seen, split_address
from meshdoctor.mesh.traffic_policy import sets_connect_timeout
from meshdoctor.model.accesslog import parse_details
from meshdoctor.model.moment import clock, duration
from meshdoctor.model.snapshot import PodRef, Want
from meshdoctor.model.wants import ProxyConfig
from meshdoctor.probes.application_connect import exhausted, is_local

SMALL_TIMEOUT = 0.5
"""Seconds. A TCP and TLS handshake needs a few round trips; Istio's default is 10 s."""


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
    gone: list[Seen] = []
    alive: list[Seen] = []
    for seen in lines:
        address = split_address(seen.access.upstream_host if seen.access else None)[0]
        (alive if _lives(mesh, lives, address, seen) else gone).append(seen)
    verdicts: list[Verdict] = []
    said: list[str] = []
    for finding in (
        _gone(case, mesh, lives, tuple(gone)) if gone else None,
        _alive(case, mesh, tuple(alive)) if alive else None,
    ):
        if finding:
            verdicts.extend(finding.verdicts)
            said.append(finding.says)
    return culprit(*verdicts) if verdicts else inconclusive("; ".join(said), lines_say(lines, logged(lines[-1])))


def _lives(mesh: MeshIndex, lives: Lives, address: str, seen: Seen) -> bool:
    """Whether a pod that was not being stopped had *address* when the connection failed."""
    pod = mesh.pod_by_ip(address)
    life = lives.of_address(address, seen.start)
    if life is not None:
        ended = (seen.start or 0.0) + (seen.duration or 0.0) / 1000
        return life.exists and not life.is_stopping(ended)
    return pod is not None


def _gone(case: Case, mesh: MeshIndex, lives: Lives, lines: tuple[Seen, ...]) -> Finding:
    newest = lines[-1]
    addresses = list(dict.fromkeys(split_address(seen.access.upstream_host)[0] for seen in lines if seen.access))
    if not mesh.complete("Pod") or (case.destination.service is None and not _in_slices(mesh, addresses)):
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
    if down and not case.is_over(lines):
        return culprit(
            Verdict(
                "control-plane-down",
                0.93,
                f"{down.summary}, so the proxies still send to pods that are gone",
                down.resources,
                (said, owner, *down.evidence),
                remedy(down.fix),
                lines,
            )
        )
    stale = stale_endpoints(mesh, newest.pod)
    absent = absent_proxies(mesh)
    unacked = stale_records(mesh, newest.pod, mesh.snapshot.info.finished_at)
    client = blame.of_workload(mesh.workload(newest.pod))
    if (newest.pod in absent or (stale and unacked)) and (stale or not case.is_over(lines)):
        return culprit(
            Verdict(
                "proxy-stale",
                0.95,
                f"The sidecar of {client} is cut off from istiod and works on old endpoints",
                (client,),
                (said, owner, *absent.get(newest.pod, ()), *unacked[:1], *stale[:2]),
                remedy(
                    f"See why {newest.pod} cannot reach istiod (log of istio-proxy, network policy for port 15012); "
                    "restart the pod when it can."
                ),
                lines,
            )
        )
    service = mesh.services.get(case.destination.service) if case.destination.service else None
    workloads = {life.workload for life in dead} or {
        mesh.workload(pod.ref) for pod in (mesh.selected_pods(service) if service else ())
    }
    owners = tuple(blame.of_workload(one, "spec.template.spec.containers[].lifecycle") for one in sorted(workloads))
    if not owners:
        return inconclusive(f"no pod with address {listed(addresses)} was recorded")
    return culprit(
        Verdict(
            "stale-endpoint-after-delete",
            0.93,
            f"Callers still sent to pods of {owners[0]} that had been deleted",
            owners,
            (said, owner),
            remedy(
                "Let a pod go on answering while the news of its end travels:",
                "lifecycle:\n  preStop:\n    sleep:\n      seconds: 10",
            ),
            lines,
        )
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
        return _timed_out(case, mesh, timeouts)
    newest = lines[-1]
    pods = {
        pod.key: pod
        for seen in lines
        if seen.access and (pod := mesh.pod_by_ip(split_address(seen.access.upstream_host)[0]))
    }
    bare = [pod for pod in pods.values() if not has_sidecar(pod)]
    if bare and "Connection_refused" in (newest.access.details or "" if newest.access else ""):
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


def _timed_out(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...]) -> Finding:
    newest = lines[-1]
    raw = (newest.access.upstream_cluster or "") if newest.access else ""
    config = mesh.config(newest.pod)
    cluster = config.cluster(raw) if config else None
    limit = duration(cluster.connect_timeout) if cluster else None
    said = lines_say(lines, f"{logged(newest)}, to {newest.access.upstream_host if newest.access else ''}")
    good = sum(not seen.failed for seen in case.timeline)
    if limit is not None and limit <= SMALL_TIMEOUT:
        field = "spec.trafficPolicy.connectionPool.tcp.connectTimeout"
        owner = blame.of_cluster(cluster, field)
        host = newest.cluster.host if newest.cluster else ""
        resources = (
            (owner,)
            if owner
            else tuple(blame.resource(one, field) for one in blame.destination_rules(mesh, host, sets_connect_timeout))
        )
        if not resources and duration(mesh.mesh_config.connect_timeout) == limit:
            resources = (Resource("ConfigMap", mesh.mesh_config.root_namespace, "istio", "data.mesh.connectTimeout"),)
        if not resources:
            return inconclusive(f"a connection gets only {limit * 1000:.0f} ms, and what sets that was not found", said)
        return culprit(
            Verdict(
                "connect-timeout-too-small",
                0.95 if good else 0.7,
                f"{resources[0]} gives a connection only {limit * 1000:.0f} ms, less than a handshake may take",
                resources,
                (
                    said,
                    Evidence(
                        f"connect_timeout is {cluster.connect_timeout if cluster else ''}; {good} other "
                        "requests went well",
                        f"envoy/{newest.pod}/config_dump.json",
                        raw,
                    ),
                ),
                remedy(f"Set connectTimeout in {resources[0]} to a second or more (Istio's default is 10s)."),
                lines,
            )
        )
    address, port = split_address(newest.access.upstream_host if newest.access else None)
    server = mesh.pod_by_ip(address)
    if server is None:
        return inconclusive(f"connections to {address} were never answered")
    client = mesh.pods.get(newest.pod)
    policies = blocking(mesh, server, port, client)
    if policies:
        resources = tuple(Resource("NetworkPolicy", one.namespace, one.name, "spec.ingress") for one in policies)
        return culprit(
            Verdict(
                "packets-dropped",
                0.96,
                f"{resources[0]} does not admit {newest.client} to port {port} of {server.key}: the packets are "
                "dropped",
                resources,
                (
                    said,
                    *(
                        object_says(
                            mesh, "NetworkPolicy", one, f"selects {server.key}; no ingress rule admits the caller"
                        )
                        for one in policies
                    ),
                ),
                remedy(f"Admit {newest.client} to port {port} in {resources[0]}."),
                lines,
            )
        )
    pods = {split_address(seen.access.upstream_host)[0] for seen in lines if seen.access}
    if cluster is None:
        return inconclusive(
            "connections were not answered in time; the caller's own connect timeout was not read", said
        )
    if not has_sidecar(server):
        # Without a sidecar the application itself accepts; one whose queue is full looks just like this.
        return inconclusive(f"{server.key} answers no connection; its packets are dropped, or it is stalled", said)
    if is_ready(server) and len(lines) > 1:
        owner = blame.of_workload(mesh.workload(server.ref))
        return culprit(
            Verdict(
                "packets-dropped",
                0.8,
                f"Packets to {counted(len(pods), 'pod')} of {owner} are dropped: the pod is Ready, and no "
                "connection is answered",
                (owner,),
                (
                    said,
                    Evidence(
                        f"{server.key} is Ready; no NetworkPolicy that was read explains it",
                        mesh.file("Pod"),
                        server.key,
                    ),
                ),
                remedy(
                    "Look below Kubernetes: the CNI's own policies, security groups, the node's state and its firewall."
                ),
                lines,
            )
        )
    return inconclusive(f"connections to {server.key} were never answered")


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
