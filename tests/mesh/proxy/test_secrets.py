from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from meshdoctor.mesh.proxy.bootstrap import bootstrap_table
from meshdoctor.mesh.proxy.ecds import ecds_table
from meshdoctor.mesh.proxy.secret import root_certificates, secret_table, share_a_root
from meshdoctor.mesh.proxy.secret_wide import HEADER, wide_secrets
from meshdoctor.mesh.proxy.summary import SummaryFilter, summary
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.x509 import CertificateError
from tests.mesh.proxy.dumps import read

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = (START + timedelta(hours=1)).timestamp()


def pem(name: str, *, uri: str = "", ca: bool = False) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 0xAB, START, START + timedelta(hours=24))
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if uri:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


LEAF, ROOT = pem("leaf", uri="spiffe://td.example/ns/shop/sa/web"), pem("root", ca=True)


def inline(text: bytes) -> dict[str, Any]:
    return {"inline_bytes": base64.b64encode(text).decode()}


def chain(name: str, text: bytes) -> dict[str, Any]:
    return {"name": name, "secret": {"name": name, "tls_certificate": {"certificate_chain": inline(text)}}}


def trusted(name: str, text: bytes) -> dict[str, Any]:
    return {"name": name, "secret": {"name": name, "validation_context": {"trusted_ca": inline(text)}}}


def test_rows_of_warming_and_active_secrets() -> None:
    section = {
        "dynamic_active_secrets": [chain("default", LEAF + ROOT), trusted("ROOTCA", ROOT), {"name": "kubernetes://x"}],
        "dynamic_warming_secrets": [{"name": "late", "secret": {"name": "late"}}],
    }
    table = secret_table(read(SecretsConfigDump=section), NOW, typed=True)
    assert table is not None
    serial = "ab".rjust(32, "0")
    times = ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z")
    assert list(table.rows) == [
        ("secret/late", "", "WARMING", "false", "", "", ""),
        ("secret/default", "Cert Chain", "ACTIVE", "true", serial, *times),
        ("secret/ROOTCA", "CA", "ACTIVE", "true", serial, *times),
        ("secret/kubernetes://x", "", "ACTIVE", "false", "", "", ""),
    ]


def test_an_expired_certificate_is_not_valid() -> None:
    table = secret_table(read(SecretsConfigDump={"dynamic_active_secrets": [trusted("ROOTCA", ROOT)]}), NOW + 1e6)
    assert table is not None
    assert table.rows[0][3] == "false"


def test_trust_domains_have_a_column_when_every_row_has_one() -> None:
    domains = [{"name": name, "trust_bundle": inline(ROOT)} for name in ("one.example", "two.example")]
    config = {"@type": "x/SPIFFECertValidatorConfig", "trust_domains": domains}
    spiffe = {"name": "ROOTCA", "secret": {"validation_context": {"custom_validator_config": {"typed_config": config}}}}
    table = secret_table(read(SecretsConfigDump={"dynamic_active_secrets": [chain("default", LEAF), spiffe]}), NOW)
    assert table is not None
    assert table.header[-1] == "TRUST DOMAIN"
    assert [(row[0], row[-1]) for row in table.rows] == [
        ("default", "td.example"),
        ("ROOTCA", "one.example"),
        ("ROOTCA", "two.example"),
    ]


def test_no_dynamic_secrets() -> None:
    assert secret_table(read(SecretsConfigDump={"static_secrets": [chain("x", LEAF)]}), NOW) is None


def test_wide_shows_the_whole_chain_and_the_time_left() -> None:
    section = {"dynamic_active_secrets": [chain("default", LEAF + ROOT)]}
    rows = [dict(zip(HEADER, row, strict=True)) for row in wide_secrets(read(SecretsConfigDump=section), NOW).rows]
    assert [row["TYPE"] for row in rows] == ["1 leaf", "2 root"]
    assert rows[0]["IDENTITY"] == "spiffe://td.example/ns/shop/sa/web"
    assert rows[0]["LEFT"] == "23h"
    late = wide_secrets(read(SecretsConfigDump=section), NOW + 25 * 3600).rows
    assert late[0][HEADER.index("LEFT")] == "EXPIRED 2h ago" or late[0][HEADER.index("LEFT")].startswith("EXPIRED ")


def test_roots() -> None:
    other = pem("other", ca=True)
    section = {"dynamic_active_secrets": [trusted("ROOTCA", ROOT + other)]}
    assert share_a_root(root_certificates(read(SecretsConfigDump=section)), other)
    assert not share_a_root(ROOT, other)
    with pytest.raises(CertificateError, match="failed to parse certificates: invalid data"):
        share_a_root(b"invalid data", ROOT)
    with pytest.raises(UnreadableError, match="cannot find ROOTCA"):
        root_certificates(read(SecretsConfigDump={}))


@pytest.mark.parametrize(
    ("node", "lines"),
    [
        ({}, [("Envoy Version:", "0.0.0")]),
        (
            {
                "metadata": {"ISTIO_VERSION": "1.29.0", "ISTIO_PROXY_SHA": "istio-proxy:abc"},
                "user_agent_build_version": {
                    "version": {"major_number": 1, "minor_number": 38},
                    "metadata": {"build.label": "dev", "build.type": "RELEASE"},
                },
            },
            [("Istio Version:", "1.29.0"), ("Istio Proxy Version:", "abc"), ("Envoy Version:", "1.38.0-dev/RELEASE")],
        ),
    ],
)
def test_versions_with_and_without_istio(node: dict[str, Any], lines: list[tuple[str, str]]) -> None:
    assert list(bootstrap_table(read(BootstrapConfigDump={"bootstrap": {"node": node}})).rows) == lines


def test_ecds_of_several_sections() -> None:
    def filters(*names: str) -> dict[str, Any]:
        kind = "type.googleapis.com/envoy.wasm"
        return {"ecds_filters": [{"ecds_filter": {"name": n, "typed_config": {"@type": kind}}} for n in names]}

    assert list(ecds_table(read(EcdsConfigDump=filters("b", "a"))).rows) == [("a", "envoy.wasm"), ("b", "envoy.wasm")]


def test_a_summary_names_what_it_cannot_show() -> None:
    sections = read(BootstrapConfigDump={"bootstrap": {}}, SecretsConfigDump={}, NewConfigDump={})
    blocks = {block.banner: block for block in summary(sections, SummaryFilter(), NOW)}
    assert "ClustersConfigDump" in blocks["CLUSTER"].why
    assert blocks["SECRET"].table is None
    assert not blocks["SECRET"].why
    assert blocks["ENDPOINTS"].table is not None
    assert sections.problems == ["not shown, as this program does not know them: NewConfigDump"]
