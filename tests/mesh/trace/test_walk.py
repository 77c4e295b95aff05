from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.mesh.trace.explain import trace
from meshdoctor.mesh.trace.outcome import Outcome
from meshdoctor.mesh.trace.proxy import Proxy
from meshdoctor.mesh.trace.request import ClientHello, Request
from meshdoctor.mesh.trace.vhost import Domains
from meshdoctor.mesh.trace.walk import walk
from meshdoctor.model.decode import decode_json
from meshdoctor.model.envoy.endpoint import ClusterStatuses
from tests.mesh.trace.dumps import (
    HTTP_INSPECTOR,
    cluster,
    dump,
    endpoints,
    get,
    host,
    http_chain,
    listener,
    one_route_table,
    passthrough,
    routes,
    tcp_chain,
    to,
    with_tls,
)


def outcome(proxy: Proxy, request: Request) -> tuple[int | None, str, str]:
    found = walk(proxy, request).main.outcome
    return found.code, found.flags, found.details


def taken(proxy: Proxy, request: Request) -> int | None:
    return walk(proxy, request).route


ANY = one_route_table(host("all", ["*"], to("a")))


# -- before routing


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (get(), (None, "", "via_upstream")),
        (get(version="1.0"), (426, "DPE", "low_version")),
        (get(None), (400, "", "missing_host_header")),
        (get(""), (None, "", "via_upstream")),
        (get("a/b"), (400, "DPE", "http.invalid_authority")),
        (get("user@a.test"), (None, "", "via_upstream")),
        (get(path="x"), (400, "DPE", "http1.codec_error")),
        (get(path="*"), (400, "DPE", "http1.invalid_url")),
        (get(path="*", method="OPTIONS"), (404, "", "absolute_path_rejected")),
        (get(path="/%00"), (400, "", "path_normalization_failed")),
        (get(path="/é"), (400, "DPE", "http1.codec_error")),
        (get(path="ftp://a.test/"), (400, "DPE", "http1.invalid_scheme")),
        (get(method="get"), (400, "DPE", "http1.codec_error")),
        (get(tls=ClientHello()), (400, "DPE", "http1.codec_error")),
        (get(version=""), (400, "DPE", "http1.codec_error")),
        (get(payload=b"\x00\x01"), (400, "DPE", "http1.codec_error")),
        (get(version="2"), (None, "", "via_upstream")),
        (get("", version="2"), (0, "DPE", "http2.invalid.header.field")),
        (get(None, version="2"), (0, "DPE", "http2.violation.of.messaging.rule")),
        (get(path="x", version="2"), (0, "DPE", "http2.violation.of.messaging.rule")),
        (get(headers=(("connection", "close"),), version="2"), (0, "DPE", "http2.invalid.header.field")),
    ],
)
def test_what_envoy_refuses_before_routing(request_: Request, expected: tuple[int | None, str, str]) -> None:
    assert outcome(ANY, request_) == expected


def test_grpc_gets_200_for_envoys_own_answers() -> None:
    grpc = (("content-type", "application/grpc"),)
    empty = one_route_table(host("none", ["other.test"], to("a")))
    assert outcome(empty, get(headers=grpc)) == (200, "NR", "route_not_found")
    assert outcome(ANY, get(None, headers=grpc)) == (200, "", "missing_host_header")
    assert outcome(ANY, get(version="1.0", headers=grpc)) == (426, "DPE", "low_version")


def test_an_absolute_target_replaces_the_host() -> None:
    proxy = one_route_table(host("x", ["x.test"], to("a")), host("y", ["y.test"], to("b")))
    assert walk(proxy, get("x.test", "http://Y.test:81/p")).main.cluster == "b"


# -- virtual hosts


def place(*domains: str, asked: str, ignore_port: bool = True) -> int | None:
    return Domains(((name, number) for number, name in enumerate(domains)), ignore_port).find(asked)[0]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("a.test", 0),
        ("A.TEST:8080", 0),
        ("a.test:", 0),
        ("x.a.test", 1),
        ("y.x.a.test", 1),
        (".a.test", 2),
        ("b.test", 2),
        ("a.example", 3),
        ("nobody", 4),
        ("[::1]:80", 5),
    ],
)
def test_virtual_hosts(asked: str, expected: int) -> None:
    assert place("a.test", "*.a.test", "*.test", "a.*", "*", "[::1]", asked=asked) == expected


def test_ports_count_unless_they_are_ignored() -> None:
    assert place("a.test", "a.test:81", asked="a.test:81", ignore_port=False) == 1
    assert place("a.test", asked="a.test:82", ignore_port=False) is None


