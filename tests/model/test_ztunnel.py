"""ztunnel's dump, with lists (1.24 and later) and with maps."""

from __future__ import annotations

import json

import pytest

from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.model.ztunnel import ZtunnelDump

WORKLOAD = {
    "uid": "Kubernetes//Pod/depot/stock-1",
    "name": "stock-1",
    "namespace": "depot",
    "workloadIps": ["10.8.0.6"],
    "protocol": "HBONE",
    "authorizationPolicies": ["depot/callers"],
    "waypoint": {"destination": "depot/gate.depot.svc.cluster.local", "hboneMtlsPort": 15008},
    "somethingNew": {"a": 1},
}
SERVICE = {
    "name": "stock",
    "namespace": "depot",
    "hostname": "stock.depot.svc.cluster.local",
    "vips": ["/10.99.0.6"],
    "ports": {"8000": 9000},
    "endpoints": {WORKLOAD["uid"]: {"workloadUid": WORKLOAD["uid"], "status": "Healthy", "port": {"8000": 9000}}},
}
POLICY = {"name": "callers", "namespace": "depot", "scope": "WorkloadSelector", "action": "Allow", "rules": []}


@pytest.mark.parametrize("maps", [False, True])
def test_lists_and_maps(maps: bool) -> None:
    def of(entry: object) -> object:
        return {"key": entry} if maps else [entry]

    body = json.dumps({"workloads": of(WORKLOAD), "services": of(SERVICE), "policies": of(POLICY), "certificates": []})
    dump = decode_json(body.encode(), ZtunnelDump)
    found = dump.workload("depot", "stock-1")
    assert found is not None
    assert (found.protocol, found.authorization_policies, found.workload_ips) == (
        "HBONE",
        ["depot/callers"],
        ["10.8.0.6"],
    )
    assert found.waypoint is not None
    assert found.waypoint.destination == "depot/gate.depot.svc.cluster.local"
    service = dump.service("depot", "stock")
    assert service is not None
    assert service.ports == {"8000": 9000}
    assert isinstance(service.endpoints, dict)
    assert service.endpoints["Kubernetes//Pod/depot/stock-1"].status == "Healthy"
    assert [one.action for one in dump.all_policies] == ["Allow"]
    assert dump.all_certificates == ()
    assert dump.workload("depot", "stock-2") is None


def test_an_empty_dump_and_another_body() -> None:
    assert decode_json(b"{}", ZtunnelDump).all_workloads == ()
    with pytest.raises(UnreadableError):
        decode_json(b'{"workloads": "none"}', ZtunnelDump)
