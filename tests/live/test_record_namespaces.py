"""`meshdoctor record --namespaces`: what is of them, what a diagnosis needs besides, and what is said of the rest."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from meshdoctor.cli import main
from meshdoctor.guide.examination import Examination
from meshdoctor.model import wants as ask
from meshdoctor.model.kinds import KINDS
from meshdoctor.model.snapshot import Fact, Snapshot
from meshdoctor.recording.bundle.reader import Bundle
from meshdoctor.recording.opening import open_any
from meshdoctor.sources.recording import RecordingSource
from tests.live.apiserver import ApiServer, Fault

NAMESPACED = "|".join(kind.resource for kind in KINDS if kind.namespaced)
Captured = pytest.CaptureFixture[str]


def record(kubeconfig: str, path: Path, namespaces: str) -> Path:
    flags = ["--kubeconfig", kubeconfig, "--since", "1000h", "--namespaces", namespaces]
    assert main(["record", *flags, "-o", str(path)]) == 0
    return path


def entries(path: Path) -> dict[str, Any]:
    with Bundle(path) as bundle:
        return {entry.file: entry for entry in bundle.index(1).entries}


def namespaces_of(path: Path, file: str) -> set[str]:
    items = json.loads(open_any([path]).files[file]())["items"]
    return {item["metadata"].get("namespace", "") for item in items}


def verdicts(source: RecordingSource) -> list[tuple[str, str]]:
    examination = Examination(source.read, Snapshot(source.info, {}))
    for _ in examination.steps():
        continue
    return [(verdict.cause, str(verdict.resources[0])) for verdict in examination.diagnosis().verdicts]


def test_objects_proxies_and_logs_of_two_namespaces_and_the_control_plane(
    cluster: tuple[ApiServer, str], tmp_path: Path
) -> None:
    api, kubeconfig = cluster
    path = record(kubeconfig, tmp_path / "a.mdb", "shop,pay")
    asked = [path for _, path in api.requests]
    # Of the whole cluster, only the control plane's pods are listed, which a label selects: istiod's and ztunnel's.
    assert {one for one in asked if re.fullmatch(rf"/apis?/.*v[^/]+/(?:{NAMESPACED})", one)} == {"/api/v1/pods"}
    assert not any("/namespaces/legacy/" in one for one in asked)
    found = entries(path)
    pods = found["kube/core/v1/pods.json"]
    assert (pods.status, pods.namespaces, pods.error) == ("partial", ["shop", "pay", "istio-system"], "--namespaces")
    assert namespaces_of(path, "kube/core/v1/pods.json") == {"shop", "pay", "istio-system"}
    assert found["kube/core/v1/namespaces.json"].status == "ok"
    assert namespaces_of(path, "kube/core/v1/namespaces.json") == {""}
    kept = {file.split("/")[1] for file in open_any([path]).files if file.startswith(("envoy/", "logs/"))}
    assert kept <= {"shop", "pay", "istio-system"} >= {"shop", "pay"}
    assert any(file.startswith("logs/istio-system/istiod-") for file in found)


def test_the_cause_inside_is_found_and_nothing_outside_is_called_missing(
    cluster: tuple[ApiServer, str], folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    _, kubeconfig = cluster
    path = record(kubeconfig, tmp_path / "a.mdb", "shop,pay")
    source = RecordingSource.open(path)
    assert verdicts(source) == verdicts(RecordingSource.open(folder))
    pods = source.read([ask.Objects("Pod")]).get(ask.Objects("Pod"))
    assert isinstance(pods, Fact)
    assert (pods.covers("shop"), pods.covers("legacy"), pods.covers()) == (True, False, False)
    assert main(["diagnose", str(path), "-o", "json"]) in (0, 1)
    told = [line["why"] for line in json.loads(capsys.readouterr().out.partition("\n")[2])["not_checked"]]
    assert any("only of namespaces shop, pay, istio-system (--namespaces)" in why for why in told)


def test_whoever_may_list_in_two_namespaces_only(cluster: tuple[ApiServer, str], tmp_path: Path) -> None:
    api, kubeconfig = cluster
    api.faults.append(Fault(r"^/apis?/(?:[^/]+/)?v[^/]+/[a-z]+\?", 403, "Forbidden"))
    api.faults.append(Fault("/namespaces/(?:istio-system|legacy)/", 403, "Forbidden"))
    path = record(kubeconfig, tmp_path / "a.mdb", "shop,pay")
    found = entries(path)
    pods = found["kube/core/v1/pods.json"]
    assert (pods.status, pods.namespaces) == ("partial", ["shop", "pay"])
    assert pods.error.startswith("--namespaces; istio-system: ")
    assert "403" in pods.error or "forbidden" in pods.error.lower()
    nodes = found["kube/core/v1/nodes.json"]
    assert nodes.status == "failed"
    assert namespaces_of(path, "kube/core/v1/services.json") == {"shop", "pay"}
    assert any(file.startswith("envoy/pay/") for file in found)


@pytest.mark.parametrize(
    ("namespaces", "says"),
    [
        ("shop,nowhere", "there is no namespace nowhere"),
        ("Shop", "--namespaces 'Shop' names no namespace"),
        (",", "--namespaces ',' names no namespace"),
        ("a\x1b[2J", "names no namespace"),
    ],
)
def test_a_namespace_that_is_not_there(
    cluster: tuple[ApiServer, str], tmp_path: Path, capsys: Captured, namespaces: str, says: str
) -> None:
    path = tmp_path / "a.mdb"
    status = main(["record", "--kubeconfig", cluster[1], "--namespaces", namespaces, "-o", str(path)])
    told = capsys.readouterr().err
    assert (status, told.count("\n"), path.exists()) == (2, 1, False)
    assert says in told
    assert "\x1b" not in told


def test_what_the_whole_cluster_may_not_be_asked_for_is_a_part_as_well(
    cluster: tuple[ApiServer, str], tmp_path: Path
) -> None:
    api, kubeconfig = cluster
    api.faults.append(Fault(r"^/apis?/(?:[^/]+/)?v[^/]+/[a-z]+\?", 403, "Forbidden"))
    path = tmp_path / "a.mdb"
    assert main(["record", "--kubeconfig", kubeconfig, "-n", "shop", "-o", str(path)]) == 0
    pods = entries(path)["kube/core/v1/pods.json"]
    assert (pods.status, pods.namespaces) == ("partial", ["shop"])
    assert "list" in pods.error, "the right that is missing"
    known = RecordingSource.open(path).read([ask.Objects("Pod")]).get(ask.Objects("Pod"))
    assert isinstance(known, Fact)
    assert not known.covers("pay")
