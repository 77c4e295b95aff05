from __future__ import annotations

from typing import Any

import pytest

from meshdoctor.mesh.proxy.route import describe_domains, route_resources, route_table
from meshdoctor.mesh.proxy.route_wide import HEADER, wide_domains, wide_routes
from tests.mesh.proxy.dumps import read, routes


def config(name: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "virtual_hosts": [{"name": "h", "domains": ["*"], "routes": list(entries)}]}


ROUTE = {"match": {"prefix": "/"}, "route": {"cluster": "c"}}


@pytest.mark.parametrize(
    ("domains", "shown"),
    [
        ([], ""),
        (["*"], "*"),
        (["*", "*.example.com"], "*, *.example.com"),
        (["a.s.svc.acme.corp", "a.s.svc.acme.corp.", "a", "a.s.svc", "a.s", "10.0.0.1"], "a.s, 10.0.0.1"),
        (["a.s.svc.cluster.local:80", "a.s.svc.cluster.local", "[fd00::1]", "[fd00::1]:80"], ""),
        (["only:80"], "only:80"),
        (["www.acme.com", "www"], "www.acme.com, www"),
        (["a.io", "b.io", "c.io", "d.io", "e.io", "f.io"], "a.io, b.io, c.io, d.io + 2 more"),
    ],
)
def test_wide_names_a_service_once_in_any_cluster_domain(domains: list[str], shown: str) -> None:
    assert wide_domains(domains) == (shown or ", ".join(d for d in domains if ":80" not in d))


@pytest.mark.parametrize(
    ("domains", "shown"),
    [
        ([], ""),
        (["a:80"], "a:80"),
        (["a", "a:80"], "a"),
        (["x.svc.cluster.local", "x.svc", "x"], "x"),
        (["x.svc.cluster.local", "y"], "x.svc.cluster.local, y"),
        (["a", "b", "c", "d"], "a, b + 2 more..."),
        (["[::1]", "[::1]:80", "a"], "a"),
        (["[fd00:10:96::7]", "[fd00:10:96::7]:80"], "[fd00:10:96::7]"),
    ],
)
def test_domains(domains: list[str], shown: str) -> None:
    assert describe_domains(domains) == shown


def test_numbers_are_sorted_and_other_names_stay() -> None:
    names = ["9090", "b", "80", "a", "443"]
    table = route_table(read(RoutesConfigDump=routes(*(config(name, ROUTE) for name in names))), "", verbose=False)
    # "b" and "a" compare equal to every number: insertion sort leaves them where they are.
    assert [row[0] for row in table.rows] == ["9090", "b", "80", "a", "443"]
    numbers = route_table(read(RoutesConfigDump=routes(*(config(name, ROUTE) for name in ("9090", "80")))), "")
    assert [row[0] for row in numbers.rows] == ["80", "9090"]


def test_passthrough_has_no_row_and_a_host_without_routes_is_404() -> None:
    passthrough = {"match": {"prefix": "/"}, "route": {"cluster": "PassthroughCluster"}}
    sections = read(RoutesConfigDump=routes(config("80", ROUTE, passthrough), config("443")))
    assert list(route_table(sections, "").rows) == [("80", "h", "*", "/*", ""), ("443", "h", "*", "/*", "404")]
    assert len(route_resources(sections, "80")) == 1


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/apis/networking.istio.io/v1alpha3/namespaces/ns/virtual-service/vs", "vs.ns"),
        ("/apis/networking.istio.io/v1/namespaces/ns/virtual-service", ""),
        ("/apis/other.io/v1/namespaces/ns/virtual-service/vs", "<unknown>"),
        (5, "<unknown>"),
        (None, "<unknown>"),
    ],
)
def test_virtual_service(path: object, shown: str) -> None:
    route = {**ROUTE, "metadata": {"filter_metadata": {"istio": {"config": path}}}}
    assert route_table(read(RoutesConfigDump=routes(config("80", route))), "").rows[0][-1] == shown


