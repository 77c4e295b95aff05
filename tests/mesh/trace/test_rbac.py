from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from meshdoctor.mesh.trace.explain import trace
from meshdoctor.mesh.trace.headers import Headers
from meshdoctor.mesh.trace.jwt import JwtAuthentication, Provider, authenticate, decode
from meshdoctor.mesh.trace.rbac import Caller, Policy, Rbac, Rules, judge, policy_source
from meshdoctor.mesh.trace.route import View
from meshdoctor.mesh.trace.strings import Answer
from tests.mesh.trace.dumps import get, host, one_route_table, rbac, to

_ANY: list[dict[str, Any]] = [{"any": True}]
WEB = "spiffe://cluster.local/ns/shop/sa/web"


def headers(path: str = "/", method: str = "GET", **more: str) -> Headers:
    return Headers(
        [(":path", path), (":method", method), *((name.replace("_", "-"), each) for name, each in more.items())]
    )


def caller(**more: Any) -> Caller:
    return Caller(
        **{"ip": "10.0.0.1", "port": 8080, "source_ip": "10.0.0.9", "identity": WEB, "headers": headers(), **more}
    )


def holds(permission: dict[str, Any] | None = None, principal: dict[str, Any] | None = None, **more: Any) -> Answer:
    policy = Policy([permission] if permission else _ANY, [principal] if principal else _ANY)
    return judge(Rbac(rules=Rules("ALLOW", {"p": policy})), caller(**more)).passes


