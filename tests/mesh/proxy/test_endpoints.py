from __future__ import annotations

import json
from typing import Any

import pytest

from meshdoctor.mesh.proxy.eds import eds_resources, eds_table
from meshdoctor.mesh.proxy.endpoint import ClusterHosts, EndpointFilter, endpoint_resources, endpoint_table
from meshdoctor.mesh.proxy.endpoint_wide import HEADER, MAYBE_NO_HOSTS, wide_eds, wide_endpoints
from meshdoctor.model.decode import UnreadableError
from tests.mesh.proxy.dumps import read, socket


def hosts(**clusters: list[dict[str, Any]]) -> bytes:
    statuses = [{"name": name, "host_statuses": found} for name, found in clusters.items()]
    return json.dumps({"cluster_statuses": statuses}).encode()


FINE = {"address": socket("10.0.0.2", 80), "health_status": {"eds_health_status": "HEALTHY"}}
OUT = {
    "address": socket("10.0.0.1", 90),
    "health_status": {"eds_health_status": "HEALTHY", "failed_outlier_check": True},
}
PIPE = {"address": {"pipe": {"path": "./s"}}}
INNER = {
    "address": {"envoy_internal_address": {"server_listener_name": "connect_originate", "endpoint_id": "1.1.1.1:9"}}
}


def test_hosts_are_sorted_by_address_port_and_cluster() -> None:
    table = endpoint_table(ClusterHosts(hosts(b=[FINE, PIPE], a=[FINE, OUT, INNER])), EndpointFilter())
    assert list(table.rows) == [
        ("10.0.0.1:90", "HEALTHY", "FAILED", "a"),
        ("10.0.0.2:80", "HEALTHY", "OK", "a"),
        ("10.0.0.2:80", "HEALTHY", "OK", "b"),
        ("envoy://connect_originate/1.1.1.1:9", "UNKNOWN", "OK", "a"),
        ("unix://./s", "UNKNOWN", "OK", "b"),
    ]


@pytest.mark.parametrize(
    ("chosen", "rows"),
    [
        (EndpointFilter(cluster="A"), 3),
        (EndpointFilter(status="healthy"), 3),
        (EndpointFilter(port=90), 1),
        (EndpointFilter(address="10.0.0.2"), 2),
        (EndpointFilter(address="10.0.0.2:80"), 0),
    ],
)
def test_filters_compare_whole_values(chosen: EndpointFilter, rows: int) -> None:
    clusters = ClusterHosts(hosts(b=[FINE, PIPE], a=[FINE, OUT, INNER]))
    assert len(endpoint_table(clusters, chosen).rows) == rows
    assert len(endpoint_resources(clusters, chosen)) == len({row[-1] for row in endpoint_table(clusters, chosen).rows})


def test_wide_shows_clusters_without_hosts_counters_and_flags() -> None:
    counted = {**OUT, "stats": [{"name": "cx_connect_fail", "value": "7"}], "weight": 3}
    table = wide_endpoints(ClusterHosts(hosts(a=[counted], none=[], BlackHoleCluster=[])), EndpointFilter())
    rows = [dict(zip(HEADER, row, strict=True)) for row in table.rows]
    assert [(row["ENDPOINT"], row["CLUSTER"]) for row in rows] == [(MAYBE_NO_HOSTS, "none"), ("10.0.0.1:90", "a")]
    assert rows[1]["CX_CONNECT_FAIL"] == "7"
    assert rows[1]["HEALTH"] == "HEALTHY, failed outlier check"


def test_noise_around_the_answer_is_skipped_and_named() -> None:
    clusters = ClusterHosts(b"HTTP/1.1 200 OK\r\n\r\n" + hosts(a=[FINE]) + b"\nexit code 0\n")
    assert len(endpoint_table(clusters, EndpointFilter()).rows) == 1
    assert clusters.problems == ["text before the JSON was skipped", "text after the JSON was skipped"]


def test_a_cut_answer_shows_what_came() -> None:
    body = hosts(a=[FINE], b=[FINE], c=[FINE])
    clusters = ClusterHosts(body[: len(body) - 40])
    assert [row[-1] for row in endpoint_table(clusters, EndpointFilter()).rows] == ["a", "b"]
    assert clusters.problems


@pytest.mark.parametrize("body", [b"", b"  \n", b"a::default_priority::max_connections::1\n", b"not found"])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        endpoint_table(ClusterHosts(body), EndpointFilter())


def assignment(name: str, *endpoints: dict[str, Any]) -> dict[str, Any]:
    group = {"locality": {"region": "r", "zone": "z"}, "lb_endpoints": list(endpoints)}
    return {"endpoint_config": {"cluster_name": name, "endpoints": [group]}}


def lb(port: int, **more: Any) -> dict[str, Any]:
    return {"endpoint": {"address": socket("10.0.0.1", port)}, **more}


def test_endpoints_as_sent() -> None:
    marked = {
        "filter_metadata": {
            "envoy.transport_socket_match": {"tlsMode": "istio"},
            "istio": {"workload": "web;shop;web;v1;k"},
        }
    }
    sections = read(
        EndpointsConfigDump={
            "dynamic_endpoint_configs": [
                assignment("outbound|90||b", lb(90, health_status="HEALTHY", metadata=marked)),
                assignment("outbound|80||a", lb(80), lb(81)),
                assignment("outbound|80||empty"),
            ]
        }
    )
    table = eds_table(sections, EndpointFilter(), typed=True)
    assert list(table.rows) == [
        ("endpoint/10.0.0.1:80", "UNKNOWN", "r/z", "outbound|80||a"),
        ("endpoint/10.0.0.1:81", "UNKNOWN", "r/z", "outbound|80||a"),
        ("endpoint/10.0.0.1:90", "HEALTHY", "r/z", "outbound|90||b"),
    ]
    assert len(eds_table(sections, EndpointFilter(address="10.0.0.1:80")).rows) == 1
    (kept,) = eds_resources(sections, EndpointFilter(port=81))
    assert kept["endpoints"][0]["lb_endpoints"] == [lb(81)]  # type: ignore[index]
    assert len(eds_table(sections, EndpointFilter()).rows) == 3, "the filter changed what it read"
    wide = wide_eds(sections, EndpointFilter()).rows
    assert [(row[0], row[2], row[6]) for row in wide] == [
        ("10.0.0.1:80", "plaintext", "-"),
        ("10.0.0.1:81", "plaintext", "-"),
        ("10.0.0.1:90", "mTLS", "shop/web"),
        (MAYBE_NO_HOSTS, "-", "-"),
    ]


def test_a_dump_without_endpoints_has_an_empty_table() -> None:
    assert list(eds_table(read(RoutesConfigDump={}), EndpointFilter()).rows) == []


def test_of_two_answers_the_last_one_counts_and_a_cut_one_is_said_to_be() -> None:
    def answer(address: str) -> bytes:
        hosts = [{"address": socket(address, 80)}]
        return json.dumps({"cluster_statuses": [{"name": "c", "host_statuses": hosts}]}, indent=1).encode()

    both = ClusterHosts(answer("10.0.0.1") + b"\n" + answer("10.0.0.2"))
    assert [row[0] for row in endpoint_table(both, EndpointFilter()).rows] == ["10.0.0.2:80"]
    assert both.problems == ["the file holds 2 answers; the last one is shown"]
    cut = ClusterHosts(answer("10.0.0.1")[:-30])
    assert "the JSON is cut short" in cut.problems
