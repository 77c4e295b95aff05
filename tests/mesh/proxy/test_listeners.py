from __future__ import annotations

from typing import Any

import pytest

from meshdoctor.mesh.proxy.listener import ListenerFilter, listener_table
from meshdoctor.mesh.proxy.listener_wide import HEADER, wide_listeners
from meshdoctor.mesh.proxy.waypoint_listener import waypoint_listener_table
from tests.mesh.proxy.dumps import http, listeners, read, socket, tcp


def inline(*hosts: dict[str, Any]) -> dict[str, Any]:
    return http(route_config={"virtual_hosts": list(hosts)})


def host(*routes: dict[str, Any], domains: tuple[str, ...] = ("*",)) -> dict[str, Any]:
    return {"domains": list(domains), "routes": list(routes)}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([tcp(cluster="outbound|80||a")], "Cluster: outbound|80||a"),
        ([tcp(cluster="PassthroughCluster")], "PassthroughCluster"),
        ([tcp(cluster="BlackHoleCluster")], "Non-HTTP/Non-TCP"),
        ([tcp(stat_prefix="BlackHoleCluster"), http(rds={"route_config_name": "80"})], "Route: 80"),
        ([http(rds={"route_config_name": "80"})], "Route: 80"),
        ([http()], "HTTP"),
        ([inline(host({"match": {"prefix": "/"}, "route": {"cluster": "x"}}))], "Cluster: x"),
        ([inline(host({"match": {"prefix": "/"}, "route": {"cluster": "aCluster"}}))], "aCluster"),
        ([inline(host({"match": {"prefix": "/a"}, "route": {"cluster": "x"}}))], "Inline Route: /a*"),
        ([inline(host({"match": {"path": "/p"}}, domains=("b", "c")))], "Inline Route: b/c /p"),
        (
            [inline(host({"match": {"safe_regex": {"regex": "r"}}}, {"match": {"path_separated_prefix": "/s"}}))],
            "Inline Route: regex r, PathPrefix:/s",
        ),
        ([], "Non-HTTP/Non-TCP"),
    ],
)
def test_destination(filters: list[dict[str, Any]], expected: str) -> None:
    body = {"name": "l", "address": socket("1.1.1.1", 80), "filter_chains": [{"filters": filters}]}
    sections = read(ListenersConfigDump=listeners(body))
    assert list(listener_table(sections, ListenerFilter()).rows) == [("1.1.1.1", "80", "ALL", expected)]


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, "ALL"),
        ({"server_names": ["a", "b"], "transport_protocol": "tls"}, "SNI: a,b; Trans: tls"),
        ({"application_protocols": ["http/1.0", "http/1.1", "h2c"]}, "App: HTTP"),
        ({"application_protocols": ["http/1.1", "h2c"]}, "App: http/1.1,h2c"),
        ({"destination_port": 9}, "Addr: *:9"),
        (
            {"prefix_ranges": [{"address_prefix": "1.2.3.4", "prefix_len": 32}], "destination_port": 9},
            "Addr: 1.2.3.4/32:9",
        ),
        ({"prefix_ranges": [{"address_prefix": "::", "prefix_len": 0}]}, "Addr: ::/0"),
    ],
)
def test_match(match: dict[str, Any], expected: str) -> None:
    body = {"address": socket("1.1.1.1", 80), "filter_chains": [{"filter_chain_match": match}]}
    assert listener_table(read(ListenersConfigDump=listeners(body)), ListenerFilter()).rows[0][2] == expected


def test_chains_are_sorted_by_destination_downwards_and_listeners_by_port() -> None:
    first = {
        "name": "b",
        "address": socket("1.1.1.1", 90),
        "filter_chains": [{"filters": [tcp(cluster=c)]} for c in "ab"],
    }
    second = {"name": "a", "address": socket("2.2.2.2", 80), "default_filter_chain": {"filters": [http()]}}
    table = listener_table(read(ListenersConfigDump=listeners(first, second)), ListenerFilter(), typed=True)
    assert [(row[0], row[-1]) for row in table.rows] == [
        ("listener/a", "HTTP"),
        ("listener/b", "Cluster: b"),
        ("listener/b", "Cluster: a"),
    ]


def test_types_and_additional_addresses() -> None:
    bodies = [
        {"address": socket("1.1.1.1", 1), "filter_chains": [{"filters": [http(), tcp(cluster="x")]}]},
        {"address": socket("1.1.1.1", 2), "filter_chains": [{"filters": [tcp(cluster="BlackHoleCluster")]}]},
        {"address": {"pipe": {"path": "/s"}}, "additional_addresses": [{"address": socket("::1", 1)}]},
    ]
    sections = read(ListenersConfigDump=listeners(*bodies))
    table = listener_table(sections, ListenerFilter(), verbose=False)
    assert list(table.rows) == [("/s,::1", "0", "UNKNOWN"), ("1.1.1.1", "1", "HTTP+TCP"), ("1.1.1.1", "2", "UNKNOWN")]
    assert len(listener_table(sections, ListenerFilter(address="::1"), verbose=False).rows) == 1
    assert len(listener_table(sections, ListenerFilter(kind="http+tcp"), verbose=False).rows) == 1


