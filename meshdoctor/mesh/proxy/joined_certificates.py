"""A proxy's certificates as rows: those that Envoy uses, and the secrets that it still waits for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.proxy.difference import sections_of
from meshdoctor.mesh.proxy.secret import SecretItem, secret_items
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.admin import Certificates
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.moment import rfc3339
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.wants import ProxyCertificates


class CertificateRow(NamedTuple):
    """One certificate that Envoy holds, or a secret without one; times are RFC 3339, "" where there is none."""

    secret: str
    """The name that Envoy asks for it by (SDS), where the config dump tells."""
    kind: str
    """`chain` or `root`; "" for a secret without a certificate."""
    identity: str
    serial: str
    valid_from: str
    expires: str
    path: str = ""
    waits: str = ""
    """`warming` while Envoy waits for the secret: whoever needs it does not work yet."""
    error: str = ""


def certificate_rows(mesh: MeshIndex, pod: PodRef, config: ConfigDump) -> tuple[CertificateRow, ...]:
    """Each certificate once, from `/certs` where it was read, else from the config dump's secrets.

    A secret without a certificate stands first: `/certs` does not know it.
    """
    items = _items(config)
    found = mesh.snapshot.value(ProxyCertificates(pod))
    lacking = [_lacking(item) for item in items if not item.chain]
    held = _of_certs(found, _names(items)) if found else (row for item in items for row in _of_secret(item))
    return tuple(dict.fromkeys((*lacking, *held)))


def _items(config: ConfigDump) -> list[SecretItem]:
    try:
        return secret_items(sections_of(config)) if config.has("SecretsConfigDump") else []
    except UnreadableError as error:
        config.problems.append(str(error))
        return []


def _names(items: list[SecretItem]) -> dict[int, str]:
    """The secrets' names by serial number; that of one which several hold says nothing."""
    names: dict[int, set[str]] = {}
    for item in items:
        for certificate in item.chain:
            names.setdefault(certificate.serial, set()).add(item.name)
    return {serial: next(iter(found)) for serial, found in names.items() if len(found) == 1}


def _of_certs(found: Certificates, names: dict[int, str]) -> Iterator[CertificateRow]:
    """Envoy lists a certificate once for each cluster that uses it."""
    for certificate in found.certificates:
        for kind, entries in (("chain", certificate.cert_chain), ("root", certificate.ca_cert)):
            for entry in entries:
                serial = entry.serial_number
                yield CertificateRow(
                    names.get(_number(serial), ""),
                    kind,
                    ", ".join(str(name) for name in entry.subject_alt_names),
                    serial,
                    entry.valid_from or "",
                    entry.expiration_time or "",
                    entry.path,
                )


def _number(serial: str) -> int:
    try:
        return int(serial, 16)
    except ValueError:
        return -1


def _of_secret(item: SecretItem) -> Iterator[CertificateRow]:
    for certificate in item.chain:
        yield CertificateRow(
            item.name,
            "root" if certificate.is_ca else "chain",
            ", ".join((*certificate.uris, *certificate.dns_names)) or certificate.subject,
            f"{certificate.serial:032x}",
            rfc3339(certificate.not_before),
            rfc3339(certificate.not_after),
            waits=_waits(item),
            error=item.error,
        )


def _lacking(item: SecretItem) -> CertificateRow:
    return CertificateRow(item.name, "", "", "", "", "", waits=_waits(item), error=item.error)


def _waits(item: SecretItem) -> str:
    return "warming" if item.state == "WARMING" or not item.is_initialized else ""
