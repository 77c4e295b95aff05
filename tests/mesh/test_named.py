"""Names of workloads and pods as people type them."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdoctor.errors import NothingMatches
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.named import named, near_names, one_named
from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import Snapshot
from tests.kube_objects import pod, service
from tests.recordings import Recording

FIRST, SECOND = "picker-6d4cf56db6-bbbbb", "picker-6d4cf56db6-ccccc"
HASHED = {"pod-template-hash": "6d4cf56db6", "app": "picker"}


@pytest.fixture
def mesh(tmp_path: Path) -> MeshIndex:
    recording = Recording(tmp_path)
    recording.objects(
        "Pod",
        pod(SECOND, "depot", "10.0.0.2", HASHED, replica_set="picker-6d4cf56db6"),
        pod(FIRST, "depot", "10.0.0.1", HASHED, replica_set="picker-6d4cf56db6"),
        pod("batch.v2", "depot", "10.0.0.3"),
        pod("same", "north", "10.0.0.4"),
        pod("same", "south", "10.0.0.5"),
        pod("deploy-0", "svc", "10.0.0.6", replica_set="deploy", owner_kind="StatefulSet"),
    )
    recording.objects("Service", service("front", "depot", "10.96.0.9", [(80, "http", 8080)], {"app": "picker"}))
    source = recording.source()
    wants = [ask.Contents(), ask.Objects("Pod"), ask.Objects("Service")]
    return MeshIndex(source.read(wants, Snapshot(source.info, {})))


@pytest.mark.parametrize(
    "text",
    ["depot/picker", "picker", "picker.depot", "deploy/picker", "deployment/picker.depot", "Deployments/picker"],
)
def test_a_workload_with_all_its_pods(mesh: MeshIndex, text: str) -> None:
    found = one_named(mesh, text)
    assert str(found.workload) == "depot/picker"
    assert [ref.name for ref in found.pods] == [FIRST, SECOND]


@pytest.mark.parametrize("text", [f"depot/{SECOND}", SECOND, f"{SECOND}.depot", f"pod/{SECOND}", f"po/{SECOND}.depot"])
def test_a_pod_alone(mesh: MeshIndex, text: str) -> None:
    assert [ref.name for ref in one_named(mesh, text).pods] == [SECOND]


@pytest.mark.parametrize(
    ("text", "workload"),
    [
        ("svc/front", "depot/picker"),
        ("service/front.depot", "depot/picker"),
        ("rs/picker-6d4cf56db6", "depot/picker"),
        ("batch.v2", "depot/batch.v2"),
        ("pod/batch.v2.depot", "depot/batch.v2"),
        ("svc/deploy", "svc/deploy"),
        ("same.south", "south/same"),
    ],
)
def test_other_readings(mesh: MeshIndex, text: str, workload: str) -> None:
    assert str(one_named(mesh, text).workload) == workload


def test_a_name_in_several_namespaces_is_asked_back(mesh: MeshIndex) -> None:
    with pytest.raises(NothingMatches, match="several namespaces: did you mean north/same, south/same"):
        one_named(mesh, "same")
    assert str(one_named(mesh, "same", "south").workload) == "south/same"
    assert len(named(mesh, "same")) == 2


@pytest.mark.parametrize("text", ["pikcer", "depot/pikcer", "deploy/pikcer.depot", "dept/picker", "pikcer.depot"])
def test_near_names(mesh: MeshIndex, text: str) -> None:
    assert near_names(mesh, text)[0] == "depot/picker"
    with pytest.raises(NothingMatches, match="did you mean depot/picker"):
        one_named(mesh, text)


@pytest.mark.parametrize("text", ["", "/", "depot/", "zzzzzzzz", "sts/picker", "depot/picker/x"])
def test_what_names_nothing(mesh: MeshIndex, text: str) -> None:
    assert named(mesh, text) == ()