def test_wide_shows_states_sources_weights_and_refused_listeners() -> None:
    weighted = tcp(weighted_clusters={"clusters": [{"name": "a", "weight": 9}, {"name": "b", "weight": 1}]})
    match = {"source_prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}
    body = {
        "name": "l",
        "address": socket("1.1.1.1", 80),
        "filter_chains": [{"filters": [weighted], "filter_chain_match": match}],
    }
    section = listeners(body)
    section["dynamic_listeners"] += [
        {"name": "w", "warming_state": {"listener": {**body, "name": "w"}}},
        {"name": "bad", "error_state": {"details": "overlapping"}},
    ]
    rows = [
        dict(zip(HEADER, row, strict=True))
        for row in wide_listeners(read(ListenersConfigDump=section), ListenerFilter()).rows
    ]
    assert [(row["NAME"], row["STATE"]) for row in rows] == [("bad", "REFUSED"), ("l", "active"), ("w", "WARMING")]
    assert rows[0]["DESTINATION"] == "overlapping"
    assert rows[1]["DESTINATION"] == "Clusters: a 9, b 1"
    assert rows[1]["MATCH"] == "ALL; From: 10.0.0.0/8"


def test_wide_knows_filters_by_their_type_and_names_the_others() -> None:
    inner = inline(host({"match": {"prefix": "/"}, "route": {"cluster": "backend"}}))["typed_config"]
    http_type = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    chains = [
        {"filters": [{"name": "mine", "typed_config": {**inner, "@type": http_type}}]},
        {"filters": [{"name": "mine", "typed_config": {"@type": "x/envoy.TcpProxy", "cluster": "db"}}]},
        {"filters": [tcp(cluster="BlackHoleCluster")]},
        {"filters": [{"name": "envoy.filters.network.redis_proxy"}]},
        {},
    ]
    section = listeners({"name": "l", "address": socket("1.1.1.1", 80), "filter_chains": chains})
    rows = wide_listeners(read(ListenersConfigDump=section), ListenerFilter()).rows
    assert [row[7] for row in rows] == [
        "Cluster: backend",
        "Cluster: db",
        "BlackHoleCluster",
        "Filter: envoy.filters.network.redis_proxy",
        "no filter",
    ]


def test_waypoint_matchers_are_walked() -> None:
    matcher = {
        "matcher_tree": {
            "input": {"name": "ip"},
            "custom_match": {
                "name": "ip",
                "typed_config": {
                    "@type": "type.googleapis.com/xds.type.matcher.v3.IPMatcher",
                    "range_matchers": [
                        {
                            "ranges": [{"address_prefix": "10.0.0.1", "prefix_len": 32}],
                            "on_match": {
                                "matcher": {
                                    "matcher_tree": {
                                        "input": {"name": "port"},
                                        "exact_match_map": {"map": {"80": {"action": {"name": "one"}}}},
                                    }
                                }
                            },
                        }
                    ],
                },
            },
        },
        "on_no_match": {"action": {"name": "none"}},
    }
    chains = [{"name": name, "filters": [tcp(cluster=name)]} for name in ("one", "two", "none")]
    body = {"name": "main", "internal_listener": {}, "filter_chain_matcher": matcher, "filter_chains": chains}
    table = waypoint_listener_table(read(ListenersConfigDump=listeners(body)))
    assert [row[:3] for row in table.rows] == [
        ("envoy://main", "one", "ip=10.0.0.1 -> port=80"),
        ("envoy://main", "two", "NONE"),
        ("envoy://main", "none", "UNMATCHED"),
    ]


def test_wide_shows_every_address_with_its_port() -> None:
    more = [{"address": {"pipe": {"path": "/x"}}}, {"address": socket("::", 81)}, {"address": socket("::1", 80)}]
    body = {"name": "a", "address": socket("0.0.0.0", 80), "additional_addresses": more, "filter_chains": [{}]}
    (row,) = wide_listeners(read(ListenersConfigDump=listeners(body)), ListenerFilter()).rows
    assert row[2:4] == ("0.0.0.0,/x,[::]:81,::1", "80")


def test_where_a_tree_chooses_the_chain_its_own_criteria_do_not_count() -> None:
    """intro/arch_overview/advanced/matching/matching_listener: so is a waypoint's listener."""
    chains = [{"name": "inbound", "filter_chain_match": {"source_type": "EXTERNAL"}}]
    body = {"name": "main_internal", "internal_listener": {}, "filter_chains": chains}
    tree = {**body, "filter_chain_matcher": {"matcher_tree": {}}, "default_filter_chain": {}}
    found = wide_listeners(read(ListenersConfigDump=listeners(body, tree)), ListenerFilter()).rows
    assert [row[5] for row in found] == ["ALL; From: EXTERNAL", "as matchers say", "otherwise"]
