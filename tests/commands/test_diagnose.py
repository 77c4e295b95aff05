"""`meshdoctor diagnose`: text of 80 columns, one JSON object, exit statuses, and one line for each bad input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.acceptance.command import Ran, run
from tests.kube_objects import istio
from tests.probes.depot import PICKER, Depot
from tests.recordings import tar_bytes

FAULT = {"hosts": ["ledger"], "http": [{"fault": {"abort": {"httpStatus": 503}}}]}


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHDOCTOR_LANG", "en")


def failing(root: Path) -> Depot:
    depot = Depot(root).objects("VirtualService", istio("drill", "books", FAULT)).good(1, 2)
    for at in range(100, 110):
        depot.request(at, 503, "FI", "fault_filter_abort", upstream="-", cluster="-")
    return depot


def diagnose(path: Path | str, *arguments: str) -> Ran:
    ran = run(["diagnose", str(path), *arguments])
    assert "Traceback" not in ran.stderr
    return ran


# -- output


def test_the_culprit_comes_first(tmp_path: Path) -> None:
    ran = diagnose(failing(tmp_path).tar("xz"), "--from", "depot/picker", "--to", "ledger.books:8090")
    assert ran.exit == 1
    assert ran.stderr == ""
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("1. fault-injected, 99% sure")
    places = [ran.stdout.index(word) for word in ("fault-injected", "WHY", "LOOK AT", "WHAT TO CHANGE", "NOT CHECKED")]
    assert places == sorted(places)
    assert "VirtualService books/drill spec.http[].fault" in ran.stdout


@pytest.mark.parametrize("language", ["en", "ko"])
def test_text_fits_80_columns(tmp_path: Path, language: str) -> None:
    depot = failing(tmp_path)
    long = "a-very-long-name-" * 8
    depot.objects("VirtualService", istio(long, "books", FAULT))
    depot.request(111, 503, "FI", "fault_filter_abort", path="/" + "p" * 300, authority="x" * 200 + ".example.org")
    depot.call(112, 0, "no answer " * 40 + "y" * 200)
    ran = diagnose(depot.write(), "--lang", language)
    assert ran.exit == 1
    assert [line for line in ran.stdout.splitlines() if cell_len(line) > 80] == []


def test_hostile_names_reach_no_terminal(tmp_path: Path) -> None:
    depot = failing(tmp_path).objects("VirtualService", istio("evil\x1b[2J\u202e", "books", FAULT))
    depot.request(111, 503, "FI", "fault\x1b]0;x\x07_abort", authority="\x1b[31mledger")
    for output in ("text", "json"):
        ran = diagnose(depot.write(), "-o", output)
        assert not set(ran.stdout) & {"\x1b", "\x07", "\u202e"}


def test_json(tmp_path: Path) -> None:
    ran = diagnose(failing(tmp_path).write(), "--output", "json")
    assert ran.exit == 1
    found = json.loads(ran.stdout)
    assert found["schema"] == "meshdoctor.diagnosis/1"
    assert found["now"] == "failing"
    assert found["question"] is None
    assert [verdict["cause"] for verdict in found["verdicts"]] == ["fault-injected"]
    assert ran.stdout.endswith("}\n")


def test_the_answer_is_the_same_from_every_kind_of_recording(tmp_path: Path) -> None:
    depot = failing(tmp_path)
    answers = set()
    for path in (depot.write(), depot.tar(), depot.tar("gz"), depot.tar("xz", "top"), depot.tar("zst")):
        found = json.loads(diagnose(path, "-o", "json").stdout)
        found["source"]["name"] = ""
        for step in found["steps"]:
            step["seconds"] = 0
        answers.add(json.dumps(found))
    assert len(answers) == 1


# -- exit statuses


def test_status_0_nothing_is_wrong_now(tmp_path: Path) -> None:
    assert diagnose(Depot(tmp_path).good(*range(20)).call(1, 200, "").write()).exit == 0


def test_status_0_for_what_is_over(tmp_path: Path) -> None:
    ran = diagnose(failing(tmp_path).good(*range(111, 150)).write())
    assert ran.exit == 0
    assert "fault-injected (over)" in ran.stdout


def test_status_3_nothing_conclusive(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    for at in range(100, 106):
        depot.request(at, 503)
    ran = diagnose(depot.write())
    assert ran.exit == 3
    assert ran.stdout.startswith("INCONCLUSIVE")


def test_status_3_for_a_flow_that_nobody_logged(tmp_path: Path) -> None:
    depot = Depot(tmp_path).drop("logs/")
    assert diagnose(depot.write(), "--from", "depot/picker", "--to", "ledger.books").exit == 3


# -- bad input


def complaint(path: Path | str, *arguments: str) -> str:
    """The one line on standard error of a command that ends with 2 and prints nothing else."""
    ran = diagnose(path, *arguments)
    assert ran.exit == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("meshdoctor: ")
    assert ran.stderr.count("\n") == 1
    return ran.stderr


def bad_inputs(root: Path) -> Iterator[tuple[str, Path, str]]:
    depot = failing(root)
    yield "no such file", root / "nowhere", "no such file"
    (root / "notes").mkdir()
    (root / "notes" / "readme.txt").write_text("hello")
    yield "not a recording", root / "notes", ""
    whole = depot.tar("xz")
    (root / "cut.tar.xz").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    yield "cut short", root / "cut.tar.xz", "cut short"
    (root / "evil.tar").write_bytes(tar_bytes({"kube/core/v1/pods.json": b"{}", "../../evil": b"x"}))
    yield "leaves the archive", root / "evil.tar", "leaves the archive"
    depot.manifest["format"] = "meshdoctor-raw/9"
    yield "newer", depot.write("newer"), "newer MeshDoctor"


def test_bad_input_is_one_line_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for name, path, says in bad_inputs(tmp_path):
        before = sorted(tmp_path.rglob("*"))
        assert says in complaint(path), name
        assert sorted(tmp_path.rglob("*")) == before, f"{name}: something was written"


def test_a_client_that_matches_nothing(tmp_path: Path) -> None:
    said = complaint(failing(tmp_path).write(), "--from", "depot/piker", "--to", "ledger.books")
    assert "depot/piker" in said and "did you mean depot/picker" in said


def test_a_host_that_matches_nothing(tmp_path: Path) -> None:
    said = complaint(failing(tmp_path).write(), "--from", "depot/picker", "--to", "leger.books:8090/page")
    assert "leger.books" in said and "ledger.books" in said


def test_a_name_like_nothing_at_all(tmp_path: Path) -> None:
    assert "zzzzqqq" in complaint(failing(tmp_path).write(), "--from", "zzzzqqq")


def test_hostile_names_of_the_user_are_one_line(tmp_path: Path) -> None:
    assert "\x1b" not in complaint(failing(tmp_path).write(), "--from", "depot/\x1b[2J")


@pytest.mark.parametrize(
    ("client", "target"),
    [
        ("depot/picker", "ledger.books"),
        ("picker", "ledger.books:8090"),
        (PICKER, "http://ledger.books:8090/page?x=1"),
        ("depot/picker", "ledger.books.svc.cluster.local:8090/page"),
        ("depot/picker", "10.96.44.3:8090"),
        ("", "ledger.books.svc"),
        ("depot/picker", ""),
    ],
)
def test_the_ways_of_asking(tmp_path: Path, client: str, target: str) -> None:
    arguments = [*(("--from", client) if client else ()), *(("--to", target) if target else ())]
    assert diagnose(failing(tmp_path).write(), *arguments).exit == 1


def test_a_moment_before_the_first(tmp_path: Path) -> None:
    depot = failing(tmp_path)
    for path, body in list(depot.files.items()):
        depot.put(f"snapshots/2026-03-03T09:10:00Z/{path}", body)
    depot.drop("(kube|logs|istiod|envoy)/")
    assert diagnose(depot.write(), "--at", "2026-03-03T09:11:00Z").exit == 1
    assert "begins at" in complaint(depot.write(), "--at", "2026-03-03T09:09:00Z")


def test_one_unreadable_file_is_named_and_the_rest_is_used(tmp_path: Path) -> None:
    depot = failing(tmp_path).put("kube/discovery.k8s.io/v1/endpointslices.json", b'{"items": [{"metadata"')
    ran = diagnose(depot.write())
    assert ran.exit == 1
    assert "endpointslices.json" in ran.stdout.replace("\n", "").replace(" ", "")
    assert "unreadable" in ran.stdout