def test_wide_says_where_a_route_leads() -> None:
    weighted = {"weighted_clusters": {"clusters": [{"name": "a", "weight": 90}, {"name": "b", "weight": 10}]}}
    header = {"name": "x", "string_match": {"exact": "1"}}
    entries = [
        {"match": {"prefix": "/", "headers": [header]}, "route": {**weighted, "timeout": "0s"}},
        {"match": {"path": "/r"}, "redirect": {"https_redirect": True}},
        {"match": {"path": "/d"}, "direct_response": {"status": 503}},
    ]
    rows = [
        dict(zip(HEADER, row, strict=True))
        for row in wide_routes(read(RoutesConfigDump=routes(config("80", *entries))), "").rows
    ]
    assert [row["DESTINATION"] for row in rows] == [
        "a 90, b 10",
        "redirect MOVED_PERMANENTLY https",
        "direct response 503",
    ]
    assert rows[0]["MATCH"] == "/* x=1"
    assert rows[0]["TIMEOUT"] == "none"


def wide(*entries: dict[str, Any], **host: Any) -> list[dict[str, str]]:
    configuration = config("80", *entries)
    configuration["virtual_hosts"][0].update(host)
    rows = wide_routes(read(RoutesConfigDump=routes(configuration)), "").rows
    return [dict(zip(HEADER, row, strict=True)) for row in rows]


@pytest.mark.parametrize(
    ("match", "shown"),
    [
        ({"headers": [{"name": "x", "present_match": True}]}, "x"),
        ({"headers": [{"name": "x", "present_match": False}]}, "no x"),
        ({"headers": [{"name": "x", "present_match": True, "invert_match": True}]}, "no x"),
        ({"headers": [{"name": "x", "present_match": False, "invert_match": True}]}, "x"),
        ({"headers": [{"name": "x", "range_match": {"start": "1", "end": "5"}}]}, "x=[1,5)"),
        ({"headers": [{"name": "x", "string_match": {"exact": "A", "ignore_case": True}}]}, "x=A (any case)"),
        ({"headers": [{"name": "x", "string_match": {"prefix": "a"}, "invert_match": True}]}, "not x=a*"),
        ({"headers": [{"name": "x", "string_match": {"contains": "a"}}]}, "x=*a*"),
        ({"headers": [{"name": "x", "string_match": {"safe_regex": {"regex": "a+"}}}]}, "x~a+"),
        ({"headers": [{"name": "x", "suffix_match": "a"}]}, "x=*a"),
        ({"headers": [{"name": "x", "safe_regex_match": {"regex": "a"}}]}, "x~a"),
        ({"headers": [{"name": "x", "string_match": {"custom": {"name": "lua"}}}]}, "x by lua"),
        ({"query_parameters": [{"name": "q", "present_match": True}]}, "?q"),
        ({"query_parameters": [{"name": "q", "string_match": {"exact": "1"}}]}, "?q=1"),
        ({"case_sensitive": False}, "(any case)"),
        ({"case_sensitive": True}, ""),
        ({"runtime_fraction": {"default_value": {"numerator": 10}}}, "10% of requests"),
        ({"runtime_fraction": {"default_value": {"numerator": 5000, "denominator": "MILLION"}}}, "0.5% of requests"),
        ({"runtime_fraction": {"default_value": {}, "runtime_key": "k"}}, "0% (runtime k) of requests"),
        ({"grpc": {}}, "gRPC"),
        ({"tls_context": {"presented": True, "validated": False}}, "client certificate presented/not validated"),
        ({"dynamic_metadata": [{"filter": "jwt"}], "filter_state": [{"key": "k"}]}, "metadata of jwt filter state k"),
    ],
)
def test_wide_says_all_that_a_route_asks_for(match: dict[str, Any], shown: str) -> None:
    (row,) = wide({"match": {"prefix": "/", **match}, "route": {"cluster": "c"}})
    assert row["MATCH"] == f"/* {shown}".strip()


