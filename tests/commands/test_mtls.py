"""`meshdoctor mtls` on recordings made here: real formats, tiny meshes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from meshdoctor.cli import main
from tests.mesh.mtls_world import CLIENT, HOST, SERVER, Json, endpoints, pod, policy, rule, service

PLACES = {
    "Pod": "core/v1/pods",
    "Service": "core/v1/services",
    "EndpointSlice": "discovery.k8s.io/v1/endpointslices",
    "DestinationRule": "networking.istio.io/v1/destinationrules",
    "PeerAuthentication": "security.istio.io/v1/peerauthentications",
    "ServiceEntry": "networking.istio.io/v1/serviceentries",
    "WorkloadEntry": "networking.istio.io/v1/workloadentries",
    "Sidecar": "networking.istio.io/v1/sidecars",
    "VirtualService": "networking.istio.io/v1/virtualservices",
}
REFUSED = (
    '[2026-01-01T00:00:09.000Z] "- - -" 0 NR filter_chain_not_found - "-" 0 0 0 - "-" "-" "-" "-" "-" - - '
    "10.1.0.1:8080 {client}:4711 - -\n"
)


def record(folder: Path, *found: Json, logs: dict[str, str] | None = None) -> Path:
    """A recording folder with those objects and access logs (by `namespace/pod`)."""
    items: dict[str, list[Json]] = {kind: [] for kind in PLACES}
    for item in found:
        items[item["kind"]].append(item)
    for kind, place in PLACES.items():
        file = folder / "kube" / f"{place}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"items": items[kind]}), encoding="utf-8")
    mesh = folder / "istiod" / "istiod-1" / "mesh.json"
    mesh.parent.mkdir(parents=True)
    mesh.write_text("{}", encoding="utf-8")
    for key, text in (logs or {}).items():
        log = folder / "logs" / key / "istio-proxy.log"
        log.parent.mkdir(parents=True)
        log.write_text(text, encoding="utf-8")
    manifest = {"format": "meshdoctor-raw/1", "started_at": 1767225600.0, "finished_at": 1767225610.0}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


BASE = (service(), endpoints([SERVER]), SERVER, CLIENT)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    recording, *rest = arguments
    status = main(["mtls", "--recording", recording, *rest])
    return status, capsys.readouterr().out


def test_a_mesh_in_order_is_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = run(capsys, str(record(tmp_path, *BASE, policy("STRICT"), logs={"srv/s-1": ""})))
    assert status == 0
    assert out.splitlines()[:3] == ["CLIENT  s:80", "cli/c-1 mTLS", "srv/s-1 mTLS"]
    assert out.endswith("the two sides agree everywhere\n")


def test_refusals_make_a_disagreement_active(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = REFUSED.format(client="10.2.0.1") * 3
    made = record(tmp_path, *BASE, policy("STRICT"), rule(tls="DISABLE"), logs={"srv/s-1": log})
    status, out = run(capsys, str(made))
    assert status == 1
    assert "cli/c-1 REFUSED" in out
    assert f"M1  cli/c-1 and 1 more -> {HOST}:80" in out
    assert "failures logged: 3" in out
    assert "objects: DestinationRule srv/r, PeerAuthentication srv/p" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_declared_failure_that_nothing_shows_is_not_conclusive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = run(capsys, str(record(tmp_path, *BASE, policy("STRICT"), rule(tls="DISABLE"))))
    assert status == 3
    assert "no access log was read" in out


def test_a_caller_without_a_sidecar_is_a_row_only_when_it_was_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = pod("b-1", "cli", "10.2.0.7", proxy="")
    quiet = record(tmp_path / "quiet", *BASE, bare, policy("STRICT"), logs={"srv/s-1": ""})
    status, out = run(capsys, str(quiet))
    assert (status, "cli/b-1" in out) == (0, False)
    log = {"srv/s-1": REFUSED.format(client="10.2.0.7")}
    status, out = run(capsys, str(record(tmp_path / "seen", *BASE, bare, policy("STRICT"), logs=log)))
    assert status == 1
    assert "cli/b-1 REFUSED" in out
    assert "M7  cli/b-1 -> " in out


def test_to_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = record(tmp_path, *BASE, policy("STRICT"), rule(tls="DISABLE"), logs={"srv/s-1": ""})
    labels = f'source_workload="c-1",source_workload_namespace="cli",destination_service="{HOST}"'
    counter = f'istio_requests_total{{reporter="destination",connection_security_policy="none",{labels}}} 7\n'
    metrics = made / "envoy" / "srv" / "s-1" / "stats.prom"
    metrics.parent.mkdir(parents=True)
    metrics.write_text(counter, encoding="utf-8")
    status, out = run(capsys, str(made), "cli/c-1", "--to", "s.srv:80")
    assert status == 0
    assert "counted from cli/c-1: mutual_tls 0, none 7" in out
    assert f"cli/c-1 -> {HOST}:80   REFUSED" in out
    assert "declared: sends plaintext (DestinationRule srv/r sets tls mode DISABLE)" in out
    assert "declared: takes STRICT (PeerAuthentication srv/p wins" in out
    assert "srv/s-1 ->" not in out


@pytest.mark.parametrize(
    ("client", "hosts"), [("cli/c-1", "s.cli"), ("srv/s-1", "s.srv"), ("far/f-1", "s.cli s.srv"), ("", "s.cli s.srv")]
)
def test_to_is_what_the_client_resolves_or_what_begins_so(
    client: str, hosts: str, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    far = pod("f-1", "far", "10.5.0.1")
    made = record(tmp_path, *BASE, far, service(namespace="cli"), endpoints([CLIENT], namespace="cli"))
    main(["mtls", "--recording", str(made), *filter(None, [client]), "--to", "s", "-o", "json"])
    cells = json.loads(capsysbinary.readouterr().out)["cells"]
    assert {".".join(cell["host"].split(".")[:2]) for cell in cells} == set(hosts.split())


def test_json_has_every_cell_and_every_reason(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    made = record(tmp_path, *BASE, policy("STRICT"), rule(tls="DISABLE"))
    assert main(["mtls", "--recording", str(made), "-o", "json"]) == 3
    report: dict[str, Any] = json.loads(capsysbinary.readouterr().out)
    assert report["schema"] == "meshdoctor.mtls/1"
    cell = next(cell for cell in report["cells"] if cell["client"] == "cli/c-1")
    assert (cell["outcome"], cell["tls"]) == ("fail-plaintext-to-strict", "plaintext")
    assert cell["endpoints"][0]["takes"] == "STRICT"
    assert {entry["pattern"] for entry in report["disagreements"]} == {"M1"}


@pytest.mark.parametrize("arguments", [["nobody"], ["--to", "nowhere:80"]])
def test_names_that_match_nothing_are_errors(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mtls", "--recording", str(record(tmp_path, *BASE)), *arguments]) == 2
    assert capsys.readouterr().err.startswith("meshdoctor: no ")


@pytest.mark.parametrize("name", ["c-1", "cli/c-1", "c-1.cli", "pod/c-1", "po/c-1.cli"])
def test_a_client_may_be_written_in_any_way(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = run(capsys, str(record(tmp_path, *BASE, policy("STRICT"), logs={"srv/s-1": ""})), name)
    assert (status, out.splitlines()[:2]) == (0, ["CLIENT  s:80", "cli/c-1 mTLS"])


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["cli/c-l"], "did you mean cli/c-1?"),
        (["svr"], "did you mean srv?"),
        (["--to", "ss"], "did you mean s.srv:80?"),
        (["--to", "s.svr"], "did you mean s.srv:80?"),
        (["--to", "s:81"], "did you mean s.srv:80?"),
    ],
)
def test_near_names_are_offered(
    arguments: list[str], near: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mtls", "--recording", str(record(tmp_path, *BASE)), *arguments]) == 2
    assert near in capsys.readouterr().err


def test_nothing_to_show_is_no_agreement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = pod("b-1", "old", "10.2.0.7", proxy="")
    made = str(record(tmp_path, *BASE, bare, policy("STRICT"), logs={"srv/s-1": ""}))
    status, out = run(capsys, made, "old")
    assert (status, "agree" in out) == (3, False)
    assert "no client to show: no pod of it has a sidecar or a ztunnel" in out
    status, out = run(capsys, made, "old/b-1")
    assert "old/b-1 REFUSED" in out


def test_a_service_that_lost_its_endpoints_stays_a_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lost = (service("lost"), endpoints([], "lost"))
    _, out = run(capsys, str(record(tmp_path, *BASE, *lost, policy("STRICT"), logs={"srv/s-1": ""})))
    assert out.splitlines()[:2] == ["CLIENT  lost:80 s:80", "cli/c-1 empty   mTLS"]


def test_labels_in_korean(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made = str(record(tmp_path, *BASE, policy("STRICT"), logs={"srv/s-1": ""}))
    _, out = run(capsys, made, "--lang", "ko")
    assert out.splitlines()[0].startswith("클라이언트") and "모든 곳에서 양쪽이 일치합니다" in out
    monkeypatch.setenv("MESHDOCTOR_LANG", "ko")
    assert "모든 곳에서" in run(capsys, made)[1]
    assert "agree" in run(capsys, made, "--lang", "en")[1]


def test_many_services_are_shown_in_blocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = [service(f"service-{number}") for number in range(9)]
    made += [endpoints([SERVER], f"service-{number}") for number in range(9)]
    _, out = run(capsys, str(record(tmp_path, *made, SERVER, CLIENT)))
    table = out.split("mTLS: Istio's own")[0]
    assert table.count("CLIENT") > 1
    assert all(f"service-{number}:80" in table for number in range(9))
    assert max(map(len, out.splitlines())) <= 80


def test_what_is_shown_for_one_client_leaves_the_others_disagreements_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = pod("d-1", "other", "10.4.0.1")
    log = {"srv/s-1": REFUSED.format(client="10.2.0.1")}
    made = record(tmp_path, *BASE, other, policy("STRICT"), rule(namespace="cli", tls="DISABLE"), logs=log)
    status, out = run(capsys, str(made), "cli")
    assert (status, "M1  cli/c-1" in out) == (1, True)
    assert "cli/c-1 other PERMISSIVE" in " ".join(out.split())
    status, out = run(capsys, str(made), "other/d-1")
    assert (status, out.endswith("the two sides agree everywhere\n")) == (0, True)


def test_subsets_of_the_rule_in_force_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subsets = [{"name": "v1", "labels": {"app": "s"}, "trafficPolicy": {"tls": {"mode": "DISABLE"}}}]
    made = record(tmp_path, *BASE, policy("STRICT"), rule(tls="ISTIO_MUTUAL", subsets=subsets))
    _, out = run(capsys, str(made), "cli/c-1", "--to", "s.srv")
    assert "subset v1: plaintext, REFUSED (DestinationRule srv/r sets tls mode DISABLE)" in " ".join(out.split())