@given(st.lists(st.sampled_from(["*", "*.b", "*.a.b", "*b", "a.*", "a.b*", "a.b", "c.a.b"]), unique=True))
def test_the_longest_name_wins(names: list[str]) -> None:
    for asked in ("a.b", "c.a.b", "d.c.a.b", "a.x", "x"):
        exact = [name for name in names if name == asked]
        suffix = [name for name in names if name[0] == "*" and name != "*" and asked.endswith(name[1:])]
        prefix = [name for name in names if name.endswith("*") and name != "*" and asked.startswith(name[:-1])]
        suffix = [name for name in suffix if len(name) - 1 < len(asked)]
        prefix = [name for name in prefix if len(name) - 1 < len(asked)]
        groups = (exact, sorted(suffix, key=len)[-1:], sorted(prefix, key=len)[-1:], ["*"] if "*" in names else [])
        expected = next((group[0] for group in groups if group), None)
        found = place(*names, asked=asked)
        assert (None if found is None else names[found]) == expected


# -- routes


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


# -- answers


def action(**route: Any) -> Proxy:
    return one_route_table(host("all", ["*"], {"match": {"prefix": "/"}, **route}))


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


# -- clusters and endpoints


def test_clusters_and_endpoints() -> None:
    assert outcome(action(route={"cluster": "gone"}), get()) == (503, "NC", "cluster_not_found")
    named = {"cluster": "gone", "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR"}
    assert outcome(action(route=named), get()) == (500, "NC", "cluster_not_found")
    assert outcome(action(route={"cluster": "void"}), get()) == (503, "UH", "no_healthy_upstream")
    header = action(route={"cluster_header": "X-To"})
    assert outcome(header, get()) == (503, "NC", "cluster_not_found")
    assert walk(header, get(headers=(("x-to", "b"),))).main.cluster == "b"


def test_weights_are_shares_and_zero_is_never() -> None:
    weights = [{"name": "a", "weight": 1}, {"name": "b", "weight": 3}, {"name": "gone", "weight": 0}]
    found = walk(action(route={"weighted_clusters": {"clusters": weights}}), get())
    assert [(end.cluster, end.share) for end in found.ends] == [("a", 0.25), ("b", 0.75)]
    weights[2]["weight"] = 4
    proxy = action(route={"weighted_clusters": {"clusters": weights}})
    told = trace(proxy, get())
    assert told.failing and told.outcome.flags == "NC"
    assert any("for 50% of the requests" in hop.why for hop in told.hops if hop.step == "cluster")


def proxy_with(assignment: dict[str, Any], statuses: dict[str, Any] | None = None, **more: Any) -> Proxy:
    chain = http_chain(routes("80", host("all", ["*"], to("a"))))
    body = dump([listener("x", "0.0.0.0", 80, chain)], [], [cluster("a", **more)], [assignment])
    return Proxy(body, decode_json(json.dumps(statuses).encode(), ClusterStatuses) if statuses else None)


NO_PANIC: dict[str, Any] = {"common_lb_config": {"healthy_panic_threshold": {}}}


def test_unhealthy_endpoints_are_passed_over_unless_envoy_panics() -> None:
    sick = endpoints("a", "10.0.0.1:80", health="UNHEALTHY")
    assert outcome(proxy_with(sick, **NO_PANIC), get())[1] == "UH"
    assert outcome(proxy_with(sick), get())[1] == ""
    draining = endpoints("a", "10.0.0.1:80", health="DRAINING")
    hop = trace(proxy_with(draining, **NO_PANIC), get()).hops[-1]
    assert hop.others == (("10.0.0.1:80", "istiod says DRAINING"),)


def test_ejected_endpoints() -> None:
    address = {"socket_address": {"address": "10.0.0.1", "port_value": 80}}
    ejected = {"address": address, "health_status": {"failed_outlier_check": True, "eds_health_status": "HEALTHY"}}
    statuses = {"cluster_statuses": [{"name": "a", "host_statuses": [ejected]}]}
    found = walk(proxy_with(endpoints("a", "10.0.0.1:80"), statuses, **NO_PANIC), get()).main.outcome
    assert found.flags == "UH" and "outlier" in found.why


def test_the_endpoint_of_an_original_destination_is_the_dialled_address() -> None:
    chain = tcp_chain("PassthroughCluster")
    proxy = Proxy(dump([listener("virtualOutbound", "0.0.0.0", 15001, chain)], [], [passthrough()]))
    found = trace(proxy, Request("outbound", "192.0.2.1", 443, version=""))
    assert not found.failing and found.hops[-1].chosen == "192.0.2.1:443"
    # Without redirection there is no such address.
    proxy = Proxy(dump([listener("x", "0.0.0.0", 443, chain)], [], [passthrough()]))
    assert walk(proxy, Request("gateway", "192.0.2.1", 443, version="")).main.outcome.flags == "UH"


# -- connections


