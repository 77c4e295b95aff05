"""What a journey reads of a snapshot, and what it would still have to ask a source for."""

from __future__ import annotations

from typing import Any, TypeVar

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.mtls.peer_authentication import MergedPolicy, PeerAuthentications
from meshdoctor.mesh.trace.proxy import Proxy
from meshdoctor.model import wants as ask
from meshdoctor.model.envoy.admin import Certificates
from meshdoctor.model.istio import PeerAuthentication
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.moment import unix
from meshdoctor.model.snapshot import PodRef, Snapshot, Want

T = TypeVar("T")
MAX_ROOTS = 8
"""More roots than this are the public ones of the operating system, not a mesh's."""

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
        return self.snapshot.info.started_at

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

    def certificates(self, ref: PodRef) -> OwnCertificate | None:
        found = self.value(ask.ProxyCertificates(ref))
        return OwnCertificate(found) if found is not None else None

    def identity(self, pod: Pod) -> str:
        """The SPIFFE name of a pod's own certificate, else the one its service account would have."""
        own = self.certificates(pod.ref)
        if own is not None and own.identity:
            return own.identity
        account = pod.spec.service_account_name or "default"
        domain = self.mesh.mesh_config.trust_domain or "cluster.local"
        return f"spiffe://{domain}/ns/{pod.namespace}/sa/{account}"


class OwnCertificate:
    """A workload's own certificate and roots, from Envoy's `/certs`."""

    def __init__(self, found: Certificates) -> None:
        self.identity = ""
        self.expires: float | None = None
        self.roots: frozenset[str] = frozenset()
        for certificate in found.certificates:
            names = [name.uri for entry in certificate.cert_chain for name in entry.subject_alt_names if name.uri]
            spiffe = next((name for name in names if name.startswith("spiffe://")), "")
            if spiffe and not self.identity:
                self.identity = spiffe
                self.expires = min(
                    (time for entry in certificate.cert_chain if (time := unix(entry.expiration_time)) is not None),
                    default=None,
                )
            # The workload's roots stand in an entry of their own (SDS `ROOTCA`); a bundle of public ones is another.
            if certificate.ca_cert and len(certificate.ca_cert) <= MAX_ROOTS:
                self.roots |= {entry.serial_number for entry in certificate.ca_cert}
