"""Who uses what in a proxy's configuration, and what two proxies hold differently."""

from __future__ import annotations

import json
from typing import Any

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.proxy.difference import differences_of_pods
from meshdoctor.mesh.proxy.first_clusters import first_clusters
from meshdoctor.mesh.proxy.joined_routing import CLUSTER, ROUTE
from meshdoctor.mesh.proxy.users import ENDPOINT, LISTENER, SECRET, Use, users
from meshdoctor.model.envoy.config_dump import ConfigDump, decode_config_dump
from meshdoctor.model.snapshot import PodRef, Snapshot, SourceInfo

POD = PodRef("blue", "apple-1")
HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
TCP = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
ADMIN = "type.googleapis.com/envoy.admin.v3."


def chain(kind: str, **config: Any) -> dict[str, Any]:
    name = "envoy.filters.network." + ("http_connection_manager" if kind == HTTP else "tcp_proxy")
    return {"filters": [{"name": name, "typed_config": {"@type": kind, **config}}]}


def listener(name: str, port: int, *chains: dict[str, Any]) -> dict[str, Any]:
    address = {"socket_address": {"address": "0.0.0.0", "port_value": port}}
    body = {"name": name, "address": address, "filter_chains": list(chains)}
    return {"name": name, "active_state": {"listener": body}}


def cluster(name: str, **more: Any) -> dict[str, Any]:
    return {"cluster": {"name": name, "type": "EDS", **more}}


def dump(
    listeners: list[dict[str, Any]], routes: list[dict[str, Any]], clusters: list[dict[str, Any]], ends: Any = ()
) -> ConfigDump:
    sections = [
        {"@type": f"{ADMIN}ListenersConfigDump", "dynamic_listeners": listeners},
        {"@type": f"{ADMIN}RoutesConfigDump", "dynamic_route_configs": [{"route_config": body} for body in routes]},
        {"@type": f"{ADMIN}ClustersConfigDump", "dynamic_active_clusters": clusters},
        {
            "@type": f"{ADMIN}EndpointsConfigDump",
            "dynamic_endpoint_configs": [{"endpoint_config": end} for end in ends],
        },
    ]
    return decode_config_dump(json.dumps({"configs": sections}).encode())


def table(name: str, *routes: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "virtual_hosts": [{"name": "h", "domains": ["pear"], "routes": list(routes)}]}


def route(prefix: str, **action: Any) -> dict[str, Any]:
    return {"match": {"prefix": prefix}, "route": action}


WEIGHTED = {"weighted_clusters": {"clusters": [{"name": "a", "weight": 30}, {"name": "b", "weight": 70}]}}
TLS = {"typed_config": {"common_tls_context": {"validation_context_sds_secret_config": {"name": "ROOTCA"}}}}
ENDPOINTS = {
    "cluster_name": "a",
    "endpoints": [
        {
            "lb_endpoints": [
                {"endpoint": {"address": {"socket_address": {"address": "10.1.2.3", "port_value": 77}}}},
            ]
        }
    ],
}
DUMP = dump(
    [
        listener("rds", 80, chain(HTTP, rds={"route_config_name": "web"})),
        listener("inline", 81, chain(HTTP, route_config=table("", route("/in", cluster="b")))),
        listener("raw", 82, chain(TCP, cluster="c"), chain(TCP, weighted_clusters=WEIGHTED["weighted_clusters"])),
        listener(
            "authz", 83, chain(HTTP, http_filters=[{"grpc": {"cluster_name": "d"}}], rds={"route_config_name": "x"})
        ),
    ],
    [
        table(
            "web",
            route("/one", cluster="a"),
            route("/two", **WEIGHTED),
            route("/three", cluster="b", request_mirror_policies=[{"cluster": "a"}]),
        )
    ],
    [cluster("a", transport_socket=TLS), cluster("b", alt_stat_name="ROOTCA"), cluster("c"), cluster("d")],
    [ENDPOINTS],
)


def used(kind: str, name: str, config: ConfigDump = DUMP) -> list[Use]:
    mesh = MeshIndex(Snapshot(SourceInfo("recording", "test"), {}))
    return list(users(mesh, POD, config, kind, name))


def test_an_endpoint_is_used_by_clusters() -> None:
    assert [(use.kind, use.name) for use in used(ENDPOINT, "10.1.2.3:77")] == [(CLUSTER, "a")]
    assert used(ENDPOINT, "10.1.2.3:78") == []


def test_a_cluster_is_used_by_routes_of_every_kind() -> None:
    found = [(use.kind, use.name, use.how) for use in used(CLUSTER, "a")]
    assert found == [
        (ROUTE, "web", "routes to it"),
        (ROUTE, "web", "routes to it, weight 30"),
        (ROUTE, "web", "mirrors to it"),
        (LISTENER, "raw", "passes TCP to it"),
    ]
    assert "pear" in used(CLUSTER, "a")[0].where
    assert "/one*" in used(CLUSTER, "a")[0].where


def test_a_cluster_is_used_by_listeners_inline_by_tcp_and_elsewhere() -> None:
    assert ("inline", "routes to it (inline route)") in [(use.name, use.how) for use in used(CLUSTER, "b")]
    assert [(use.name, use.how) for use in used(CLUSTER, "c")] == [("raw", "passes TCP to it")]
    assert [(use.name, use.how) for use in used(CLUSTER, "d")] == [("authz", "names it elsewhere")]


def test_a_route_configuration_is_used_by_listeners_and_a_listener_by_nobody() -> None:
    assert [(use.kind, use.name) for use in used(ROUTE, "web")] == [(LISTENER, "rds")]
    assert [(use.name, use.how) for use in used(ROUTE, "")] == [("inline", "holds it (inline)")]
    assert used(LISTENER, "rds") == []


def test_a_secret_is_used_by_what_names_it_as_a_secret() -> None:
    assert [(use.kind, use.name) for use in used(SECRET, "ROOTCA")] == [(CLUSTER, "a")]


def test_what_two_pods_hold_differently() -> None:
    mine = dump([], [table("web", route("/", cluster="a"))], [cluster("a"), cluster("mine")])
    other = dump([], [table("web", route("/", cluster="b"))], [cluster("a"), cluster("other")])
    found = {(entry.kind, entry.name): entry for entry in differences_of_pods(mine, other)}
    assert {key: entry.what for key, entry in found.items()} == {
        ("Clusters", "mine"): "only here",
        ("Clusters", "other"): "only there",
        ("Routes", "web"): "differs",
    }
    lines = found["Routes", "web"].diff
    assert any(line.startswith("+") and '"a"' in line for line in lines)
    assert any(line.startswith("-") and '"b"' in line for line in lines)
    assert list(differences_of_pods(mine, mine)) == []


def test_the_first_clusters_of_a_large_dump() -> None:
    names = [f"outbound|80||s{number:03d}.blue.svc.cluster.local" for number in range(60)]
    large = dump([], [], [cluster(name) for name in reversed(names)])
    first = first_clusters(large, 10)
    assert first is not None
    assert sorted(entry.body.name for entry in first.clusters) == names[:10]
    assert first_clusters(large, 20) is None
    assert first_clusters(dump([], [], []), 10) is None
    assert first_clusters(ConfigDump({}), 10) is None
