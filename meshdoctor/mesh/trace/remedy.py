"""What to change where the TLS of two Envoys does not meet: whose mode, whose certificate, whose root."""

from __future__ import annotations

from collections.abc import Iterable

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.mtls.peer_authentication import DISABLE, PERMISSIVE
from meshdoctor.mesh.trace.outcome import Source
from meshdoctor.mesh.trace.upstream_tls import UpstreamTls
from meshdoctor.model.kubernetes import Pod

ROOTS = (
    "restart the workloads that still hold the old root; when rotating, keep both roots in the trust bundle meanwhile"
)


def rule_of(sources: Iterable[Source]) -> str:
    """The DestinationRule among the objects that made a client speak as it does; "" when there is none."""
    return next((str(source) for source in sources if source.kind == "DestinationRule"), "")


def agree(tls: UpstreamTls, enveloped: bool, own_tls: bool, rule: str, policy: str, mode: str) -> str:
    """How a client and a server whose modes of TLS differ come to agree.

    *enveloped*: the client has an Envoy; *own_tls*: its application speaks TLS itself; *rule* is the DestinationRule
    in force, *policy* the PeerAuthentication that decided the server's declared *mode* (both "" when there is none).
    """
    a_rule = rule or "a DestinationRule of the host"
    if tls.hello is None and own_tls:
        return "name the Service's port https, so that the mesh leaves TLS alone, or call it in plain text"
    if tls.hello is None:
        give = f"set tls.mode ISTIO_MUTUAL in {a_rule}" if enveloped else "give the client a sidecar"
        if mode == PERMISSIVE:
            return (
                f"{give}; the server's Envoy does not hold the declared PERMISSIVE: see why istiod does not update it"
            )
        return f"{give}, or let the server take plain text too: mode PERMISSIVE in {policy or 'a PeerAuthentication'}"
    if tls.mutual:
        take = f", or let the server take mTLS: remove mode DISABLE from {policy}" if policy and mode == DISABLE else ""
        return f"set tls.mode DISABLE in {a_rule}{take}"
    wanted = "DISABLE" if mode == DISABLE else "ISTIO_MUTUAL"
    return f"set tls.mode {wanted} in {a_rule}" + (", or remove its tls block" if rule else "")


def without_sidecar(rule: str) -> str:
    """For a client that sends Istio's mTLS to a pod without an Envoy."""
    return f"inject a sidecar into the server, or set tls.mode DISABLE in {rule or 'a DestinationRule of the host'}"


def renew(mesh: MeshIndex, pod: Pod) -> str:
    """For a certificate that expired: what renews it."""
    return f"see why istiod does not renew it (does it run, what does its log say), then restart {_owner(mesh, pod)}"


def same_identity(mesh: MeshIndex, pod: Pod, rule: str) -> str:
    """For a server that is somebody else than the client expects."""
    names = f"subjectAltNames in {rule}" if rule else "the names that the client accepts"
    return f"correct {names}, or the service account of {_owner(mesh, pod)}"


def _owner(mesh: MeshIndex, pod: Pod) -> str:
    workload = mesh.workload(pod.ref)
    return f"{workload.kind} {workload}"
