"""Handshakes that failed for one reason, as the client's proxy saw them."""

from __future__ import annotations

from typing import NamedTuple

from meshdoctor.mesh import blame
from meshdoctor.mesh.finding import Evidence, Resource
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.quoting import config_says
from meshdoctor.mesh.traffic import Seen
from meshdoctor.mesh.traffic_policy import sets_tls
from meshdoctor.model import kubernetes as k8s
from meshdoctor.model.envoy.cluster import Cluster
from meshdoctor.model.snapshot import PodRef

TLS_FIELD = "spec.trafficPolicy.tls"


class FailedHandshake(NamedTuple):
    """The *lines* of the client's proxy that show the failure, and what they *said*.

    *reason* and *detail* are those of Envoy's `TLS_error:…`, "" where Envoy gave none; *server* is the pod at the other
    end when it was recorded, *cluster* the client's own when its configuration was read.
    """

    lines: tuple[Seen, ...]
    said: Evidence
    server: k8s.Pod | None
    cluster: Cluster | None = None
    reason: str = ""
    detail: str = ""

    @property
    def client(self) -> PodRef:
        return self.lines[-1].pod

    @property
    def port(self) -> int:
        """The server's port that the newest connection went to."""
        return self.lines[-1].upstream[1]

    @property
    def originated(self) -> bool:
        """Whether the cluster does TLS that is not Istio's: a context without the workload's own certificate."""
        return bool(self.cluster and self.cluster.tls and not self.cluster.tls.presents_workload_certificate)

    def rule(self, mesh: MeshIndex) -> Resource | None:
        """The DestinationRule that gave the cluster its TLS."""
        owner = blame.of_cluster(self.cluster, TLS_FIELD)
        host = self.lines[-1].cluster.host if self.lines[-1].cluster else ""
        rules = blame.destination_rules(mesh, host, sets_tls)
        return owner or next((blame.resource(one, TLS_FIELD) for one in rules), None)

    def cluster_says(self, what: str) -> Evidence:
        """*what* the client's cluster shows; points at it in the client's configuration."""
        return config_says(self.client, what, self.cluster.name if self.cluster else "")


def server_of(mesh: MeshIndex, seen: Seen) -> k8s.Pod | None:
    return mesh.pod_by_ip(seen.upstream[0])