@pytest.mark.parametrize(
    ("permission", "answer"),
    [
        ({"any": True}, True),
        ({"destination_port": 8080}, True),
        ({"destination_port": 80}, False),
        ({"destination_port_range": {"start": 8080, "end": 8081}}, True),
        ({"destination_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}, True),
        ({"destination_ip": {"address_prefix": "nonsense", "prefix_len": 8}}, None),
        ({"header": {"name": ":method", "string_match": {"exact": "GET"}}}, True),
        ({"url_path": {"path": {"prefix": "/a"}}}, False),
        ({"not_rule": {"destination_port": 80}}, True),
        ({"or_rules": {"rules": [{"destination_port": 80}, {"any": True}]}}, True),
        ({"and_rules": {"rules": [{"destination_port": 80}, {"strange": {}}]}}, False),
        ({"and_rules": {"rules": [{"any": True}, {"strange": {}}]}}, None),
        ({"requested_server_name": {"exact": "a.test"}}, False),
        ({"header": "of a wrong shape"}, None),
        ({}, None),
    ],
)
def test_permissions(permission: dict[str, Any], answer: Answer) -> None:
    policy = Policy([permission], _ANY)
    assert judge(Rbac(rules=Rules("ALLOW", {"p": policy})), caller()).passes is answer


@pytest.mark.parametrize(
    ("principal", "identity", "answer"),
    [
        ({"authenticated": {"principal_name": {"exact": WEB}}}, WEB, True),
        ({"authenticated": {"principal_name": {"exact": WEB}}}, "spiffe://other", False),
        ({"authenticated": {"principal_name": {"exact": WEB}}}, "", False),
        ({"authenticated": {"principal_name": {"exact": WEB}}}, None, None),
        ({"authenticated": {}}, WEB, True),
        ({"authenticated": {}}, "", False),
        ({"filter_state": {"key": "io.istio.peer_principal", "string_match": {"prefix": "spiffe://"}}}, WEB, True),
        ({"filter_state": {"key": "other"}}, WEB, None),
        ({"not_id": {"authenticated": {}}}, "", True),
        ({"and_ids": {"ids": [{"any": True}, {"authenticated": {}}]}}, "", False),
        ({"or_ids": {"ids": [{"authenticated": {}}, {"any": True}]}}, "", True),
        ({"direct_remote_ip": {"address_prefix": "10.0.0.9", "prefix_len": 32}}, "", True),
        ({"remote_ip": {"address_prefix": "10.0.0.8", "prefix_len": 32}}, "", False),
    ],
)
def test_principals(principal: dict[str, Any], identity: str | None, answer: Answer) -> None:
    assert holds(principal=principal, identity=identity) is answer


def test_the_original_client_is_not_known_behind_a_proxy() -> None:
    cidr = {"remote_ip": {"address_prefix": "10.0.0.8", "prefix_len": 32}}
    assert holds(principal=cidr, headers=headers(x_forwarded_for="10.0.0.8")) is None


def test_http_rules_never_hold_on_tcp() -> None:
    assert holds({"header": {"name": ":method", "string_match": {"exact": "GET"}}}, headers=None) is False


@pytest.mark.parametrize(
    ("template", "path", "answer"),
    [
        ("/a/{*}/c", "/a/b/c", True),
        ("/a/{*}/c", "/a/b/b/c", False),
        ("/a/{**}", "/a/b/c", True),
        ("/a/*", "/a/", False),
    ],
)
def test_path_templates(template: str, path: str, answer: Answer) -> None:
    rule = {"uri_template": {"typed_config": {"path_template": template}}}
    assert holds(rule, headers=headers(path)) is answer


def test_actions() -> None:
    one = {"p": Policy(_ANY, _ANY)}
    none: dict[str, Policy] = {}
    assert judge(Rbac(rules=Rules("ALLOW", none)), caller()).passes is False
    assert judge(Rbac(rules=Rules("DENY", none)), caller()).passes is True
    assert judge(Rbac(rules=Rules("DENY", one)), caller()).passes is False
    assert judge(Rbac(rules=Rules("LOG", one)), caller()).passes is True
    assert judge(Rbac(), caller()).passes is True
    assert judge(Rbac(matcher={}), caller()).passes is True
    assert judge(Rbac(matcher={"matcher_tree": {}}), caller()).passes is None


def test_every_policy_says_why_it_does_not_hold() -> None:
    other = {"authenticated": {"principal_name": {"exact": "spiffe://cluster.local/ns/pay/sa/desk"}}}
    verdict = judge(Rbac(rules=Rules("ALLOW", {"p": Policy(_ANY, [{"and_ids": {"ids": [other]}}])})), caller())
    assert verdict.judged[0].reason == f"the caller is {WEB}, not spiffe://cluster.local/ns/pay/sa/desk"


def test_the_policy_behind_a_name() -> None:
    assert str(policy_source("ns[shop]-policy[deny-all]-rule[0]")) == "AuthorizationPolicy shop/deny-all"
    assert policy_source("none") is None


def test_a_denied_request_ends_at_the_filter() -> None:
    deny = rbac("DENY", secret={"permissions": [{"url_path": {"path": {"prefix": "/secret"}}}], "principals": _ANY})
    proxy = one_route_table(host("all", ["*"], to("a")), http_filters=[deny])
    told = trace(proxy, get(path="/secret/x"))
    assert told.failing and told.outcome.code == 403
    assert told.outcome.details == "rbac_access_denied_matched_policy[ns[shop]-policy[secret]-rule[0]]"
    assert told.hops[-1].step == "authorization" and str(told.hops[-1].sources[0]) == "AuthorizationPolicy shop/secret"
    assert not trace(proxy, get()).failing
    # Denied before the router would have answered 404.
    empty = one_route_table(host("none", ["other"], to("a")), http_filters=[deny])
    assert trace(empty, get(path="/secret")).outcome.code == 403


def test_filters_that_are_not_judged_are_said() -> None:
    ext = {"name": "envoy.filters.http.ext_authz", "typed_config": {"@type": "x/envoy.extensions.ExtAuthz"}}
    harmless = {"name": "istio.stats", "typed_config": {"@type": "x/stats.PluginConfig"}}
    told = trace(one_route_table(host("all", ["*"], to("a")), http_filters=[ext, harmless]), get())
    assert [hop.step for hop in told.hops if hop.verdict == "may match"] == ["envoy.filters.http.ext_authz"]
    assert not told.failing


def test_a_slow_rate_limit_must_be_expected() -> None:
    kind = "x/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"

    def limited(tokens: int) -> bool:
        bucket = {"max_tokens": tokens, "tokens_per_fill": tokens, "fill_interval": "10s"}
        entry = {"name": "limit", "typed_config": {"@type": kind, "token_bucket": bucket}}
        return trace(one_route_table(host("all", ["*"], to("a")), http_filters=[entry]), get()).failing

    assert limited(2) is True
    assert limited(1000) is False


# -- tokens


def token(**claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


ISSUER = Provider(issuer="https://login.test", audiences=["shop"])
OPTIONAL = {"requires_any": {"requirements": [{"provider_name": "p"}, {"allow_missing": {}}]}}


def answer(
    requires: dict[str, Any], *pairs: tuple[str, str], now: float | None = None, path: str = "/"
) -> tuple[Answer, str]:
    config = JwtAuthentication({"p": ISSUER}, [{"match": {"prefix": "/"}, "requires": requires}])
    found = authenticate(config, View("GET", path, Headers(pairs)), now)
    return found.passes, found.details


GOOD = token(iss="https://login.test", aud=["shop"], exp=1000, sub="u")


def test_tokens() -> None:
    bearer = ("authorization", f"Bearer {GOOD}")
    assert answer(OPTIONAL) == (True, "")
    assert answer({"provider_name": "p"}) == (False, "Jwt_is_missing")
    assert answer(OPTIONAL, bearer) == (None, "")
    assert answer(OPTIONAL, bearer, now=1059) == (None, "")
    assert answer(OPTIONAL, bearer, now=1061) == (False, "Jwt_is_expired")
    assert answer(OPTIONAL, ("authorization", f"Bearer {token(iss='x')}"))[1] == "Jwt_issuer_is_not_configured"
    wrong = token(iss="https://login.test", aud="other")
    assert answer(OPTIONAL, ("authorization", f"Bearer {wrong}"))[1] == "Audiences_in_Jwt_are_not_allowed"
    assert answer(OPTIONAL, ("authorization", "Bearer x"))[1].startswith("Jwt_is_not_in_the_form")
    assert answer({"allow_missing_or_failed": {}}, ("authorization", "Bearer x"))[0] is True
    assert answer({"requires_all": {"requirements": [{"provider_name": "p"}, {"provider_name": "p"}]}})[0] is False
    assert answer({"provider_name": "unknown"})[0] is None
    assert answer({"provider_name": "p"}, path=f"/?access_token={GOOD}")[0] is None


def test_claims() -> None:
    assert decode(GOOD) == {"iss": "https://login.test", "aud": ["shop"], "exp": 1000, "sub": "u"}
    assert decode("a.!.c") is None and decode("e30.W10.x") is None
    claims = {"iss": "i", "sub": "u", "groups": ["a", "b"], "deep": {"x": "1"}}

    def claim(value: dict[str, Any], *path: str, known: dict[str, Any] | None = claims, invert: bool = False) -> Answer:
        steps = [{"key": key} for key in ("payload", *path)]
        matcher = {"filter": "envoy.filters.http.jwt_authn", "path": steps, "value": value, "invert": invert}
        return holds(principal={"metadata": matcher}, claims=known)

    exact = {"string_match": {"exact": "1"}}
    assert claim(exact, "deep", "x") is True
    assert claim(exact, "deep", "y") is False
    assert claim(exact, "deep", "y", invert=True) is True
    assert claim(exact, "deep", "x", known=None) is None
    assert claim({"list_match": {"one_of": {"string_match": {"exact": "b"}}}}, "groups") is True
    assert claim({"present_match": True}, "groups") is True
    assert claim({"double_match": {}}, "groups") is None
