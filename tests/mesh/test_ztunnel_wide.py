from __future__ import annotations

import base64
import json
from typing import Any

from meshdoctor.mesh.ztunnel.tables import WorkloadFilter
from meshdoctor.mesh.ztunnel.wide import (
    NO_ENDPOINTS,
    all_tables,
    wide_certificates,
    wide_policies,
    wide_services,
    wide_workloads,
)
from meshdoctor.model.ztunnel import ZtunnelDump, decode_ztunnel_dump

NOW = 1_767_225_600.0  # 2026-01-01


def dump(**parts: Any) -> ZtunnelDump:
    found = decode_ztunnel_dump(json.dumps(parts).encode())
    assert not found.problems
    return found


def workload(name: str, status: str = "Healthy", **more: Any) -> dict[str, Any]:
    base = {"uid": f"uid-{name}", "name": name, "namespace": "shop", "serviceAccount": "web", "status": status}
    return {**base, "protocol": "HBONE", **more}


def test_workloads_have_identities_health_and_policies() -> None:
    found = dump(
        workloads=[
            workload("b", "Unhealthy", trustDomain="td.example", authorizationPolicies=["shop/a", "shop/b"]),
            workload("a", workloadIps=["10.0.0.1"]),
            workload("entry", serviceAccount="", hostname="db.example.com"),
        ]
    )
    rows = wide_workloads(found, WorkloadFilter()).rows
    assert [(row[1], row[2], row[6], row[7], row[8]) for row in rows] == [
        ("a", "10.0.0.1", "Healthy", "spiffe://cluster.local/ns/shop/sa/web", "-"),
        ("b", "-", "Unhealthy", "spiffe://td.example/ns/shop/sa/web", "shop/a,shop/b"),
        ("entry", "db.example.com", "Healthy", "-", "-"),
    ]


def test_services_name_the_endpoints_that_get_no_traffic() -> None:
    endpoints = {uid: {"workloadUid": uid} for uid in ("uid-a", "uid-b", "gone")}
    found = dump(
        workloads=[workload("a"), workload("b", "Unhealthy")],
        services=[
            {"name": "web", "namespace": "shop", "hostname": "web.x", "ports": {"80": 8080}, "endpoints": endpoints},
            {"name": "empty", "namespace": "shop", "ports": {"80": 0}},
        ],
    )
    empty, web = wide_services(found, "shop").rows
    assert web[4:] == ("80>8080", "None", "1/3", "b,gone (unknown)")
    assert empty[4:] == ("80", "None", NO_ENDPOINTS, "-")


def test_a_policy_without_rules_and_one_that_only_counts() -> None:
    policy = {"namespace": "shop", "action": "Allow", "scope": "Namespace"}
    found = dump(policies=[{**policy, "name": "none"}, {**policy, "name": "dry", "rules": [[]], "dryRun": True}])
    assert [row[1:] for row in wide_policies(found, "").rows] == [
        ("dry", "Allow", "Namespace", "1", "yes"),
        ("none", "Allow", "Namespace", "0", "-"),
    ]


def test_certificates_say_why_there_is_none_and_how_long_one_lasts() -> None:
    times = {"validFrom": "2025-12-31T00:00:00Z", "expirationTime": "2026-01-02T00:00:00Z"}
    old = {"validFrom": "2025-01-01T00:00:00Z", "expirationTime": "2025-12-31T22:00:00Z"}
    late = {"validFrom": "2026-01-01T00:05:00Z", "expirationTime": "2026-01-02T00:00:00Z"}
    noise = base64.b64encode(b"no certificate").decode()
    found = dump(
        certificates=[
            {"identity": "a", "state": "Available", "certChain": [{"serialNumber": "255", **times, "pem": noise}]},
            {"identity": "b", "state": {"Unavailable": "CSR refused"}, "certChain": []},
            {"identity": "c", "state": "Available", "certChain": [old, late], "rootCerts": [{"pem": "%"}]},
        ]
    )
    rows = wide_certificates(found, NOW).rows
    assert [(row[0], row[1], row[2], row[3], row[5]) for row in rows] == [
        ("a", "Leaf", "Available", "ff", "24h"),
        ("b", "NO CERTIFICATE", "Unavailable: CSR refused", "-", "-"),
        ("c", "Leaf", "Available", "-", "EXPIRED 120m ago"),
        ("c", "Intermediate", "Available", "-", "VALID IN 5m"),
        ("c", "Root", "Available", "-", "-"),
    ]
    assert [banner for banner, _ in all_tables(found, NOW)] == [
        "WORKLOAD",
        "SERVICE",
        "POLICY",
        "SECRET",
        "CONNECTIONS",
    ]
