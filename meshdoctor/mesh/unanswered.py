"""Connections that nobody answers: too little time for a handshake, a NetworkPolicy, or packets dropped below."""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.network_policy import blocking
from meshdoctor.mesh.pods import has_sidecar, is_ready
from meshdoctor.mesh.quoting import counted, lines_say, logged, object_says, remedy
from meshdoctor.mesh.traffic import Seen, split_address
from meshdoctor.mesh.traffic_policy import sets_connect_timeout
from meshdoctor.model.moment import duration

SMALL_TIMEOUT = 0.5
"""Seconds. A TCP and TLS handshake needs a few round trips; Istio's default is 10 s."""


def timed_out(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...]) -> Finding:
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
    answered = _answered_meanwhile(case, lines)
    if answered:
        return inconclusive(
            f"{counted(len(lines), 'connection')} to {server.key} had no answer, and {len(answered)} requests were "
            "answered there meanwhile: its packets are not dropped as a whole",
            said,
        )
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


def _answered_meanwhile(case: Case, lines: tuple[Seen, ...]) -> tuple[Seen, ...]:
    """Good answers to the same proxy from the addresses of *lines*, asked while these connections were tried."""
    places = {(seen.pod, seen.access.upstream_host) for seen in lines if seen.access}
    begin = min((seen.start or 0.0 for seen in lines), default=0.0)
    end = max(((seen.start or 0.0) + (seen.duration or 0.0) / 1000 for seen in lines), default=0.0)
    return tuple(
        seen
        for seen in case.timeline
        if seen.access
        and not seen.failed
        and (seen.pod, seen.access.upstream_host) in places
        and begin < (seen.start or 0.0) < end
    )
