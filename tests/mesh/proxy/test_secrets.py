from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from meshdoctor.mesh.proxy.bootstrap import bootstrap_table, wide_bootstrap
from meshdoctor.mesh.proxy.ecds import ecds_table
from meshdoctor.mesh.proxy.ecds_wide import wide_ecds
from meshdoctor.mesh.proxy.rejected import rejected_lines
from meshdoctor.mesh.proxy.secret import root_certificates, secret_table, share_a_root
from meshdoctor.mesh.proxy.secret_wide import HEADER, wide_secrets
from meshdoctor.mesh.proxy.summary import SummaryFilter, summary
from meshdoctor.mesh.proxy.summary_wide import wide_summary
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


def test_wide_ecds_says_what_is_awaited_and_what_was_refused() -> None:
    kind = "type.googleapis.com/envoy.wasm"
    section = {
        "ecds_filters": [
            {"ecds_filter": {"name": "b", "typed_config": {"@type": kind}}, "version_info": "7"},
            {"ecds_filter": {"name": "a", "typed_config": {"@type": kind}}, "error_state": {"details": "no such VM"}},
            {"ecds_filter": {"name": "late"}},
        ]
    }
    assert list(wide_ecds(read(EcdsConfigDump=section)).rows) == [
        ("late", "NONE RECEIVED", "-", "-", "-"),
        ("a", "active, UPDATE REFUSED: no such VM", "-", "-", "envoy.wasm"),
        ("b", "active", "7", "-", "envoy.wasm"),
    ]


def test_wide_bootstrap_says_who_the_proxy_is() -> None:
    metadata = {
        "NAME": "web-1",
        "NAMESPACE": "shop",
        "NETWORK": "",
        "LABELS": {"istio.io/rev": "canary"},
        "PROXY_CONFIG": {"discoveryAddress": "istiod:15012", "concurrency": 2.0, "proxyAdminPort": 15100},
    }
    node = {"id": "sidecar~1", "metadata": metadata, "locality": {"region": "r", "zone": "z"}}
    table = wide_bootstrap(read(BootstrapConfigDump={"bootstrap": {"node": node}}))
    facts = {row[0]: row[1] for row in table.rows}
    assert facts["Revision:"] == "canary"
    assert facts["Locality:"] == "r/z"
    assert facts["istiod:"] == "istiod:15012"
    assert (facts["Worker Threads:"], facts["Admin Port:"]) == ("2", "15100")
    assert "Network:" not in facts


def test_a_secret_that_never_came_and_one_whose_update_was_refused() -> None:
    section = {
        "dynamic_warming_secrets": [{"name": "late", "version_info": "uninitialized", "secret": {"name": "late"}}],
        "dynamic_active_secrets": [{**chain("default", LEAF), "error_state": {"details": "key does not fit"}}],
    }
    rows = wide_secrets(read(SecretsConfigDump=section), NOW).rows
    assert [row[1:3] for row in rows] == [
        ("WARMING, NEVER RECEIVED", "NO CERTIFICATE"),
        ("ACTIVE, UPDATE REFUSED: key does not fit", "1 leaf"),
    ]


def test_wide_says_what_a_secret_holds_instead_of_a_certificate_in_bytes() -> None:
    file = {"filename": "/etc/certs/cert.pem"}
    section = {
        "dynamic_active_secrets": [
            {"name": "file", "secret": {"tls_certificate": {"certificate_chain": file}}},
            {"name": "ca", "secret": {"validation_context": {"trusted_ca": {"environment_variable": "CA"}}}},
            {"name": "text", "secret": {"tls_certificate": {"certificate_chain": {"inline_string": LEAF.decode()}}}},
            {"name": "token", "secret": {"generic_secret": {"secret": {"inline_string": "[redacted]"}}}},
            {"name": "keys", "secret": {"session_ticket_keys": {"keys": []}}},
            {"name": "names", "secret": {"validation_context": {"match_typed_subject_alt_names": []}}},
        ]
    }
    sections = read(SecretsConfigDump=section)
    assert [(row[0], row[2]) for row in wide_secrets(sections, NOW).rows] == [
        ("file", "IN FILE /etc/certs/cert.pem"),
        ("ca", "IN VARIABLE CA"),
        ("text", "1 leaf"),
        ("token", "GENERIC SECRET"),
        ("keys", "SESSION TICKET KEYS"),
        ("names", "NO CERTIFICATE"),
    ]
    table = secret_table(sections, NOW)
    assert table is not None
    assert {row[3] for row in table.rows} == {"false"}, "istioctl looks at bytes alone"


def test_bytes_may_be_in_either_alphabet_and_without_padding() -> None:
    """protojson reads standard and URL-safe base64, padded or not."""
    plain = base64.b64encode(LEAF + b"\xff\xfe\xfb" * 4).decode()
    for text in (plain, plain.rstrip("="), plain.replace("+", "-").replace("/", "_").rstrip("=")):
        certificate = {"certificate_chain": {"inline_bytes": text}}
        section = {"dynamic_active_secrets": [{"name": "a", "secret": {"tls_certificate": certificate}}]}
        (row,) = wide_secrets(read(SecretsConfigDump=section), NOW).rows
        assert row[2] == "1 leaf"


def test_of_a_large_bundle_only_roots_that_are_not_valid_are_named() -> None:
    section = {"dynamic_active_secrets": [trusted("file-root:system", ROOT * 9)]}
    sections = read(SecretsConfigDump=section)
    (row,) = wide_secrets(sections, NOW).rows
    assert row[2:4] == ("9 valid roots", "first to expire: root")
    assert row[7] == "23h"
    expired = wide_secrets(sections, NOW + 86400).rows
    assert [row[2] for row in expired] == [f"{number} root" for number in range(1, 10)]


@pytest.mark.parametrize("kind", ["cluster", "listener", "route"])
def test_why_an_update_was_refused_stands_below_the_table(kind: str) -> None:
    error = {"details": "bad\n value", "last_update_attempt": "2026-01-01T00:00:00Z"}
    sections = read(
        ClustersConfigDump={"dynamic_active_clusters": [{"cluster": {"name": "a"}, "error_state": error}]},
        ListenersConfigDump={"dynamic_listeners": [{"name": "a", "error_state": error}]},
        RoutesConfigDump={"dynamic_route_configs": [{"route_config": {"name": "a"}, "error_state": error}]},
    )
    line = f"UPDATE REFUSED: {kind} a at 2026-01-01T00:00:00Z: bad\n value"
    assert rejected_lines(sections, kind) == [("a", line)]
    notes = [note for block in wide_summary(sections, SummaryFilter(), NOW) for note in block.notes]
    assert len(notes) == 3
    assert not any("\n" in note for note in notes)


def test_a_summary_names_what_it_cannot_show() -> None:
    sections = read(BootstrapConfigDump={"bootstrap": {}}, SecretsConfigDump={}, NewConfigDump={})
    blocks = {block.banner: block for block in summary(sections, SummaryFilter(), NOW)}
    assert "ClustersConfigDump" in blocks["CLUSTER"].why
    assert blocks["SECRET"].table is None
    assert not blocks["SECRET"].why
    assert blocks["ENDPOINTS"].table is not None
    assert sections.problems == ["not shown, as this program does not know them: NewConfigDump"]
