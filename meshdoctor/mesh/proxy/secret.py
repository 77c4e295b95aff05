"""`proxy-config secret`: the certificates that Envoy holds (istioctl/pkg/writer/compare/sds, 1.25 to 1.32).

Envoy prints no private keys in a dump ("[redacted]"), and nothing here looks at them.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, NamedTuple

import msgspec

from meshdoctor.mesh.proxy.part import read_part, section_value
from meshdoctor.mesh.proxy.rejected import UpdateFailureState
from meshdoctor.mesh.texttable import TextTable
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.sections import Sections
from meshdoctor.model.moment import rfc3339
from meshdoctor.model.x509 import Certificate, CertificateError, parse_certificate, pem_blocks

SECTION = "SecretsConfigDump"
HEADER = ("RESOURCE NAME", "TYPE", "STATUS", "VALID CERT", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE")
NOTHING = "No active or warming secrets found.\n"


class _Source(msgspec.Struct, gc=False):
    inline_bytes: str = ""
    inline_string: str = ""
    filename: str = ""
    environment_variable: str = ""

    def pem(self, *, texts: bool = False) -> bytes:
        """The bytes, in either of the alphabets that protobuf's JSON may have; with *texts*, a text's, too."""
        if texts and self.inline_string:
            return self.inline_string.encode(errors="replace")
        text = self.inline_bytes.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            return b""

    @property
    def elsewhere(self) -> str:
        """Where Envoy reads what the dump does not hold."""
        if self.filename:
            return f"IN FILE {self.filename}"
        return f"IN VARIABLE {self.environment_variable}" if self.environment_variable else ""


class _TlsCertificate(msgspec.Struct, gc=False):
    certificate_chain: _Source | None = None


class _TrustDomain(msgspec.Struct, gc=False):
    name: str = ""
    trust_bundle: _Source | None = None


class _SpiffeConfig(msgspec.Struct, gc=False):
    trust_domains: list[_TrustDomain] = []


class _Validator(msgspec.Struct, gc=False):
    name: str = ""
    typed_config: _SpiffeConfig | None = None


class _ValidationContext(msgspec.Struct, gc=False):
    trusted_ca: _Source | None = None
    custom_validator_config: _Validator | None = None


class _Secret(msgspec.Struct, gc=False):
    tls_certificate: _TlsCertificate | None = None
    validation_context: _ValidationContext | None = None
    session_ticket_keys: msgspec.Raw = msgspec.Raw()
    generic_secret: msgspec.Raw = msgspec.Raw()


class _Entry(msgspec.Struct, gc=False):
    name: str = ""
    secret: _Secret | None = None
    client_status: str = ""
    version_info: str = ""
    error_state: UpdateFailureState | None = None


class _Secrets(msgspec.Struct, gc=False):
    dynamic_active_secrets: list[_Entry] = []
    dynamic_warming_secrets: list[_Entry] = []
    static_secrets: list[_Entry] = []


class SecretItem(NamedTuple):
    """One bundle of a secret; *chain* is empty when Envoy has no certificate or it cannot be parsed."""

    name: str
    state: str
    chain: tuple[Certificate, ...]
    pem: bytes
    trust_domain: str = ""
    client_status: str = ""
    is_initialized: bool = True
    """Whether istiod or the agent ever sent it (istioctl 1.24 had a state for that, later ones lost it)."""
    error: str = ""
    instead: str = ""
    """What a secret is that holds no certificate: where its file is, or the name of its kind."""

    @property
    def certificate(self) -> Certificate | None:
        """The first certificate: the only one that istioctl looks at."""
        return self.chain[0] if self.chain else None


def secret_items(sections: Sections, *, texts: bool = False) -> list[SecretItem]:
    """The warming, then the active dynamic secrets; several trust domains in one are one item each.

    A certificate in `inline_string` counts with *texts* only: istioctl looks at `inline_bytes` alone.
    """
    found = read_part(sections, SECTION, _Secrets)
    states = (("WARMING", found.dynamic_warming_secrets), ("ACTIVE", found.dynamic_active_secrets))
    problems = sections.problems
    return [item for state, entries in states for entry in entries for item in _items(entry, state, problems, texts)]


def _items(entry: _Entry, state: str, problems: list[str], texts: bool) -> list[SecretItem]:
    secret = entry.secret or _Secret()
    bundles = _bundles(secret, texts)
    items = []
    for domain, pem in bundles or [("", b"")]:
        chain = _chain(pem, entry.name, problems)
        uri = chain[0].spiffe_id if chain else ""
        items.append(
            SecretItem(
                entry.name,
                state,
                chain,
                pem,
                trust_domain=domain or _trust_domain(uri),
                client_status=entry.client_status,
                is_initialized=entry.version_info != "uninitialized",
                error=entry.error_state.details if entry.error_state else "",
                instead="" if bundles else _instead(secret),
            )
        )
    return items


def _bundles(secret: _Secret, texts: bool) -> list[tuple[str, bytes]]:
    """The PEM texts of a secret, each with the trust domain that it is of."""
    context = secret.validation_context
    chain = secret.tls_certificate.certificate_chain if secret.tls_certificate else None
    for source in (chain, context.trusted_ca if context else None):
        if source and (source.inline_bytes or (texts and source.inline_string)):
            return [("", source.pem(texts=texts))]
    validator = context.custom_validator_config if context else None
    domains = validator.typed_config.trust_domains if validator and validator.typed_config else []
    return [(domain.name, domain.trust_bundle.pem(texts=texts) if domain.trust_bundle else b"") for domain in domains]


def _instead(secret: _Secret) -> str:
    chain = secret.tls_certificate.certificate_chain if secret.tls_certificate else None
    for source in (chain, secret.validation_context.trusted_ca if secret.validation_context else None):
        if source and source.elsewhere:
            return source.elsewhere
    if bytes(secret.generic_secret):
        return "GENERIC SECRET"
    return "SESSION TICKET KEYS" if bytes(secret.session_ticket_keys) else ""


def _trust_domain(spiffe_id: str) -> str:
    return spiffe_id.removeprefix("spiffe://").partition("/")[0]


def _chain(pem: bytes, name: str, problems: list[str]) -> tuple[Certificate, ...]:
    chain: list[Certificate] = []
    for der in pem_blocks(pem):
        try:
            chain.append(parse_certificate(der))
        except CertificateError as error:
            if not chain:
                problems.append(f"secret {name}: {error}")
                return ()
    return tuple(chain)


def secret_table(sections: Sections, now: float, *, typed: bool = False) -> TextTable | None:
    """A row per bundle, valid or not at *now* (Unix seconds); None when there is no dynamic secret at all."""
    items = secret_items(sections)
    if not items:
        return None
    with_domain = all(item.trust_domain for item in items)
    rows = []
    for item in items:
        certificate = item.certificate
        name = f"secret/{item.name}" if typed else item.name
        if certificate is None:
            cells = (name, "", item.state, "false", "", "", "")
        else:
            valid = certificate.not_before < now < certificate.not_after
            cells = (
                name,
                "CA" if certificate.is_ca else "Cert Chain",
                item.state,
                "true" if valid else "false",
                f"{certificate.serial:032x}",
                rfc3339(certificate.not_after),
                rfc3339(certificate.not_before),
            )
        rows.append((*cells, item.trust_domain) if with_domain else cells)
    return TextTable((*HEADER, "TRUST DOMAIN") if with_domain else HEADER, rows)


def root_certificates(sections: Sections) -> bytes:
    """The PEM of the secret ROOTCA; raises `UnreadableError` when the proxy has none."""
    for item in secret_items(sections):
        if item.name == "ROOTCA" and item.state == "ACTIVE":
            return item.pem
    raise UnreadableError("cannot find ROOTCA from secret")


def share_a_root(first: bytes, second: bytes) -> bool:
    """Whether two PEM bundles have a certificate in common; raises `CertificateError` when one holds none."""
    bundles = []
    for bundle in (first, second):
        blocks = pem_blocks(bundle)
        if not blocks:
            raise CertificateError(f"failed to parse certificates: {bundle.decode(errors='replace')}")
        bundles.append({parse_certificate(der).fingerprint for der in blocks})
    return bool(bundles[0] & bundles[1])


def secret_resource(sections: Sections) -> Any:
    """The whole section as JSON values; raises `UnreadableError`."""
    return section_value(sections, SECTION)
