"""The ranking: verdicts merged and ordered, their state in time, what is said of now, and what was not checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from meshdoctor.cli import main
from meshdoctor.guide.diagnosis import Diagnosis
from meshdoctor.mesh.question import parse_question
from tests.kube_objects import istio, pod, service
from tests.moments import Json, when
from tests.probes.depot import HOST, LEDGER, RESET, Depot, ledgers
from tests.recordings import access_line

WANTED = {
    "cause", "confidence", "layer", "state", "first", "last", "summary", "resources", "affects", "evidence", "remedy"
}  # fmt: skip


def failing(depot: Depot, *times: float) -> Depot:
    for at in times:
        depot.request(at, 503, server={})
    return depot


# -- the JSON of docs/diagnosis.md


def shape(value: Any) -> Any:
    """The keys of JSON, of a list those of its first entry (the example is shortened)."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else type(value)


def test_the_example_of_the_documentation_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    text = Path("docs/diagnosis.md").read_text("utf-8")
    example = msgspec.json.decode(text.partition("```json\n")[2].partition("```")[0])
    asked = example["question"]
    main(["diagnose", "fixtures/pine.tar.xz", "--from", asked["from"], "--to", asked["to"], "-o", "json"])
    printed = msgspec.json.decode(capsys.readouterr().out)
    assert shape(printed) == shape(example)
    assert {name: printed[name] for name in ("source", "question", "now")} == {
        name: example[name] for name in ("source", "question", "now")
    }
    assert printed["traffic"][0] == example["traffic"][0]
    known, (verdict,) = example["verdicts"][0], printed["verdicts"]
    assert all(entry in verdict[name] for name in ("resources", "affects", "evidence") for entry in known[name])
    same = ("cause", "confidence", "layer", "state", "summary", "remedy", "first", "last", "failures")
    assert {name: verdict[name] for name in same} == {name: known[name] for name in same}


def test_the_keys(tmp_path: Path) -> None:
    diagnosis = failing(Depot(tmp_path), 100, 101).diagnose(parse_question("depot/picker", "ledger.books:8090/page"))
    found = msgspec.json.decode(msgspec.json.encode(diagnosis))
    assert list(found) == ["schema", "source", "now", "question", "traffic", "verdicts", "steps", "not_checked"]
    assert found["schema"] == "meshdoctor.diagnosis/1"
    assert found["source"] == {"kind": "recording", "name": str(tmp_path / "recording"), "captured_at": when(600)}
    assert found["question"] == {"from": "depot/picker", "to": "ledger.books:8090/page"}
    groups = {entry["to"]: entry for entry in found["traffic"]}
    assert set(groups) == {f"outbound|8090||{HOST}", "inbound|9191||"}
    traffic = groups[f"outbound|8090||{HOST}"]
    assert set(traffic) == {"from", "to", "code", "flags", "details", "count", "first", "last"}
    assert (traffic["from"], traffic["code"], traffic["count"]) == ("depot/picker", 503, 2)
    (verdict,) = found["verdicts"]
    assert set(verdict) >= WANTED
    assert set(verdict["resources"][0]) == {"kind", "namespace", "name", "field"}
    assert verdict["affects"] == [{"from": "depot/picker", "to": f"{HOST}:8090"}]
    assert set(verdict["evidence"][0]) == {"probe", "says", "file", "at"}
    assert set(verdict["remedy"]) == {"text", "yaml", "verify"}
    assert (verdict["first"], verdict["last"]) == (when(100), when(101))
    assert verdict["layer"] == "application"
    assert set(found["steps"][0]) == {"probe", "outcome", "says", "seconds"}
    assert {step["outcome"] for step in found["steps"]} <= {"culprit", "cleared", "inconclusive", "not-applicable"}
    assert set(found["not_checked"][0]) == {"probe", "why"}


def test_no_question_is_null(tmp_path: Path) -> None:
    assert failing(Depot(tmp_path), 100, 101).diagnose().question is None