def test_wide_knows_matchers_of_another_kind_than_a_path() -> None:
    template = {"name": "uri", "typed_config": {"@type": "x/UriTemplateMatchConfig", "path_template": "/a/{b}"}}
    found = wide(
        *({"match": {key: value}} for key, value in (("connect_matcher", {}), ("path_match_policy", template)))
    )
    assert [row["MATCH"] for row in found] == ["CONNECT", "template /a/{b}"]


@pytest.mark.parametrize(
    ("redirect", "shown"),
    [
        ({"scheme_redirect": "https"}, "https"),
        ({"https_redirect": True, "path_redirect": "/p"}, "https://*/p"),
        (
            {"scheme_redirect": "https", "host_redirect": "h", "port_redirect": 8443, "path_redirect": "/p"},
            "https://h:8443/p",
        ),
        ({"host_redirect": "h", "prefix_rewrite": "/new"}, "h/new*"),
        ({"port_redirect": 81}, "*:81"),
        ({"path_redirect": "/p", "strip_query": True}, "/p without query"),
        ({"regex_rewrite": {"pattern": {"regex": "^/a"}, "substitution": "/b"}}, "/(~^/a to /b)"),
    ],
)
def test_wide_says_all_of_where_a_redirect_leads(redirect: dict[str, Any], shown: str) -> None:
    (row,) = wide({"match": {"prefix": "/"}, "redirect": redirect})
    assert row["DESTINATION"] == f"redirect MOVED_PERMANENTLY {shown}"


@pytest.mark.parametrize(
    ("route", "shown"),
    [
        ({"route": {"cluster_specifier_plugin": "p"}}, "cluster of plugin p"),
        ({"route": {"inline_cluster_specifier_plugin": {"extension": {"name": "p"}}}}, "cluster of plugin p"),
        ({"non_forwarding_action": {}}, "non-forwarding action"),
        ({"filter_action": {}}, "filter action"),
        (
            {
                "route": {
                    "cluster": "c",
                    "request_mirror_policies": [
                        {"cluster": "a", "runtime_fraction": {"default_value": {"numerator": 100}}},
                        {"cluster": "b", "runtime_fraction": {"default_value": {"numerator": 5}}},
                        {"cluster_header": "x"},
                    ],
                }
            },
            "c (mirrored to a, b 5%, cluster of header x)",
        ),
    ],
)
def test_wide_names_every_kind_of_destination(route: dict[str, Any], shown: str) -> None:
    (row,) = wide({"match": {"prefix": "/"}, **route})
    assert row["DESTINATION"] == shown


@pytest.mark.parametrize(
    ("action", "host", "timeout", "retries"),
    [
        ({}, {}, "15s", "-"),
        ({"timeout": "0s", "retry_policy": {"retry_on": "5xx"}}, {}, "none", "1"),
        ({"retry_policy": {"retry_on": "5xx", "num_retries": 0}}, {"retry_policy": {"num_retries": 5}}, "15s", "0"),
        ({"timeout": "3s"}, {"retry_policy": {"retry_on": "5xx", "num_retries": 5}}, "3s", "5"),
        ({"retry_policy": {"num_retries": 2}}, {}, "15s", "2 when asked"),
    ],
)
def test_wide_knows_what_envoy_does_by_default(
    action: dict[str, Any], host: dict[str, Any], timeout: str, retries: str
) -> None:
    """RouteEntryImplBase: 15 s; a policy without a number retries once; the route's own one wins."""
    (row,) = wide({"match": {"prefix": "/"}, "route": {"cluster": "c", **action}}, **host)
    assert (row["TIMEOUT"], row["RETRIES"]) == (timeout, retries)


def test_wide_knows_of_a_tree_of_matchers_and_of_external_requests() -> None:
    found = wide(require_tls="EXTERNAL_ONLY", matcher={"matcher_tree": {}})
    assert [(row["MATCH"], row["DESTINATION"]) for row in found] == [
        ("external http", "redirect to https"),
        ("/*", "as a tree of matchers says"),
    ]
