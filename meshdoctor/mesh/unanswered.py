"""Connections that nobody answers: too little time for a handshake, a NetworkPolicy, or packets dropped below."""

from __future__ import annotations

from meshdoctor.mesh import blame
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.egress_policy import egress_blocking
from meshdoctor.mesh.finding import Evidence, Finding, Resource, Verdict, culprit, inconclusive
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.network_policy import blocking
from meshdoctor.mesh.quoting import config_says, counted, lines_say, logged, object_says, remedy
from meshdoctor.mesh.traffic import Seen, cluster_of
from meshdoctor.mesh.traffic_policy import sets_connect_timeout
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.envoy.address import split_address
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.moment import duration, unix
from meshdoctor.model.pods import has_proxy, is_ready

CLOCK_SECONDS = 60.0
"""The API server's clock and those of the nodes may differ by so much."""
SMALL_TIMEOUT = 0.5
"""Seconds. A TCP and TLS handshake needs a few round trips; Istio's default is 10 s."""


def timed_out(case: Case, mesh: MeshIndex, lines: tuple[Seen, ...]) -> Finding:
    """Who keeps the connections of *lines* from being answered in time: a connect timeout, a policy, or what is below.

    Envoy gives a connection `connect_timeout` of its cluster for all of its handshakes (cluster.proto, 1.30 to 1.40).
    """
    newest = lines[-1]
    cluster = cluster_of(mesh, newest)
    limit = duration(cluster.connect_timeout) if cluster else None
    said = lines_say(lines, f"{logged(newest)}, to {newest.access.upstream_host if newest.access else ''}")
    if cluster is not None and limit is not None and limit <= SMALL_TIMEOUT:
        good = sum(not seen.failed for seen in case.timeline)
        return _too_little_time(mesh, cluster, limit, good, lines, said)
    address, port = newest.upstream
    server = mesh.pod_by_ip(address)
    client = mesh.pods.get(newest.pod)
    name = server.key if server else address
    answered = _answered_meanwhile(case, lines)
    if answered:
        return inconclusive(
            f"{counted(len(lines), 'connection')} to {name} had no answer, and {len(answered)} requests were "
            "answered there meanwhile: its packets are not dropped as a whole",
            said,
        )
    inward = _older(blocking(mesh, server, port, client), newest) if server else []
    outward = _older(egress_blocking(mesh, client, server, port, address), newest) if client and not inward else []
    if inward or outward:
        return _kept_apart(mesh, inward or outward, "ingress" if inward else "egress", lines, (name, port, said))
    if server is None:
        return inconclusive(f"connections to {address} were never answered")
    if cluster is None:
        return inconclusive(
            "connections were not answered in time; the caller's own connect timeout was not read", said
        )
    if not has_proxy(server):
        # Without a sidecar the application itself accepts; one whose queue is full looks just like this.
        return inconclusive(f"{server.key} answers no connection; its packets are dropped, or it is stalled", said)
    if is_ready(server) and len(lines) > 1:
        return culprit(_dropped_below(mesh, server, lines, said))
    return inconclusive(f"connections to {server.key} were never answered")


def _too_little_time(
    mesh: MeshIndex, cluster: Cluster, limit: float, good: int, lines: tuple[Seen, ...], said: Evidence
) -> Finding:
    """*limit*: seconds that a connection gets; *good*: how many requests went well."""
    newest = lines[-1]
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
                config_says(
                    newest.pod,
                    f"connect_timeout is {cluster.connect_timeout}; {good} other requests went well",
                    newest.cluster.name if newest.cluster else "",
                ),
            ),
            remedy(f"Set connectTimeout in {resources[0]} to a second or more (Istio's default is 10s)."),
            lines,
        )
    )


def _dropped_below(mesh: MeshIndex, server: k8s.Pod, lines: tuple[Seen, ...], said: Evidence) -> Verdict:
    owner = blame.of_workload(mesh.workload(server.ref))
    pods = {split_address(seen.access.upstream_host)[0] for seen in lines if seen.access}
    return Verdict(
        "packets-dropped",
        0.8,
        f"Packets to {counted(len(pods), 'pod')} of {owner} are dropped: the pod is Ready, and no "
        "connection is answered",
        (owner,),
        (
            said,
            Evidence(
                f"{server.key} is Ready; no NetworkPolicy that was read explains it", mesh.file("Pod"), server.key
            ),
        ),
        remedy("Look below Kubernetes: the CNI's own policies, security groups, the node's state and its firewall."),
        lines,
    )


def _older(policies: list[k8s.NetworkPolicy], newest: Seen) -> list[k8s.NetworkPolicy]:
    """*policies*, or none of them when one was made only after the newest connection had failed."""
    end = (newest.start or 0.0) + (newest.duration or 0.0) / 1000
    made = [unix(policy.metadata.creation_timestamp) or 0.0 for policy in policies]
    return policies if newest.start is None or all(one <= end + CLOCK_SECONDS for one in made) else []


def _kept_apart(
    mesh: MeshIndex,
    policies: list[k8s.NetworkPolicy],
    direction: str,
    lines: tuple[Seen, ...],
    where: tuple[str, int, Evidence],
) -> Finding:
    name, port, said = where
    client = lines[-1].client
    resources = tuple(Resource("NetworkPolicy", one.namespace, one.name, f"spec.{direction}") for one in policies)
    if direction == "ingress":
        does = f"does not admit {client} to port {port} of {name}"
        shown, fix = f"selects {name}; no ingress rule admits the caller", f"Admit {client} to port {port}"
    else:
        does = f"does not let {client} send to port {port} of {name}"
        shown, fix = f"selects {client}; no egress rule admits {name}", f"Let {client} send to port {port} of {name}"
    return culprit(
        Verdict(
            "packets-dropped",
            0.96,
            f"{resources[0]} {does}: the packets are dropped",
            resources,
            (said, *(object_says(mesh, "NetworkPolicy", one, shown) for one in policies)),
            remedy(f"{fix} in {resources[0]}."),
            lines,
        )
    )


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
