"""What a journey reads of a snapshot, and what it would still have to ask a source for."""

from __future__ import annotations

from typing import Any, TypeVar

from meshdoctor.mesh.identity import Identity, identity_of, spiffe
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.mtls.peer_authentication import MergedPolicy, PeerAuthentications
from meshdoctor.mesh.trace.proxy import Proxy
from meshdoctor.model import wants as ask
from meshdoctor.model.istio import PeerAuthentication
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.snapshot import PodRef, Snapshot, Want

T = TypeVar("T")

KINDS = (
    "Pod",
    "ReplicaSet",
    "Service",
    "EndpointSlice",
    "ServiceEntry",
    "Gateway",
    "VirtualService",
    "PeerAuthentication",
)


class Facts:
    """A snapshot, read with a note of every want that nobody has asked for yet (`lacking`)."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.mesh = MeshIndex(snapshot)
        self.lacking: dict[Want[Any], None] = {}
        for want in (ask.Contents(), ask.Mesh(), *(ask.Objects(kind) for kind in KINDS)):
            self.value(want)
        self._policies: PeerAuthentications | None = None
        self._proxies: dict[PodRef, Proxy | None] = {}

    @property
    def now(self) -> float | None:
        """When the last of the facts was read: a certificate that had expired by then is of no use."""
        return self.snapshot.info.finished_at

    def value(self, want: Want[T]) -> T | None:
        if not self.snapshot.has(want):
            self.lacking[want] = None
        return self.snapshot.value(want)

    def proxy(self, ref: PodRef) -> Proxy | None:
        """The compiled Envoy of a pod; None when its configuration is not known."""
        if ref not in self._proxies:
            dump = self.value(ask.ProxyConfig(ref))
            statuses = self.value(ask.ProxyClusters(ref))
            self._proxies[ref] = Proxy(dump, statuses) if dump is not None else None
        return self._proxies[ref]

    def mtls_policy(self, pod: Pod) -> MergedPolicy:
        """What PeerAuthentications declare for a pod."""
        if self._policies is None:
            found = self.mesh.objects("PeerAuthentication", PeerAuthentication)
            self._policies = PeerAuthentications(found, self.mesh.mesh_config.root_namespace)
        return self._policies.for_workload(pod.namespace, pod.metadata.labels)

    def certificates(self, ref: PodRef) -> Identity | None:
        """A workload's own certificate and roots; None when it has none or `/certs` was not read."""
        found = self.value(ask.ProxyCertificates(ref))
        return identity_of(found) if found is not None else None

    def identity(self, pod: Pod) -> str:
        """The SPIFFE name of a pod's own certificate, else the one its service account would have."""
        own = self.certificates(pod.ref)
        if own is not None:
            return own.spiffe
        account = pod.spec.service_account_name or "default"
        return spiffe(self.mesh.mesh_config.trust_domain, pod.namespace, account)
