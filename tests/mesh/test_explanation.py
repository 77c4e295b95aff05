from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.mesh.explanation import (
    Explanation,
    explain_cluster,
    explain_code,
    explain_details,
    explain_flag,
    explain_line,
    explain_transport,
    explain_ztunnel_error,
    explain_ztunnel_flag,
)
from meshdoctor.model.accesslog import AccessLine
from meshdoctor.model.accesslog_details import FLAG_PRIORITY, LONG_FLAGS, MODIFIER_FLAGS

TABLES = ("flags", "details", "transport", "ztunnel", "words")


def table(name: str) -> dict[str, Any]:
    return tomllib.loads(files("meshdoctor.model").joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def entries(node: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every entry that explains something, at any depth."""
    if isinstance(node, list):
        return [found for index, inner in enumerate(node) for found in entries(inner, f"{path}[{index}]")]
    if not isinstance(node, dict):
        return []
    own = [(path, node)] if "means" in node and "en" in node["means"] else []
    return own + [found for key, inner in node.items() for found in entries(inner, f"{path}.{key}")]


@pytest.mark.parametrize("name", TABLES)
def test_everything_is_said_in_both_languages_with_known_causes(name: str) -> None:
    text = files("meshdoctor.guide").joinpath("causes.yaml").read_text(encoding="utf-8")
    causes = {cause["id"] for cause in yaml.safe_load(text)["causes"]}
    who = table("words")["who"]
    found = entries(table(name), name)
    assert found
    for path, entry in found:
        for key in ("means", "next"):
            if key in entry:
                assert set(entry[key]) == {"en", "ko"}, path
                assert re.search("[가-힣]", entry[key]["ko"]), path
                assert not re.search("[가-힣]", entry[key]["en"]), path
        assert set(entry.get("causes", ())) <= causes, path
        assert entry.get("who", "unknown") in {*who, "unknown"}, path


def test_all_flags_of_envoy_are_listed() -> None:
    assert set(table("flags")) == {*LONG_FLAGS.values(), "-"}
    assert set(FLAG_PRIORITY) | MODIFIER_FLAGS == set(LONG_FLAGS.values())
    for long, short in LONG_FLAGS.items():
        assert explain_flag(long) == explain_flag(short)
        assert explain_flag(short).name == long


def test_the_particular_detail_wins_over_its_kind() -> None:
    none = explain_details("rbac_access_denied_matched_policy[none]")
    assert none.known
    assert none.notes == ()
    deny = explain_details("rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[2]]")
    assert deny.means != none.means
    assert deny.notes == ("The policy is a/b, rule 2 (counted from 0).",)
    assert "expired" in explain_details("jwt_authn_access_denied{Jwt_is_expired}").means
    other = explain_details("jwt_authn_access_denied{Jwt_is_new_and_odd}")
    assert other.known
    assert other.notes == ("The reason given is: Jwt is new and odd.",)


def test_old_spellings_mean_the_same() -> None:
    new = explain_details("upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_x}")
    old = explain_details("upstream_reset_before_response_started{connection_failure|delayed_connect_error:_111}")
    assert old.means == new.means
    for text in (
        "delayed_connect_error:_111",
        "delayed connect error: 111",
        "delayed_connect_error:_Connection_refused",
    ):
        assert explain_transport(text).means == explain_transport("Connection_refused").means
        assert explain_transport(text).known


def test_transport_names_the_identity_and_the_side() -> None:
    text = (
        "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN_matcher,"
        "_certificate_SANs_are_[spiffe://td/ns/n/sa/{s}]:TLS_error_end"
    )
    found = explain_transport(text)
    assert found.causes[0] == "san-mismatch"
    assert found.notes == ("The server presented spiffe://td/ns/n/sa/{s}.", "Who complains: this proxy.")
    assert explain_transport(text, "ko").notes[1] == "불평하는 쪽: 이 프록시."


@pytest.mark.parametrize(
    "found",
    [
        explain_flag("MY_FLAG"),
        explain_details("some_new_detail"),
        explain_details("upstream_new_thing{why}"),
        explain_details("*"),
        explain_details("upstream_*"),
        explain_transport("odd_failure"),
        explain_cluster("my-cluster"),
        explain_code(999),
        explain_ztunnel_flag("ODD"),
        explain_ztunnel_error("odd thing"),
    ],
)
def test_the_unknown_is_explained_and_said_to_be_unknown(found: Explanation) -> None:
    assert not found.known
    assert " " in found.means


def test_clusters_and_codes() -> None:
    assert explain_cluster("outbound|80|v1|a.b;").notes == ("Service a.b, port 80, subset v1.",)
    assert explain_cluster("inbound|8080||").notes == ("Port 8080 of this pod.",)
    assert explain_cluster("PassthroughCluster").causes[0] == "host-outside-sidecar-scope"
    assert explain_cluster("*").known is False
    assert explain_code(0).known
    assert explain_code(418).means == explain_code(499).means != explain_code(503).means


def test_ztunnel() -> None:
    flags = table("ztunnel")["flag"]
    assert set(flags) == {
        *("DENY", "CONNECT", "TLS_FAILURE", "H2_HANDSHAKE_FAILURE", "NETWORK_POLICY", "IDENTITY_ERROR", "CERT_REVOKED")
    }
    blocked = "connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008: deadline has elapsed"
    assert explain_ztunnel_error(blocked).causes == ("hbone-blocked",)
    strict = (
        "connection closed due to policy rejection: explicitly denied by: istio-system/istio_converted_static_strict"
    )
    assert explain_ztunnel_error(strict).causes[0] == "out-of-mesh-client-to-strict"


def test_a_line_is_explained_from_its_deciding_flag_on() -> None:
    line = AccessLine(
        line=1,
        code=503,
        flags=("URX", "UF"),
        details="upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
        upstream_cluster="outbound|80||a.b",
    )
    found = explain_line(line)
    assert [one.subject for one in found] == ["flag", "flag", "details", "transport", "cluster"]
    assert found[0].text == "UF"


def test_on_the_servers_side_via_upstream_is_the_application() -> None:
    line = AccessLine(line=1, code=503, details="via_upstream", upstream_cluster="inbound|8080||")
    (details,) = (one for one in explain_line(line) if one.subject == "details")
    assert details.notes == ("This is the server's side, so the application itself answered 503.",)
    caller = AccessLine(line=1, code=503, details="via_upstream", upstream_cluster="outbound|80||a.b")
    assert "x-request-id" in explain_line(caller)[1].next


@given(st.text(), st.sampled_from(["en", "ko"]))
def test_no_text_is_too_strange(text: str, language: Any) -> None:
    for explain in (explain_flag, explain_details, explain_transport, explain_cluster, explain_ztunnel_error):
        found = explain(text, language)
        assert found.means
        assert found.text == text or explain is explain_cluster or found.known


@given(st.integers())
def test_no_code_is_too_strange(code: int) -> None:
    assert explain_code(code).means