def test_evidence_points_at_a_line_that_says_so(tmp_path: Path) -> None:
    depot = failing(Depot(tmp_path).good(1, 2, 3), 100, 101)
    (verdict,) = depot.diagnose().verdicts
    shown = verdict.evidence[0]
    line = depot.files[shown.file].decode().splitlines()[int(shown.at.removeprefix("line ")) - 1]
    assert " 503 " in line


# -- states, now and exit statuses


def status(diagnosis: Diagnosis) -> tuple[str, list[tuple[str, str]], int]:
    verdicts = [(verdict.cause, verdict.state) for verdict in diagnosis.verdicts]
    return diagnosis.now, verdicts, diagnosis.exit_status


def test_an_active_culprit(tmp_path: Path) -> None:
    depot = failing(Depot(tmp_path).good(1, 2), 100, 101)
    assert status(depot.diagnose()) == ("failing", [("app-returned-error", "active")], 1)


def test_trouble_that_is_over(tmp_path: Path) -> None:
    depot = failing(Depot(tmp_path).good(1, 2), 100, 101).good(*range(102, 130))
    assert status(depot.diagnose()) == ("healthy", [("app-returned-error", "over")], 0)


def test_a_pause_between_failures_is_not_their_end(tmp_path: Path) -> None:
    depot = failing(Depot(tmp_path), 100, 130, 160, 190).good(191, 195, 199, 203, 207)
    assert status(depot.diagnose()) == ("failing", [("app-returned-error", "active")], 1)


