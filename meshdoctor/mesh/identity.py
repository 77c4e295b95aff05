"""Certificates as proxies hold them: whose they are, until when, and which roots they trust."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model.envoy.admin import Certificate, CertificateDetails, Certificates
from meshdoctor.model.moment import unix
from meshdoctor.model.snapshot import Missing, PodRef
from meshdoctor.model.wants import ProxyCertificates

SPIFFE = "spiffe://"
MAX_ROOTS = 8
"""More roots than this in one TLS context are the public ones of an operating system, not a mesh's."""


class Identity(NamedTuple):
    """Who a proxy says it is: its SPIFFE id, when its certificate holds (Unix seconds), the roots it trusts.

    *roots* are serial numbers in hex, of those that vouch for other workloads; empty: not known.
    """

    spiffe: str
    valid_from: float | None
    expires: float | None
    roots: frozenset[str]

    def holds_at(self, moment: float) -> bool:
        """Whether the certificate is valid at *moment*; an unknown bound never says no."""
        begun = self.valid_from is None or self.valid_from <= moment
        return begun and (self.expires is None or moment < self.expires)


def identity_of(certificates: Certificates) -> Identity | None:
    """The workload certificate among a proxy's; None when it has none (SDS has not delivered).

    `/certs` has an entry for each TLS context, with its leaves and its roots (Envoy 1.40, source/server/admin
    certs_handler and ContextImpl::getCertChainInformation); a context lives as long as a connection does, so that of a
    certificate that was rotated there are several: the one that expires last is in use.
    """
    chains = [(entry, leaf) for entry in certificates.certificates for leaf in entry.cert_chain if _spiffe(leaf)]
    if not chains:
        return None
    _, leaf = max(chains, key=lambda chain: unix(chain[1].expiration_time) or 0.0)
    own = _roots(entry for entry, _ in chains)
    return Identity(
        _spiffe(leaf),
        unix(leaf.valid_from),
        unix(leaf.expiration_time),
        # Roots of a context without a workload certificate are those of other peers, such as outside services.
        own or _roots(entry for entry in certificates.certificates if not entry.cert_chain),
    )


def _spiffe(leaf: CertificateDetails) -> str:
    return next((name.uri for name in leaf.subject_alt_names if name.uri.startswith(SPIFFE)), "")


def _roots(entries: Iterable[Certificate]) -> frozenset[str]:
    few = (entry.ca_cert for entry in entries if len(entry.ca_cert) <= MAX_ROOTS)
    return frozenset(root.serial_number for roots in few for root in roots if root.serial_number)


def identity(mesh: MeshIndex, pod: PodRef) -> Identity | None:
    """The workload certificate of a proxy by its `/certs`; None when it was not read or there is none."""
    found = mesh.snapshot.value(ProxyCertificates(pod))
    return identity_of(found) if found is not None else None


def certificates_file(mesh: MeshIndex, pod: PodRef) -> str:
    """Where `identity` read it; "" when it was not read."""
    found = mesh.snapshot.get(ProxyCertificates(pod))
    return "" if isinstance(found, Missing) else found.origin.file


def spiffe(trust_domain: str, namespace: str, account: str) -> str:
    """The SPIFFE id of a service account (pkg/spiffe/spiffe.go); without a trust domain in the usual one.

    >>> spiffe("", "shop", "web")
    'spiffe://cluster.local/ns/shop/sa/web'
    """
    return f"{SPIFFE}{trust_domain or 'cluster.local'}/ns/{namespace}/sa/{account}"
