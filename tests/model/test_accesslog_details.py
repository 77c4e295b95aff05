from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.model.accesslog_details import (
    Detail,
    RbacRule,
    TransportFailure,
    parse_details,
    parse_flags,
    parse_transport_failure,
    primary_flag,
    rbac_rule,
)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", Detail("")),
        ("via_upstream", Detail("via_upstream")),
        (
            "upstream_reset_before_response_started{overflow}",
            Detail("upstream_reset_before_response_started", "overflow"),
        ),
        (
            "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
            Detail(
                "upstream_reset_before_response_started",
                "remote_connection_failure",
                "delayed_connect_error:_Connection_refused",
            ),
        ),
        (  # Envoy before 1.15
            "upstream_reset_before_response_started{connection failure,TLS error: 268435703:SSL routines:x}",
            Detail(
                "upstream_reset_before_response_started", "connection_failure", "TLS_error:_268435703:SSL_routines:x"
            ),
        ),
        ("downstream_local_disconnect(on_idle_timeout)", Detail("downstream_local_disconnect", "on_idle_timeout")),
        (
            "rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[0]]",
            Detail("rbac_access_denied_matched_policy", "ns[a]-policy[b]-rule[0]"),
        ),
        ("http1.codec_error", Detail("http1.codec_error")),
    ],
)
def test_the_grammar_of_details(text: str, detail: Detail) -> None:
    assert parse_details(text) == detail


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("delayed_connect_error:_Connection_refused", TransportFailure("delayed_connect_error", "Connection_refused")),
        ("delayed_connect_error:_24", TransportFailure("delayed_connect_error", "Too_many_open_files")),
        ("delayed_connect_error:_111", TransportFailure("delayed_connect_error", "Connection_refused")),
        ("delayed connect error: 113", TransportFailure("delayed_connect_error", "No_route_to_host")),
        (
            "immediate_connect_error:_Cannot_assign_requested_address|remote_address:10.0.0.1:80",
            TransportFailure(
                "immediate_connect_error", "Cannot_assign_requested_address", "remote_address:10.0.0.1:80"
            ),
        ),
        (
            "TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end",
            TransportFailure("TLS_error", "WRONG_VERSION_NUMBER"),
        ),
        (
            "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN_matcher"
            ":TLS_error_end",
            TransportFailure("TLS_error", "CERTIFICATE_VERIFY_FAILED", "verify_cert_failed:_SAN_matcher"),
        ),
        (
            "TLS_error:_Secret_is_not_supplied_by_SDS",
            TransportFailure("TLS_error", "Secret_is_not_supplied_by_SDS"),
        ),
    ],
)
def test_transport_failures(text: str, failure: TransportFailure) -> None:
    assert parse_transport_failure(text) == failure


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("rbac_access_denied_matched_policy[ns[shop]-policy[deny-all]-rule[2]]", RbacRule("shop", "deny-all", "2")),
        ("istio-ext-authz-ns[shop]-policy[ask.it]-rule[0]", RbacRule("shop", "ask.it", "0")),
        (
            "ns[shop]-policy[ask]-rule[0]-deny-due-to-bad-CUSTOM-action",
            RbacRule("shop", "ask", "0"),
        ),
        ("rbac_access_denied_matched_policy[none]", None),
        ("default-deny-all-due-to-bad-CUSTOM-action", None),
        ("", None),
    ],
)
def test_the_rule_of_a_policy(text: str, rule: RbacRule | None) -> None:
    assert rbac_rule(text) == rule


def test_flags_are_a_set_with_one_deciding_member() -> None:
    assert parse_flags("-") == ()
    assert parse_flags("URX,UF") == ("URX", "UF")
    assert parse_flags("UpstreamConnectionFailure,UpstreamRetryLimitExceeded") == ("UF", "URX")
    assert primary_flag(("URX", "UF")) == primary_flag(("UF", "URX")) == "UF"
    assert primary_flag(("UO", "UF")) == "UF"
    assert primary_flag(("URX",)) is None
    assert primary_flag(("URX", "MY_FLAG")) == "MY_FLAG"


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    assert isinstance(parse_details(text), Detail)
    assert isinstance(parse_transport_failure(text), TransportFailure)
    assert "" not in parse_flags(text)
