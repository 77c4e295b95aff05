from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from meshdoctor.mesh.ztunnel.tables import (
    ConnectionFilter,
    WorkloadFilter,
    all_tables,
    certificate_table,
    connection_table,
    policy_table,
    service_table,
    workload_states,
    workload_table,
)
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.moment import unix
from meshdoctor.model.ztunnel import decode_ztunnel_dump

NOW = unix("2026-06-01T00:00:00Z") or 0.0
WORKLOAD = {
    "uid": "u1",
    "name": "web",
    "namespace": "shop",
    "workloadIps": ["10.0.0.1"],
    "node": "n1",
    "protocol": "HBONE",
    "status": "Healthy",
}
WAYPOINT = {"name": "wp", "namespace": "shop", "hostname": "wp.shop.svc", "vips": ["net/10.9.0.1"]}
SERVICE = {
    "name": "cart", "namespace": "shop", "hostname": "cart.shop.svc", "vips": ["/10.9.0.2", "/::1"],
    "waypoint": {"destination": "shop/wp.shop.svc"},
    "endpoints": {"a": {"workloadUid": "u1"}, "b": {"workloadUid": "gone"}},
}  # fmt: skip


def read(**parts: Any) -> Any:
    return decode_ztunnel_dump(json.dumps(parts).encode())


def test_workloads_by_list_or_map_with_their_waypoint() -> None:
    other = {"name": "db", "namespace": "pay", "hostname": "db.pay", "waypoint": {"destination": "net/10.9.0.1"}}
    for workloads in ([WORKLOAD, other], {"x": WORKLOAD, "y": other}):
        dump = read(workloads=workloads, services=[WAYPOINT])
        assert list(workload_table(dump, WorkloadFilter()).rows) == [
            ("pay", "db", "db.pay", "", "wp", ""),
            ("shop", "web", "10.0.0.1", "n1", "None", "HBONE"),
        ]
        assert len(workload_table(dump, WorkloadFilter(address="10.0.0.1", node="N1", namespace="SHOP")).rows) == 1
        assert len(workload_table(dump, WorkloadFilter(name="web.pay")).rows) == 0


def test_services_count_healthy_endpoints() -> None:
    dump = read(workloads=[WORKLOAD], services={"a": SERVICE, "b": WAYPOINT})
    assert list(service_table(dump, "").rows) == [
        ("shop", "cart", "10.9.0.2,::1", "wp", "1/2"),
        ("shop", "wp", "10.9.0.1", "None", "0/0"),
    ]
    assert list(service_table(dump, "pay").rows) == []


def test_an_unknown_waypoint_is_na() -> None:
    dump = read(services=[{**SERVICE, "waypoint": {"destination": "x/y"}}])
    assert service_table(dump, "").rows[0][3] == "NA"


def test_certificates() -> None:
    leaf = {"serialNumber": "171", "validFrom": "2026-01-01T00:00:00Z", "expirationTime": "2026-12-01T00:00:00Z"}
    old = {"serialNumber": "10", "validFrom": "2020-01-01T00:00:00Z", "expirationTime": "2021-01-01T00:00:00Z"}
    states = [
        {"identity": "new", "state": "Available", "certChain": [leaf, leaf], "rootCerts": [old]},
        {"identity": "legacy", "state": "Available", "certChain": [leaf, old]},
        {"identity": "bad", "state": "Unavailable: no signing"},
    ]
    rows = certificate_table(read(certificates=states), NOW).rows
    assert [row[:5] for row in rows] == [
        ("new", "Leaf", "Available", "true", "ab"),
        ("new", "Intermediate", "Available", "true", "ab"),
        ("new", "Root", "Available", "false", "a"),
        ("legacy", "Leaf", "Available", "true", "ab"),
        ("legacy", "Root", "Available", "false", "a"),
        ("bad", "NA", "Unavailable", "false", "NA"),
    ]


def test_connections_have_names_unless_raw() -> None:
    connections = {
        "inbound": [{"src": "10.0.0.1:5", "actualDst": "10.0.0.9:80", "originalDst": None, "protocol": "HBONE"}],
        "outbound": [
            {"src": "10.0.0.9:6", "actualDst": "10.9.0.1:15008", "originalDst": "10.9.0.2:80", "protocol": "HBONE"}
        ],
    }
    state = {"state": "Up", "info": {"name": "web", "namespace": "shop"}, "connections": connections}
    dump = read(workloads=[WORKLOAD], services=[SERVICE, WAYPOINT], workloadState={"a": state})
    assert list(connection_table(dump, ConnectionFilter()).rows) == [
        ("web.shop", "Inbound", "10.0.0.9:80", "web.shop:5", "", "HBONE"),
        ("web.shop", "Outbound", "10.0.0.9:6", "wp.shop.svc:15008", "cart.shop.svc:80", "HBONE"),
    ]
    raw = connection_table(dump, ConnectionFilter(raw=True, direction="outbound")).rows
    assert [row[3] for row in raw] == ["10.9.0.1:15008"]
    assert list(connection_table(dump, ConnectionFilter(namespace="pay")).rows) == []
    (shown,) = msgspec.to_builtins(workload_states(dump, ConnectionFilter()))
    assert shown["connections"]["inbound"][0]["originalDst"] == ""


def test_all_and_policies() -> None:
    dump = read(policies=[{"name": "b", "namespace": "x", "action": "Allow", "scope": "Namespace"}])
    assert list(policy_table(dump, "").rows) == [("x", "b", "Allow", "Namespace")]
    assert [banner for banner, _ in all_tables(dump, NOW)] == ["WORKLOAD", "SERVICE", "POLICY", "SECRET", "CONNECTIONS"]


def test_one_wrong_entry_is_left_out_and_named() -> None:
    dump = read(workloads=[WORKLOAD, 7], services=3)
    assert len(dump.workloads) == 1
    assert len(dump.problems) == 2


@pytest.mark.parametrize("body", [b"", b"[]", b"not json", b"{"])
def test_what_is_no_dump_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        decode_ztunnel_dump(body)
