from __future__ import annotations

import json
from typing import Any

import pytest

from meshdoctor.mesh.proxy.cluster import ClusterFilter, cluster_table
from meshdoctor.mesh.proxy.cluster_wide import HEADER, NO_HOSTS, wide_clusters
from meshdoctor.mesh.proxy.endpoint import ClusterHosts, EndpointFilter
from meshdoctor.mesh.proxy.endpoint_wide import MAYBE_NO_HOSTS, wide_eds, wide_endpoints
from meshdoctor.mesh.proxy.endpoint_wide import NO_HOSTS as NO_ENDPOINT
from meshdoctor.model.envoy.sections import Sections
from tests.mesh.proxy.dumps import clusters, read, socket

NAME = "outbound|80||db.example.com"
UNLIMITED = 4294967295
NAMED = {"cluster_name": NAME, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket("db", 80)}}]}]}
CLUSTERS = "type.googleapis.com/envoy.extensions.clusters."


def extension(name: str, config: str = "") -> dict[str, Any]:
    return {"cluster_type": {"name": name, **({"typed_config": {"@type": CLUSTERS + config}} if config else {})}}


def world(cluster: dict[str, Any], hosts: int | None, service: str = NAME) -> Sections:
    """One cluster, and so many hosts as Envoy has of it; None where the dump was saved without them."""
    section = clusters({"name": NAME, **cluster})
    if hosts is None:
        return read(ClustersConfigDump=section)
    groups: list[Any] = [{"locality": {}, "lb_endpoints": [{}] * hosts}] if hosts else []
    entry = {"endpoint_config": {"cluster_name": service, "endpoints": groups}}
    return read(ClustersConfigDump=section, EndpointsConfigDump={"dynamic_endpoint_configs": [entry]})


def cell(sections: Sections, column: str) -> str:
    (row,) = wide_clusters(sections, ClusterFilter()).rows
    return row[HEADER.index(column)]


DNS = {"type": "STRICT_DNS", "load_assignment": NAMED}


@pytest.mark.parametrize(
    ("cluster", "hosts", "shown"),
    [
        (DNS, 0, NO_HOSTS),  # the name does not resolve
        (DNS, 3, "3/3"),
        (DNS, None, "?"),
        ({**DNS, "type": 1}, None, "?"),
        ({**extension("dns", "dns.v3.DnsCluster"), "load_assignment": NAMED}, 0, NO_HOSTS),
        ({**extension("dns", "dns.v3.DnsCluster"), "load_assignment": NAMED}, None, "?"),
        ({"type": "STATIC", "load_assignment": NAMED}, None, "1/1"),
        ({"load_assignment": NAMED}, 2, "2/2"),
        ({**extension("envoy.cluster.static"), "load_assignment": NAMED}, None, "1/1"),
        ({"type": "EDS"}, 2, "2/2"),
        ({"type": "EDS"}, 0, NO_HOSTS),
        ({"type": "EDS"}, None, "?"),
        ({"type": "ORIGINAL_DST"}, 0, "-"),
        ({"type": 4}, 0, "-"),
        (extension("envoy.cluster.original_dst"), 0, "-"),
        (extension("envoy.clusters.dynamic_forward_proxy"), 0, "-"),
        (extension("any", "dynamic_forward_proxy.v3.ClusterConfig"), 0, "-"),
        (extension("envoy.clusters.aggregate", "aggregate.v3.ClusterConfig"), None, "-"),
        (extension("envoy.clusters.composite"), 0, "-"),
        (extension("envoy.clusters.redis"), 0, NO_HOSTS),
    ],
)
def test_hosts_are_those_that_envoy_has(cluster: dict[str, Any], hosts: int | None, shown: str) -> None:
    assert cell(world(cluster, hosts), "HOSTS") == shown


def test_istiod_dumps_no_hosts_of_a_name() -> None:
    """Its `/debug/config_dump` has the endpoints of EDS alone."""
    assert cell(world(DNS, 1, service="outbound|80||other"), "HOSTS") == "?"


def test_the_hosts_of_a_warming_cluster_are_not_in_the_dump() -> None:
    sections = world({"type": "EDS"}, 2)
    section = {"dynamic_warming_clusters": [{"cluster": {"name": NAME, "type": "EDS"}}]}
    sections.parts.update(read(ClustersConfigDump=section).parts)
    assert cell(sections, "HOSTS") == "?"