def test_failures_that_nothing_explains(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    for at in range(100, 106):
        depot.request(at, 503)
    assert status(depot.diagnose()) == ("failing", [], 3)


def test_failures_that_nothing_explains_and_that_are_over(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    for at in range(100, 106):
        depot.request(at, 503)
    assert status(depot.good(*range(110, 150)).diagnose()) == ("healthy", [], 3)


def test_a_healthy_mesh(tmp_path: Path) -> None:
    depot = Depot(tmp_path).good(*range(20)).call(1, 200, "")
    diagnosis = depot.diagnose()
    assert status(diagnosis) == ("healthy", [("healthy", "active")], 0)
    assert diagnosis.verdicts[0].confidence > 0.6
    asked = depot.diagnose(parse_question("depot/picker", "ledger.books"))
    assert status(asked) == ("healthy", [("healthy", "active")], 0)


def test_healthy_only_alone(tmp_path: Path) -> None:
    for times in ((100, 101), ()):
        diagnosis = failing(Depot(tmp_path / str(len(times))).good(*range(20)), *times).diagnose()
        causes = [verdict.cause for verdict in diagnosis.verdicts]
        assert "healthy" not in causes or causes == ["healthy"]


@pytest.mark.parametrize("missing", ["logs/", r"kube/core/v1/(pods|services)\.json"])
def test_what_was_not_read_is_never_surely_healthy(tmp_path: Path, missing: str) -> None:
    diagnosis = Depot(tmp_path).good(*range(20)).call(1, 200, "").drop(missing).diagnose()
    assert all(verdict.confidence <= 0.6 for verdict in diagnosis.verdicts)


def test_refused_calls_that_no_proxy_logged_are_not_healthy(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    for at in range(100, 106):
        depot.call(at, 403, "forbidden")
    diagnosis = depot.diagnose(parse_question("depot/picker", "ledger.books"))
    assert "healthy" not in [verdict.cause for verdict in diagnosis.verdicts if verdict.confidence > 0.6]


# -- order and merging


def stateful(name: str, ip: str) -> Json:
    return pod(f"{name}-0", "depot", ip, {"app": name}, owner_kind="StatefulSet", replica_set=name)


def two_troubles(depot: Depot) -> Depot:
    """A fault rule aborts few requests, and the application of another Service answers many with errors."""
    depot.objects("VirtualService", istio("drill", "books", {"hosts": ["ledger"], "http": [{"fault": {"abort": {}}}]}))
    depot.objects("Service", service("scanner", "depot", "10.96.44.9", [(80, "http", 8081)], {"app": "scanner"}))
    depot.objects("Pod", stateful("scanner", "10.40.1.99"))
    for at in range(100, 104):
        depot.request(at, 503, "FI", "fault_filter_abort", upstream="-", cluster="-")
    for at in range(100, 120):
        scanner: Json = {"cluster": "outbound|80||scanner.depot.svc.cluster.local", "local": "10.96.44.9:80"}
        depot.request(at, 500, upstream="10.40.1.99:8081", authority="scanner", **scanner)
        line = access_line(
            at, 500, request_id=f"req-{depot._requests}", cluster="inbound|8081||", local="10.40.1.99:8081"
        )
        depot.log("depot/scanner-0", "istio-proxy", line)
    return depot


def test_two_troubles_are_both_named_the_surer_first(tmp_path: Path) -> None:
    diagnosis = two_troubles(Depot(tmp_path)).diagnose()
    found = [(verdict.cause, str(verdict.resources[0])) for verdict in diagnosis.verdicts]
    assert set(found) == {
        ("fault-injected", "VirtualService books/drill"),
        ("app-returned-error", "StatefulSet depot/scanner"),
    }


def test_active_trouble_comes_before_what_is_over(tmp_path: Path) -> None:
    depot = two_troubles(Depot(tmp_path)).good(*range(110, 180))
    states = [verdict.state for verdict in depot.diagnose().verdicts]
    assert states == ["active", "over"]


def test_a_question_looks_at_its_own_flow_only(tmp_path: Path) -> None:
    depot = two_troubles(Depot(tmp_path))
    asked = depot.diagnose(parse_question("depot/picker", "http://scanner.depot/"))
    assert [verdict.cause for verdict in asked.verdicts] == ["app-returned-error"]
    assert {group.code for group in asked.traffic} == {500}


def test_equal_verdicts_of_several_callers_are_one(tmp_path: Path) -> None:
    depot = failing(Depot(tmp_path), 100, 101)
    depot.objects("Pod", stateful("clerk", "10.40.1.77"))
    for at in (100, 101, 102):
        fields: Json = {"request_id": f"c{at}", "authority": "ledger.books:8090"}
        asked = {"cluster": f"outbound|8090||{HOST}", "local": "10.96.44.3:8090", "remote": "10.40.1.77:1"}
        depot.log("depot/clerk-0", "istio-proxy", access_line(at, 503, **fields | asked))
        served = {"cluster": "inbound|9191||", "local": "10.40.2.7:9191", "remote": "10.40.1.77:2"}
        depot.log(LEDGER, "istio-proxy", access_line(at, 503, **fields | served))
    (verdict,) = depot.diagnose().verdicts
    assert verdict.failures == 5  # requests: that both sides logged one does not make it two
    assert [entry["from"] for entry in verdict.affects] == ["depot/clerk", "depot/picker"]
    assert (verdict.first, verdict.last) == (when(100), when(102))


# -- what was not checked


def test_causes_without_a_probe_and_facts_that_were_not_read(tmp_path: Path) -> None:
    depot = failing(Depot(tmp_path), 100, 101).drop(r"kube/apps")
    entries = {entry.probe: entry.why for entry in depot.diagnose().not_checked}
    assert "no probe looks for this cause yet" in entries.values() or len(entries) > 1
    assert "healthy" not in entries
    assert any("not recorded" in why for why in entries.values())


def test_an_inconclusive_step_is_listed(tmp_path: Path) -> None:
    depot = failing(Depot(tmp_path, servers=ledgers()[:1]), 100).drop(r"kube/core/v1/pods")
    for at in (101, 102, 103):
        depot.request(at, 503, server={"flags": "UC", "details": RESET})
    diagnosis = depot.diagnose()
    inconclusive = {step.probe for step in diagnosis.steps if step.outcome == "inconclusive"}
    assert "application-reset" in inconclusive
    assert inconclusive <= {entry.probe for entry in diagnosis.not_checked}
