"""`proxy-config secret -o wide`: every certificate of a chain, with identity, fingerprint and the time left."""

from __future__ import annotations

from meshdoctor.mesh.ages import human_duration
from meshdoctor.mesh.proxy.secret import SecretItem, secret_items
from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.envoy.sections import Sections
from meshdoctor.model.moment import rfc3339
from meshdoctor.model.x509 import Certificate

HEADER = (
    "RESOURCE NAME", "STATE", "TYPE", "IDENTITY", "ISSUER", "SERIAL NUMBER",
    "NOT AFTER", "LEFT", "TRUST DOMAIN", "SHA-256",
)  # fmt: skip


def wide_secrets(sections: Sections, now: float) -> TextTable:
    """A row per certificate, and one for a secret that has none; *now* in Unix seconds."""
    return TextTable(HEADER, [row for item in secret_items(sections) for row in _rows(item, now)], padding=2)


def _rows(item: SecretItem, now: float) -> list[Cells]:
    state = item.state
    if item.client_status not in ("", "ACKED"):
        state += f", {item.client_status}"
    if not item.chain:
        return [(item.name, state, "NO CERTIFICATE", "-", "-", "-", "-", "-", item.trust_domain or "-", "-")]
    return [_row(item, state, index, certificate, now) for index, certificate in enumerate(item.chain)]


def _row(item: SecretItem, state: str, index: int, certificate: Certificate, now: float) -> Cells:
    own_issuer = certificate.subject == certificate.issuer
    kind = ("root" if own_issuer else "intermediate") if certificate.is_ca else "leaf"
    identity = certificate.spiffe_id or ",".join(certificate.dns_names) or certificate.subject or "-"
    return (
        item.name,
        state,
        f"{index + 1} {kind}",
        identity,
        certificate.issuer or "-",
        f"{certificate.serial:x}",
        rfc3339(certificate.not_after),
        time_left(certificate, now),
        item.trust_domain or "-",
        certificate.fingerprint,
    )


def time_left(certificate: Certificate, now: float) -> str:
    """`23h`, `EXPIRED 2m ago`, or `VALID IN 5m`."""
    if now < certificate.not_before:
        return f"VALID IN {human_duration(certificate.not_before - now)}"
    if now >= certificate.not_after:
        return f"EXPIRED {human_duration(now - certificate.not_after)} ago"
    return human_duration(certificate.not_after - now)
