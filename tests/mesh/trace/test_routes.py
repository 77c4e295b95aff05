"""Which route of a virtual host takes a request, and what Envoy answers by itself."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from meshdoctor.mesh.trace.explain import trace
from meshdoctor.mesh.trace.walk import walk
from tests.mesh.trace.dumps import get, host, one_route_table, to
from tests.mesh.trace.walks import action, outcome, taken

# -- matches


@pytest.mark.parametrize(
    ("match", "yes", "no"),
    [
        ({"prefix": "/api"}, ["/api", "/apiary", "/api?x"], ["/Api", "/"]),
        ({"prefix": "/Api", "case_sensitive": False}, ["/aPI/x"], ["/ap"]),
        ({"path": "/api"}, ["/api", "/api?x=1"], ["/api/", "/apiary"]),
        ({"path": "/api", "case_sensitive": False}, ["/API"], ["/API/"]),
        ({"path_separated_prefix": "/api"}, ["/api", "/api/", "/api/x", "/api?x"], ["/apiary"]),
        ({"safe_regex": {"regex": "/v[12](/.*)?"}}, ["/v1", "/v2/x", "/v1?x"], ["/v3", "/v1x"]),
        (
            {"prefix": "/", "query_parameters": [{"name": "x", "string_match": {"exact": "1"}}]},
            ["/?x=1&x=2"],
            ["/?X=1"],
        ),
        ({"prefix": "/", "runtime_fraction": {"default_value": {"numerator": 0}}}, [], ["/"]),
    ],
)
def test_path_kinds(match: dict[str, Any], yes: list[str], no: list[str]) -> None:
    proxy = one_route_table(host("all", ["*"], to("a", match), to("b")))
    assert [walk(proxy, get(path=path)).main.cluster for path in yes] == ["a"] * len(yes)
    assert [walk(proxy, get(path=path)).main.cluster for path in no] == ["b"] * len(no)


def test_the_first_route_that_matches_wins() -> None:
    proxy = one_route_table(host("all", ["*"], to("a", {"prefix": "/x"}), to("b"), to("a")))
    assert [taken(proxy, get(path=path)) for path in ("/x", "/y")] == [0, 1]
    hop = next(hop for hop in trace(proxy, get(path="/y")).hops if hop.step == "route")
    assert hop.others == (("#0", "path is not prefix /x"), ("#2", "takes it too, but comes later"))


def test_grpc_and_connect_matchers() -> None:
    proxy = one_route_table(
        host("all", ["*"], to("a", {"prefix": "/", "grpc": {}}), to("b", {"connect_matcher": {}}), to("void"))
    )
    assert taken(proxy, get(headers=(("content-type", "application/grpc"),))) == 0
    assert taken(proxy, get(method="CONNECT", path="a.test:443")) == 1
    assert taken(proxy, get()) == 2


def test_an_unknown_kind_of_match_may_match_and_the_walk_goes_on() -> None:
    odd = {"path_match_policy": {"name": "x"}}
    proxy = one_route_table(
        host("all", ["*"], to("a", odd), to("b", {"prefix": "/", "dynamic_metadata": [{}]}), to("b"))
    )
    found = walk(proxy, get())
    assert [end.route for end in found.ends] == [0, 1, 2]
    assert sum(end.share for end in found.ends) == pytest.approx(1)
    hop = next(hop for hop in trace(proxy, get()).hops if hop.step == "route")
    assert hop.verdict == "may match"
    assert ("#1", "it asks for dynamic metadata") in hop.others


def test_a_regex_that_re2_refuses_is_said() -> None:
    proxy = one_route_table(host("all", ["*"], to("a", {"safe_regex": {"regex": "(?=x)"}})))
    found = walk(proxy, get())
    assert [(end.route, end.outcome.flags) for end in found.ends] == [(0, ""), (None, "NR")]


def test_a_runtime_fraction_draws_lots() -> None:
    fraction = {"default_value": {"numerator": 25, "denominator": "HUNDRED"}}
    proxy = one_route_table(host("all", ["*"], to("a", {"prefix": "/", "runtime_fraction": fraction}), to("b")))
    assert [(end.cluster, end.share) for end in walk(proxy, get()).ends] == [("a", 0.25), ("b", 0.75)]


@pytest.mark.parametrize(("minor", "route"), [(38, 1), (40, 0), (None, 0)])
def test_older_envoys_join_repeated_headers(minor: int | None, route: int) -> None:
    match = {"prefix": "/", "headers": [{"name": "x", "string_match": {"exact": "b"}}]}
    proxy = one_route_table(host("all", ["*"], to("a", match), to("b")))
    if minor is not None:
        version = {"version": {"major_number": 1, "minor_number": minor}}
        section = {"bootstrap": {"node": {"user_agent_build_version": version}}}
        proxy.dump.sections["BootstrapConfigDump"] = (msgspec.Raw(json.dumps(section).encode()),)
    assert taken(proxy, get(headers=(("x", "a"), ("x", "b")))) == route


# -- answers


@pytest.mark.parametrize(
    ("redirect", "code", "location"),
    [
        ({}, 301, "http://shop.test/p?q"),
        ({"https_redirect": True}, 301, "https://shop.test/p?q"),
        ({"host_redirect": "new.test", "response_code": "FOUND"}, 302, "http://new.test/p?q"),
        ({"path_redirect": "/new", "response_code": "SEE_OTHER"}, 303, "http://shop.test/new?q"),
        ({"path_redirect": "/new?own", "strip_query": True}, 301, "http://shop.test/new?own"),
        ({"strip_query": True}, 301, "http://shop.test/p"),
        ({"prefix_rewrite": "/new"}, 301, "http://shop.test/newp?q"),
        ({"prefix_rewrite": "new"}, 301, "http://shop.test/newp?q"),
        ({"port_redirect": 8443, "scheme_redirect": "https"}, 301, "https://shop.test:8443/p?q"),
        ({"regex_rewrite": {"pattern": {"regex": "p"}, "substitution": "x"}}, 301, "http://shop.test/x?q"),
        ({"response_code": "PERMANENT_REDIRECT"}, 308, "http://shop.test/p?q"),
        ({"response_code": "TEMPORARY_REDIRECT"}, 307, "http://shop.test/p?q"),
    ],
)
def test_redirects(redirect: dict[str, Any], code: int, location: str) -> None:
    found = walk(action(redirect=redirect), get(path="/p?q")).main.outcome
    assert (found.code, found.location, found.failing) == (code, location, False)


@pytest.mark.parametrize(
    ("asked", "redirect", "host_"),
    [
        ("shop.test:80", {"https_redirect": True}, "shop.test"),
        ("shop.test:81", {"https_redirect": True}, "shop.test:81"),
        ("shop.test:81", {"port_redirect": 9}, "shop.test:9"),
        ("[::1]:80", {"https_redirect": True}, "[::1]"),
        ("[::1]", {"https_redirect": True}, "[::1]"),
    ],
)
def test_a_default_port_goes_with_its_scheme(asked: str, redirect: dict[str, Any], host_: str) -> None:
    found = walk(action(redirect=redirect), get(asked)).main.outcome.location
    assert found.partition("://")[2] == f"{host_}/"


def test_direct_responses_and_block_all() -> None:
    assert outcome(action(direct_response={"status": 418}), get()) == (418, "", "direct_response")
    found = walk(action(name="block_all", direct_response={"status": 502}), get()).main.outcome
    assert "REGISTRY_ONLY" in found.why and found.failing


def test_require_tls_looks_at_the_forwarded_protocol() -> None:
    secure = host("all", ["*"], to("a"), require_tls="ALL")
    found = walk(one_route_table(secure), get("shop.test:80", "/x")).main.outcome
    assert (found.code, found.location) == (301, "https://shop.test:80/x")
    told = get(headers=(("x-forwarded-proto", "https"),))
    assert outcome(one_route_table(secure), told) == (None, "", "via_upstream")
    # An edge proxy does not believe it.
    assert outcome(one_route_table(secure, use_remote_address=True), told)[0] == 301


_HTTP = "type.googleapis.com/envoy.extensions.filters.http."


def fault(**config: Any) -> dict[str, Any]:
    return {"envoy.filters.http.fault": {"@type": f"{_HTTP}fault.v3.HTTPFault", **config}}


def test_a_fault_takes_its_share() -> None:
    abort = {"http_status": 418, "percentage": {"numerator": 400_000, "denominator": "MILLION"}}
    proxy = one_route_table(host("all", ["*"], {**to("a"), "typed_per_filter_config": fault(abort=abort)}))
    found = walk(proxy, get())
    assert [(end.outcome.flags, end.share) for end in found.ends] == [("FI", 0.4), ("", 0.6)]
    assert trace(proxy, get()).failing
    only = fault(abort={**abort, "percentage": {"numerator": 100}}, headers=[{"name": "x", "present_match": True}])
    proxy = one_route_table(host("all", ["*"], {**to("a"), "typed_per_filter_config": only}))
    assert outcome(proxy, get()) == (None, "", "via_upstream")
    assert outcome(proxy, get(headers=(("x", "1"),))) == (418, "FI", "fault_filter_abort")


def test_a_delay_is_told() -> None:
    late = fault(delay={"fixed_delay": "5s", "percentage": {"numerator": 50}})
    proxy = one_route_table(host("all", ["*"], {**to("a"), "typed_per_filter_config": late}))
    hop = next(hop for hop in trace(proxy, get()).hops if hop.step == "route")
    assert "the fault delays 50% of the requests by 5s" in hop.notes


def test_cors_preflights_of_allowed_origins_are_answered() -> None:
    policy = {"@type": f"{_HTTP}cors.v3.CorsPolicy", "allow_origin_string_match": [{"exact": "https://ok.test"}]}
    cors = {"envoy.filters.http.cors": policy}
    proxy = one_route_table(host("all", ["*"], {**to("a"), "typed_per_filter_config": cors}))
    asked = (("origin", "https://ok.test"), ("access-control-request-method", "GET"))
    assert outcome(proxy, get(method="OPTIONS", headers=asked)) == (200, "", "cors_response")
    assert outcome(proxy, get(headers=asked))[2] == "via_upstream"
    assert outcome(proxy, get(method="OPTIONS", headers=(("origin", "https://no.test"), asked[1])))[2] == "via_upstream"
    wrapped = {"envoy.filters.http.cors": {"@type": "x/envoy.config.route.v3.FilterConfig", "disabled": True}}
    proxy = one_route_table(host("all", ["*"], {**to("a"), "typed_per_filter_config": wrapped}))
    assert outcome(proxy, get(method="OPTIONS", headers=asked))[2] == "via_upstream"
