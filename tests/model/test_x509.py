from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from meshdoctor.model.x509 import CertificateError, certificates, parse_certificate, pem_blocks

START, END = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2056, 1, 2, 3, 4, 5, tzinfo=UTC)


def make(*, ca: bool, serial: int, uri: str = "", name: str = "root") -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "org"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), serial, START, END)
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if uri:
        names = [x509.UniformResourceIdentifier(uri), x509.DNSName("a.example")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256())


def test_fields_are_those_that_cryptography_reads() -> None:
    made = make(ca=False, serial=0xD8 << 120, uri="spiffe://td/ns/shop/sa/web")
    der = made.public_bytes(serialization.Encoding.DER)
    found = parse_certificate(der)
    assert found.serial == made.serial_number
    assert (found.not_before, found.not_after) == (START.timestamp(), END.timestamp())
    assert found.spiffe_id == "spiffe://td/ns/shop/sa/web"
    assert found.dns_names == ("a.example",)
    assert (found.subject, found.issuer) == ("root", "root")
    assert found.fingerprint == hashlib.sha256(der).hexdigest()
    assert not found.is_ca


def test_a_bundle_has_every_certificate() -> None:
    pem = b"".join(make(ca=True, serial=n, name=str(n)).public_bytes(serialization.Encoding.PEM) for n in (1, 2))
    assert [(entry.serial, entry.is_ca, entry.subject) for entry in certificates(b"# text\n" + pem)] == [
        (1, True, "1"),
        (2, True, "2"),
    ]


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x03\x02\x01\x01", b"\x30\x84\xff\xff\xff\xff", b"x" * 50])
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    with pytest.raises(CertificateError):
        parse_certificate(der)


def test_every_cut_of_a_certificate_is_refused_or_read() -> None:
    der = make(ca=True, serial=5).public_bytes(serialization.Encoding.DER)
    for end in range(len(der)):
        with pytest.raises(CertificateError):
            parse_certificate(der[:end])


def test_a_pem_block_may_have_headers() -> None:
    """RFC 1421, as Go's encoding/pem reads them."""
    plain = make(ca=True, serial=7).public_bytes(serialization.Encoding.PEM)
    headed = plain.replace(b"CERTIFICATE-----\n", b"CERTIFICATE-----\nProc-Type: 4\nNote: a, b\n\n", 1)
    assert pem_blocks(headed) == pem_blocks(plain)
    assert pem_blocks(headed.replace(b"\n", b"\r\n")) == pem_blocks(plain)


def test_no_pem_no_blocks() -> None:
    assert pem_blocks(b"invalid data") == []
