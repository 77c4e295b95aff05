"""`/config_dump` as typed facts: every state of a resource, both spellings, and what cannot be read as a problem."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshdoctor.model.envoy.config_dump import ConfigDump, decode_config_dump
from tests.envoy_dumps import TYPES, cluster, config_dump, route, routes, tls_socket

NAME = "outbound|8090||ledger.books.svc.cluster.local"


def read(dump: Any) -> ConfigDump:
    return decode_config_dump(json.dumps(dump, indent=1).encode())


def section(name: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"{TYPES}envoy.admin.v3.{name}", **fields}


def states(dump: ConfigDump) -> list[tuple[str, str]]:
    return [(entry.name, entry.state) for entry in dump.clusters]


def test_static_dynamic_and_warming_clusters() -> None:
    now = {"last_updated": "2026-03-03T09:00:00Z"}
    dump = read(
        {
            "configs": [
                section(
                    "ClustersConfigDump",
                    static_clusters=[{"cluster": {"name": "xds-grpc"}, **now}],
                    dynamic_active_clusters=[{"cluster": cluster(NAME), "version_info": "v7", **now}],
                    dynamic_warming_clusters=[{"cluster": cluster("outbound|80||new.books"), **now}],
                )
            ]
        }
    )
    assert states(dump) == [("xds-grpc", "static"), (NAME, "active"), ("outbound|80||new.books", "warming")]
    assert dump.cluster(NAME) is not None
    assert dump.cluster("outbound|80||new.books") is None, "a warming cluster takes no requests yet"
    assert dump.clusters[1].version == "v7"
    assert dump.problems == []


def test_a_rejected_cluster_keeps_the_one_before_and_says_why() -> None:
    error = {"details": "MaxEjectionPercent: value must be at most 100", "version_info": "v8"}
    entry = {"cluster": cluster(NAME), "error_state": error, "client_status": "NACKED"}
    (found,) = read({"configs": [section("ClustersConfigDump", dynamic_active_clusters=[entry])]}).clusters
    assert (found.name, found.client_status) == (NAME, "NACKED")
    assert found.error is not None and found.error.details.startswith("MaxEjectionPercent")


def test_listeners_in_every_state() -> None:
    listener = {"name": "0.0.0.0_8090"}
    dump = read(
        {
            "configs": [
                section(
                    "ListenersConfigDump",
                    static_listeners=[{"listener": {"name": "stats"}}],
                    dynamic_listeners=[
                        {"name": "0.0.0.0_8090", "active_state": {"listener": listener},
                         "draining_state": {"listener": listener}},
                        {"name": "new", "warming_state": {"listener": {"name": "new"}}},
                        {"name": "bad", "error_state": {"details": "no such filter"}},
                        {"name": "empty"},
                    ],
                )
            ]
        }
    )  # fmt: skip
    assert [(entry.name, entry.state) for entry in dump.listeners] == [
        ("stats", "static"),
        ("0.0.0.0_8090", "active"),
        ("0.0.0.0_8090", "draining"),
        ("new", "warming"),
        ("bad", "rejected"),
    ]


def test_routes_endpoints_and_secrets() -> None:
    dump = read(
        config_dump(
            [cluster(NAME)],
            [routes("8090", ["ledger"], route(NAME))],
            endpoints={NAME: ["10.0.0.1:9191", "10.0.0.2:9191"]},
            secrets=[("default", "active"), ("kubernetes://door", "warming")],
        )
    )
    (found,) = dump.routes
    assert found.name == "8090"
    assert [host.domains for host in found.body.virtual_hosts] == [["ledger"]]
    assignment = dump.load_assignment(dump.clusters[0].body)
    assert assignment is not None
    assert [str(one.endpoint.address) for one in assignment.all] == ["10.0.0.1:9191", "10.0.0.2:9191"]
    assert [(entry.name, entry.state) for entry in dump.secrets] == [
        ("default", "active"),
        ("kubernetes://door", "warming"),
    ]


def test_the_hosts_of_a_name_are_what_it_resolves_to() -> None:
    """Envoy dumps the hosts of every cluster; the names of one that asks DNS are no hosts."""
    endpoint = {"endpoint": {"address": {"socket_address": {"address": "db.example.com", "port_value": 443}}}}
    named = {"cluster_name": NAME, "endpoints": [{"lb_endpoints": [endpoint]}]}
    asks = {"name": NAME, "type": "STRICT_DNS", "load_assignment": named}
    for hosts in (["10.0.0.7:443"], []):
        dump = read(config_dump([asks], endpoints={NAME: hosts}))
        found = dump.load_assignment(dump.clusters[0].body)
        assert found is not None
        assert [str(one.endpoint.address) for one in found.all] == hosts
    alone = read(config_dump([asks]))
    assert alone.load_assignment(alone.clusters[0].body) == alone.clusters[0].body.load_assignment


def test_camel_case_is_the_same_dump() -> None:
    body = {
        "configs": [
            section(
                "ClustersConfigDump",
                dynamicActiveClusters=[
                    {"cluster": {"name": NAME, "connectTimeout": "10s", "type": "EDS",
                                 "metadata": {"filterMetadata": {"istio": {"config": "/apis/…", "someKey": 1}}}},
                     "lastUpdated": "2026-03-03T09:00:00Z"}
                ],
            )
        ]
    }  # fmt: skip
    (found,) = read(body).clusters
    assert (found.name, found.body.connect_timeout, found.state) == (NAME, "10s", "active")
    assert found.body.istio == {"config": "/apis/…", "someKey": 1}, "keys of metadata are data"


def test_unknown_types_and_fields_are_left_alone() -> None:
    strange = {"@type": f"{TYPES}envoy.extensions.never.heard.v9.Of", "value": {"a": 1}}
    body = cluster(NAME, from_the_future={"x": 1}, transport_socket={"name": "odd", "typed_config": strange})
    clusters = section("ClustersConfigDump", dynamic_active_clusters=[{"cluster": body}])
    dump = read({"configs": [section("FutureConfigDump", things=[1]), clusters]})
    (found,) = dump.clusters
    assert found.body.tls is None
    assert dump.problems == []
    assert b"from_the_future" in bytes(found.raw), "the resource's own JSON is kept whole"


def test_a_typed_struct_carries_an_extension() -> None:
    plain = tls_socket(san=["spiffe://x"])
    inner = {key: value for key, value in plain["typed_config"].items() if key != "@type"}
    wrapped = {
        "@type": f"{TYPES}xds.type.v3.TypedStruct",
        "type_url": plain["typed_config"]["@type"],
        "value": inner,
    }
    dump = read(config_dump([cluster(NAME, transport_socket={"name": "tls", "typed_config": wrapped})]))
    tls = dump.clusters[0].body.tls
    assert tls is not None and tls.presents_workload_certificate
    assert tls.subject_alt_names == ("spiffe://x",)


@pytest.mark.parametrize(
    "broken",
    [
        section("ClustersConfigDump", dynamic_active_clusters=7),
        section("ClustersConfigDump", dynamic_active_clusters=[7]),
        section("ClustersConfigDump", dynamic_active_clusters=[{"cluster": {"name": ["x"]}}]),
        section("ClustersConfigDump", dynamic_active_clusters=[{"cluster": None}]),
    ],
)
def test_one_broken_section_costs_only_itself(broken: dict[str, Any]) -> None:
    good = section("RoutesConfigDump", dynamic_route_configs=[{"route_config": routes("8090", ["x"])}])
    dump = read({"configs": [broken, good]})
    assert dump.clusters == ()
    assert [entry.name for entry in dump.routes] == ["8090"]


def test_one_broken_cluster_costs_only_itself_and_is_a_problem() -> None:
    entries = [{"cluster": {"name": ["x"]}}, {"cluster": cluster(NAME)}]
    dump = read({"configs": [section("ClustersConfigDump", dynamic_active_clusters=entries)]})
    assert states(dump) == [(NAME, "active")]
    assert len(dump.problems) == 1 and "\n" not in dump.problems[0]


def test_whether_a_section_is_there_at_all() -> None:
    dump = read({"configs": [section("ClustersConfigDump")]})
    assert dump.has("ClustersConfigDump")
    assert not dump.has("EndpointsConfigDump"), "without ?include_eds Envoy prints none"
    assert dump.endpoints == ()


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("escaped", [True, False])
def test_hostile_text_is_visible(indent: int | None, escaped: bool) -> None:
    entry = {"cluster": cluster("evil\x1b[2J\u202e\r")}
    body = {"configs": [section("ClustersConfigDump", dynamic_active_clusters=[entry])]}
    dump = decode_config_dump(json.dumps(body, indent=indent, ensure_ascii=escaped).encode())
    assert states(dump) == [("evil␛[2J<U+202E>␍", "active")]
    assert b"\\u001b" not in bytes(dump.clusters[0].raw)


@pytest.mark.parametrize("layout", [None, 1])
def test_bytes_that_are_no_utf_8_raise_nothing(layout: int | None) -> None:
    body = json.dumps(config_dump([cluster(NAME)], [routes("8090", ["x"])]), indent=layout).encode()
    dump = decode_config_dump(body.replace(b"8090||ledger", b"8090||\xffledger"))
    assert [entry.name for entry in dump.routes] == ["8090"]
    assert len(dump.clusters) <= 1