def test_http_is_sniffed_and_what_is_not_http_goes_the_default_way() -> None:
    http = http_chain(routes("80", host("all", ["*"], to("a"))), {"application_protocols": ["http/1.1", "h2c"]})
    body = listener(
        "0.0.0.0_80",
        "0.0.0.0",
        80,
        http,
        listener_filters=[HTTP_INSPECTOR],
        default_filter_chain=tcp_chain("PassthroughCluster", name="PassthroughFilterChain"),
    )
    proxy = Proxy(dump([body], [], [cluster("a"), passthrough()], [endpoints("a", "10.0.0.1:1")]))

    def layer(**request: Any) -> str:
        return walk(proxy, Request("outbound", "10.0.0.9", 80, authority="x", **request)).main.outcome.layer

    assert layer() == "http"
    assert layer(version="2") == "http"
    assert layer(version="1.0") == layer(tls=ClientHello()) == layer(path="x") == layer(version="") == "tcp"


def test_tls_chains() -> None:
    chain = with_tls(http_chain(routes("443", host("all", ["*"], to("a")))), ["h2"], client=True)
    proxy = Proxy(dump([listener("x", "0.0.0.0", 443, chain)], [], [cluster("a")], [endpoints("a", "10.0.0.1:1")]))

    def asked(hello: ClientHello | None) -> Outcome:
        return walk(proxy, Request("gateway", "10.0.0.9", 443, tls=hello, authority="x")).main.outcome

    assert asked(ClientHello(certificate=True)).details == "via_upstream"
    assert asked(ClientHello(certificate=True, alpn=("h2",))).details == "via_upstream"
    assert (asked(None).layer, asked(ClientHello()).layer) == ("none", "none")
    told = trace(proxy, Request("gateway", "10.0.0.9", 443, authority="x"))
    assert told.failing and told.hops[-1].step == "filter chain" and told.hops[-1].verdict == "fails"


def test_nothing_listens_and_no_chain() -> None:
    assert trace(ANY, get(port=81)).hops[0].verdict == "fails"
    proxy = Proxy(dump([listener("x", "0.0.0.0", 80, tcp_chain("a", {"transport_protocol": "tls"}))], [], []))
    assert outcome(proxy, get()) == (None, "NR", "filter_chain_not_found")


def test_sni_names_the_cluster_of_an_east_west_gateway() -> None:
    by_sni = [{"name": "envoy.filters.network.sni_cluster"}]
    chain = tcp_chain("BlackHoleCluster", before=by_sni)
    inspected = listener(
        "x", "0.0.0.0", 15443, chain, listener_filters=[{"name": "envoy.filters.listener.tls_inspector"}]
    )
    name = "outbound_.80_._.web.shop.svc.cluster.local"
    proxy = Proxy(dump([inspected], [], [cluster(name)], [endpoints(name, "10.0.0.1:1")]))
    assert walk(proxy, Request("gateway", "10.0.0.9", 15443, tls=ClientHello(name))).main.cluster == name


def test_routes_that_were_never_delivered() -> None:
    proxy = Proxy(dump([listener("x", "0.0.0.0", 80, http_chain("missing"))]))
    assert outcome(proxy, get()) == (404, "NR", "route_not_found")
    assert trace(proxy, get()).hops[-1].step == "route configuration"


@given(
    st.builds(
        Request,
        direction=st.sampled_from(["outbound", "inbound", "gateway"]),
        ip=st.sampled_from(["", "10.0.0.1", "::1", "no address"]),
        port=st.sampled_from([0, 80, 15001]),
        version=st.sampled_from(["", "1.0", "1.1", "2", "9"]),
        method=st.text(max_size=5),
        authority=st.none() | st.text(max_size=10),
        path=st.text(max_size=10) | st.text("/.%2eEfF?#*\\", max_size=10).map(lambda tail: "/" + tail),
        headers=st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3).map(tuple),
        payload=st.none() | st.binary(max_size=20),
        tls=st.none() | st.builds(ClientHello, sni=st.text(max_size=5)),
    )
)
def test_no_request_breaks_it(request_: Request) -> None:
    found = trace(ANY, request_)
    assert found.hops
    assert found.failing == found.outcome.failing


def test_an_unknown_host_is_told_its_likely_names() -> None:
    proxy = one_route_table(host("shop", ["shop.pay.svc.cluster.local"], to("a")), host("allow_any", ["*"], to("b")))
    hop = next(hop for hop in trace(proxy, get("shop.pau")).hops if hop.step == "virtual host")
    assert hop.others == (("shop.pay.svc.cluster.local", "another name"),)
    assert "knows no such host" in hop.notes[0]


@pytest.mark.parametrize(("minor", "route"), [(38, 1), (40, 0), (None, 0)])
def test_older_envoys_join_repeated_headers(minor: int | None, route: int) -> None:
    match = {"prefix": "/", "headers": [{"name": "x", "string_match": {"exact": "b"}}]}
    proxy = one_route_table(host("all", ["*"], to("a", match), to("b")))
    if minor is not None:
        version = {"version": {"major_number": 1, "minor_number": minor}}
        section = {"bootstrap": {"node": {"user_agent_build_version": version}}}
        proxy.dump.sections["BootstrapConfigDump"] = (msgspec.Raw(json.dumps(section).encode()),)
    assert taken(proxy, get(headers=(("x", "a"), ("x", "b")))) == route
