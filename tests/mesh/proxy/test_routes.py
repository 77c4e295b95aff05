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
    ],
)
def test_virtual_service(path: str, shown: str) -> None:
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
