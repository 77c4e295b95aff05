"""A ztunnel in the application: its tables, what their rows open, and the JSON of one object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.ztunnel import decode_ztunnel_dump
from meshdoctor.present.table import plain
from meshdoctor.present.words import Words
from meshdoctor.present.ztunnel_rows import TABLES, json_command, ztunnel_tables
from meshdoctor.sources.recording import RecordingSource
from meshdoctor.tui.app import MeshDoctorApp
from meshdoctor.tui.examined import ExaminedSession
from tests.screens.shipped import column, settled, text_of

POD = PodRef("mesh-system", "ztunnel-abc")


def workload(name: str, **more: Any) -> dict[str, Any]:
    return {
        "uid": f"Kubernetes//Pod/books/{name}",
        "name": name,
        "namespace": "books",
        "serviceAccount": "default",
        "protocol": "HBONE",
        "status": "Healthy",
        "workloadIps": ["10.0.0.7"],
        **more,
    }


def service(name: str, host: str, *workloads: str) -> dict[str, Any]:
    endpoints = {one: {"workloadUid": f"Kubernetes//Pod/books/{one}", "port": {"80": 8080}} for one in workloads}
    return {
        "name": name,
        "namespace": "books",
        "hostname": host,
        "vips": ["/10.1.0.1"],
        "ports": {"80": 8080},
        "endpoints": endpoints,
    }


def policy(name: str, rules: list[Any], action: str = "Allow") -> dict[str, Any]:
    return {"name": name, "namespace": "books", "action": action, "scope": "Namespace", "rules": rules}


DUMP: dict[str, Any] = {
    "workloads": [workload("api-1"), workload("api-2", status="Unhealthy"), workload("vm", uid="Kubernetes/vm")],
    "services": [
        service("api", "api.books.svc.cluster.local", "api-1", "api-2"),
        service("partner", "partner.example.com"),
    ],
    "policies": [
        policy("nobody", []),
        policy("converted_peer_authentication_strict", [[[{"principals": []}]]], "Deny"),
        policy("istio_converted_static_strict", [], "Deny"),
    ],
    "certificates": [
        {
            "identity": "spiffe://cluster.local/ns/books/sa/default",
            "state": {"Unavailable": "no answer"},
            "certChain": [],
        }
    ],
    "workloadState": {
        "1": {
            "info": {"name": "api-1", "namespace": "books", "serviceAccount": "default"},
            "state": "Up",
            "connections": {
                "inbound": [],
                "outbound": [
                    {"src": "10.0.0.7:1", "originalDst": "10.1.0.1:80", "actualDst": "10.0.0.8:80", "protocol": "HBONE"}
                ]
                * 2,
            },
        }
    },
}


def rows(table: str) -> list[tuple[str, str, bool]]:
    found = ztunnel_tables(POD, decode_ztunnel_dump(json.dumps(DUMP).encode()), 0.0)
    return [(" ".join(map(plain, row.cells)), row.target, row.problem) for row in found.rows[table]]


def test_what_is_wrong_is_a_problem_and_rows_open_their_object() -> None:
    assert [(target, problem) for _, target, problem in rows("workloads")] == [
        ("object Pod books/api-1", False),
        ("object Pod books/api-2", True),
        ("", False),
    ]
    services = rows("services")
    assert "1/2 api-2" in services[0][0]
    assert services[0][1:] == ("object Service books/api", True)
    assert services[1][1:] == ("object ServiceEntry books/partner", True)
    assert {(target, problem) for _, target, problem in rows("policies")} == {
        ("object AuthorizationPolicy books/nobody", True),
        ("object PeerAuthentication books/strict", False),
        ("", False),
    }
    assert rows("certs") == [
        ("Unavailable: no answer NO CERTIFICATE - spiffe://cluster.local/ns/books/sa/default - -", "", True)
    ]
    assert len(rows("connections")) == 2


def test_every_row_has_its_own_key_and_names_its_object() -> None:
    found = ztunnel_tables(POD, decode_ztunnel_dump(json.dumps(DUMP).encode()), 0.0)
    for table in TABLES:
        keys = [row.key for row in found.rows[table]]
        assert len(keys) == len(set(keys))
    assert json_command(POD, "services", found.rows["services"][1]) == (
        "dump mesh-system/ztunnel-abc service books/partner.example.com"
    )
    assert json_command(POD, "connections", found.rows["connections"][1]).endswith(" connections api-1.books")


async def test_the_tables_and_the_json_of_one_object(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"finishedAt": "2026-01-02T03:04:05Z"}))
    folder = tmp_path / "ztunnel" / POD.namespace / POD.name
    folder.mkdir(parents=True)
    (folder / "config_dump.json").write_text(json.dumps(DUMP))
    session = ExaminedSession("case", lambda: RecordingSource.open(tmp_path))
    app = MeshDoctorApp(session, start=f"ztunnel {POD}", theme="md-dark", words=Words("en"))
    async with app.run_test(size=(80, 24)) as pilot:
        text = await settled(pilot)
        assert text[2] == " 1 workloads[3]  2 services[2]  3 policies[3]  4 certs[1]  5 connections[2]"
        assert column(app, "name") == ["api-1", "api-2", "vm"]
        for key in "2345":
            await pilot.press(key)
            assert (await settled(pilot))[4].startswith(">")
            await pilot.press("y")
            await settled(pilot)
            assert '"' in text_of(app)
            await pilot.press("q")
        await pilot.press("3", "y")
        await settled(pilot)
        assert '"scope": "Namespace"' in text_of(app)
        await app.go("ztunnel books/other")
        assert "nothing is known of a ztunnel books/other" in " ".join(await settled(pilot))
