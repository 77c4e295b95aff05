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


_MOST_ROOTS = 8
"""So many roots of one bundle are shown one by one: an operating system's bundle has 150."""


def wide_secrets(sections: Sections, now: float) -> TextTable:
    """A row per certificate, and one for a secret that has none; *now* in Unix seconds.

    Of a large bundle of roots those that are not valid now are named, and the others are one row.
    """
    return TextTable(
        HEADER, [row for item in secret_items(sections, texts=True) for row in _rows(item, now)], padding=2
    )


def _rows(item: SecretItem, now: float) -> list[Cells]:
    state = _state(item)
    if not item.chain:
        rest = ("-", "-", "-", "-", "-", item.trust_domain or "-", "-")
        return [(item.name, state, "UNREADABLE" if item.pem else item.instead or "NO CERTIFICATE", *rest)]
    numbered = list(enumerate(item.chain))
    if len(numbered) <= _MOST_ROOTS or not item.chain[0].is_ca:
        return [_row(item, state, index, certificate, now) for index, certificate in numbered]
    valid = [entry for _, entry in numbered if entry.not_before <= now < entry.not_after]
    rows = [_row(item, state, index, entry, now) for index, entry in numbered if entry not in valid]
    return [*rows, _bundle(item, state, valid, now)] if valid else rows


def _state(item: SecretItem) -> str:
    parts = [item.state]
    if not item.is_initialized:
        parts.append("NEVER RECEIVED")
    if item.client_status not in ("", "ACKED"):
        parts.append(item.client_status)
    if item.error:
        parts.append(f"UPDATE REFUSED: {item.error}")
    return ", ".join(parts)


def _bundle(item: SecretItem, state: str, valid: list[Certificate], now: float) -> Cells:
    """One row for many roots: when the first of them expires."""
    first = min(valid, key=lambda certificate: certificate.not_after)
    name = f"first to expire: {first.subject or first.fingerprint}"
    return (
        item.name,
        state,
        f"{len(valid)} valid roots",
        name,
        "-",
        "-",
        rfc3339(first.not_after),
        time_left(first, now),
        item.trust_domain or "-",
        "-",
    )


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