def every(**more: int) -> dict[str, int]:
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {**dict.fromkeys(names, UNLIMITED), **more}


@pytest.mark.parametrize(
    ("breakers", "shown"),
    [
        (None, "conn=1024 pending=1024 req=1024 retry=3"),
        ({"thresholds": [{"max_connections": 50}]}, "conn=50 pending=1024 req=1024 retry=3"),
        ({"thresholds": [{**every(), "priority": "HIGH"}]}, "conn=1024 pending=1024 req=1024 retry=3"),
        ({"thresholds": [every()]}, "-"),
        ({"thresholds": [every(max_retries=7, max_connection_pools=2)]}, "retry=7 pools=2"),
        ({"thresholds": [{**every(), "retry_budget": {}}]}, "retry=20%"),
        ({"thresholds": [{**every(), "retry_budget": {"budget_percent": {"value": 12.5}}}]}, "retry=12.5%"),
        ({"thresholds": [every()], "per_host_thresholds": [{"max_connections": 9}]}, "conn/host=9"),
    ],
)
def test_limits_are_those_that_envoy_enforces(breakers: dict[str, Any] | None, shown: str) -> None:
    cluster = {"type": "EDS", **({"circuit_breakers": breakers} if breakers else {})}
    assert cell(world(cluster, 1), "LIMITS") == shown


ISTIO = {"enforcing_success_rate": 0}


@pytest.mark.parametrize(
    ("detection", "shown"),
    [
        (None, "-"),
        ({}, "5xx=5 success-rate for=30s max%=10"),
        ({**ISTIO, "consecutive_5xx": 3, "base_ejection_time": "60s"}, "5xx=3 for=60s max%=10"),
        (
            # istiod leaves Envoy's 5xx as they are where a rule names gateway errors alone
            {**ISTIO, "consecutive_gateway_failure": 2, "enforcing_consecutive_gateway_failure": 100},
            "5xx=5 gateway=2 for=30s max%=10",
        ),
        ({**ISTIO, "consecutive_5xx": 0, "enforcing_consecutive_5xx": 0}, "never for=30s max%=10"),
        ({**ISTIO, "consecutive_gateway_failure": 2, "max_ejection_percent": 100}, "5xx=5 for=30s max%=100"),
        ({**ISTIO, "split_external_local_origin_errors": True}, "5xx=5 local=5 for=30s max%=10"),
    ],
)
def test_a_host_is_ejected_as_envoy_does_by_default(detection: dict[str, Any] | None, shown: str) -> None:
    cluster = {"type": "EDS", **({} if detection is None else {"outlier_detection": detection})}
    assert cell(world(cluster, 1), "OUTLIER") == shown


@pytest.mark.parametrize(
    ("cluster", "shown"),
    [
        ({"type": "EDS"}, [NO_ENDPOINT]),
        ({"type": "ORIGINAL_DST"}, []),  # a headless service
        (extension("envoy.clusters.dynamic_forward_proxy"), []),
        (None, [MAYBE_NO_HOSTS]),
    ],
)
def test_that_a_cluster_has_no_hosts_is_said_where_it_should_have_some(
    cluster: dict[str, Any] | None, shown: list[str]
) -> None:
    sections = world(cluster or {}, 0)
    if cluster is None:
        del sections.parts["ClustersConfigDump"]
    assert [row[0] for row in wide_eds(sections, EndpointFilter()).rows] == shown
    answer = ClusterHosts(json.dumps({"cluster_statuses": [{"name": NAME}]}).encode())
    rows = wide_endpoints(answer, EndpointFilter(), sections if cluster else None).rows
    assert [row[0] for row in rows] == shown


@pytest.mark.parametrize(
    ("kind", "go", "wide"),
    [
        (3, "EDS", "EDS"),
        (9, "9", "9"),
        ("SOMETHING_NEW", "STATIC", "SOMETHING_NEW"),
    ],
)
def test_a_type_may_be_a_number_or_unknown(kind: str | int, go: str, wide: str) -> None:
    """Go's protojson reads a number, and takes the default for a name that it does not know."""
    sections = world({"type": kind}, None)
    assert cluster_table(sections, ClusterFilter()).rows[0][4] == go
    assert cell(sections, "TYPE") == wide
