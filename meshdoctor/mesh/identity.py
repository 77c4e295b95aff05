"""Certificates as proxies hold them: whose they are, until when, and which roots they trust."""

from __future__ import annotations

from typing import NamedTuple

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model.moment import unix
from meshdoctor.model.snapshot import Missing, PodRef
from meshdoctor.model.wants import ProxyCertificates


class Identity(NamedTuple):
    """A proxy's workload certificate: SPIFFE ids, validity in Unix seconds, serial numbers of the roots it trusts."""

    names: tuple[str, ...]
    valid_from: float | None
    expires: float | None
    roots: frozenset[str]
    file: str


def identity(mesh: MeshIndex, pod: PodRef) -> Identity | None:
    """The workload certificate of a proxy by `/certs`; None when it was not read or there is none.

    Of a certificate that was rotated Envoy may list several; the one that expires last is in use.
    """
    found = mesh.snapshot.get(ProxyCertificates(pod))
    if isinstance(found, Missing):
        return None
    chains = [
        (leaf, entry)
        for entry in found.value.certificates
        for leaf in entry.cert_chain[:1]
        if any(name.uri.startswith("spiffe://") for name in leaf.subject_alt_names)
    ]
    if not chains:
        return None
    leaf, _ = max(chains, key=lambda pair: unix(pair[0].expiration_time) or 0.0)
    roots = {root.serial_number for entry in found.value.certificates for root in entry.ca_cert}
    return Identity(
        tuple(str(name) for name in leaf.subject_alt_names),
        unix(leaf.valid_from),
        unix(leaf.expiration_time),
        frozenset(roots),
        found.origin.file,
    )
