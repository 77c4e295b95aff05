"""ztunnel's dump, with lists (1.24 and later) and with maps."""

from __future__ import annotations

import json

import pytest

from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.ztunnel import GatewayAddress, decode_whole_dump, decode_ztunnel_dump, whole_answer

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
    dump = decode_whole_dump(body.encode())
    found = dump.workload("depot", "stock-1")
    assert found is not None
    assert (found.protocol, found.authorization_policies, found.workload_ips) == (
        "HBONE",
        ["depot/callers"],
        ["10.8.0.6"],
    )
    assert isinstance(found.waypoint, GatewayAddress)
    assert found.waypoint.destination == "depot/gate.depot.svc.cluster.local"
    service = dump.service("depot", "stock")
    assert service is not None
    assert service.ports == {"8000": 9000}
    assert [one.workload_uid for one in service.all_endpoints] == ["Kubernetes//Pod/depot/stock-1"]
    assert [one.action for one in dump.policies] == ["Allow"]
    assert dump.certificates == ()
    assert dump.workload("depot", "stock-2") is None


def test_an_empty_dump() -> None:
    assert decode_whole_dump(b"{}").workloads == ()


@pytest.mark.parametrize("body", [b'{"workloads": "none"}', b'{"workloads": [7]}', b'read failed {"workloads": []}'])
def test_a_dump_that_is_read_in_part_is_shown_but_is_no_fact(body: bytes) -> None:
    assert len(decode_ztunnel_dump(body).problems) == 1
    with pytest.raises(UnreadableError):
        decode_whole_dump(body)


def test_control_characters_of_a_fact_are_visible() -> None:
    body = json.dumps({"workloads": [{**WORKLOAD, "name": "stock\x1b[2J"}]}).encode()
    assert decode_whole_dump(body).workloads[0].name == "stock\u241b[2J"


BODY = json.dumps({"workloads": [WORKLOAD, {**WORKLOAD, "name": "stock-2"}], "policies": [POLICY]}, indent=2).encode()


@pytest.mark.parametrize(
    ("body", "names", "problem"),
    [
        (BODY.decode().encode("utf-16"), ["stock-1", "stock-2"], ""),
        (BODY + b"\ncommand terminated with exit code 1\n", ["stock-1", "stock-2"], "text after the JSON"),
        (BODY.replace(b"stock-", b"old-") + b"\n" + BODY, ["stock-1", "stock-2"], "the file holds 2 dumps"),
        (b"[" + BODY + b"," + BODY + b"]", ["stock-1", "stock-2"], "the file holds 2 dumps"),
        (BODY[: BODY.index(b'"policies"') - 60], ["stock-1"], "what could be read of its entries"),
        (b'{"configs": []}', [], "use meshdoctor proxy-config"),
    ],
)
def test_what_is_around_a_dump_or_missing_of_it(body: bytes, names: list[str], problem: str) -> None:
    dump = decode_ztunnel_dump(body)
    assert [workload.name for workload in dump.workloads] == names
    assert any(problem in line for line in dump.problems) if problem else not dump.problems
    assert whole_answer(body).keys() <= {"workloads", "policies", "configs"}


def test_what_is_no_dump_is_quoted() -> None:
    with pytest.raises(UnreadableError, match="it begins with: Error from server"):
        decode_ztunnel_dump(b"Error from server (NotFound): no pod")


def test_the_whole_answer_of_a_dump_with_half_a_pair_and_bytes_that_are_no_text() -> None:
    body = json.dumps({"config": {"a": "HALF", "b": "BYTES"}}).encode()
    found = whole_answer(body.replace(b"HALF", rb"\ud800").replace(b"BYTES", b"\xff"))
    assert found == {"config": {"a": "\ufffd", "b": "\ufffd"}}
