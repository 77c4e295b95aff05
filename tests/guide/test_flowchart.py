"""The data files and the probes agree: every name that one uses exists in the other."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import meshdoctor.probes
from meshdoctor.guide.causes import causes
from meshdoctor.guide.flowchart import Branch, all_probes, branches, probe
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import INCONCLUSIVE, NOT_APPLICABLE
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.traffic import Destination
from meshdoctor.model.snapshot import Snapshot, SourceInfo

FILES = {file.stem.replace("_", "-") for file in Path(meshdoctor.probes.__path__[0]).glob("[a-z]*.py")}
LAYERS = {
    "application", "client-sidecar", "server-sidecar", "control-plane", "configuration", "platform", "network", "client"
}  # fmt: skip


def test_every_probe_file_is_named_and_every_name_is_a_file() -> None:
    assert set(all_probes()) == FILES


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_probe_keeps_its_contract(name: str) -> None:
    found = probe(name)
    assert found.id == name
    assert found.question.endswith("?")
    assert found.causes and set(found.causes) <= set(causes()), "a cause that causes.yaml does not have"
    assert len(set(found.causes)) == len(found.causes)
    assert (inspect.getmodule(found.examine) or pytest.fail()).__doc__


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_probe_finds_nothing_in_an_empty_mesh(name: str) -> None:
    """Nothing was read and nothing failed: no probe may crash, accuse or clear."""
    mesh = MeshIndex(Snapshot(SourceInfo("recording", "nothing"), {}))
    case = Case(None, Destination("ledger.books", 8090), ())
    assert list(probe(name).needs(case, mesh)) == []
    assert probe(name).examine(case, mesh).outcome in (NOT_APPLICABLE, INCONCLUSIVE)


def test_causes_that_the_source_of_a_probe_names_are_declared() -> None:
    """A verdict for a cause that `Probe.causes` does not list would be missing from what a diagnosis checked."""
    for name in all_probes():
        module = inspect.getmodule(probe(name).examine) or pytest.fail()
        source = inspect.getsource(module)
        named = {cause for cause in causes() if f'"{cause}"' in source}
        assert named <= set(probe(name).causes) | {name}, f"{name}: {named - set(probe(name).causes)}"


def test_branches_are_unique_and_have_two_languages() -> None:
    ids = [branch.id for branch in branches()]
    assert len(set(ids)) == len(ids)
    assert all(branch.title and branch.title_ko and branch.probes for branch in branches())


def test_a_branch_is_entered_by_its_words() -> None:
    branch = Branch("x", "X", "X", frozenset({"UH", "server:UF"}), ("no-healthy-upstream",))
    assert branch.entered(frozenset({"UF", "UH"}))
    assert not branch.entered(frozenset({"UF"}))
    assert not branch.entered(frozenset())
    assert Branch("x", "X", "X", frozenset(), ()).entered(frozenset()), "without words it is always entered"


def test_the_vocabulary() -> None:
    assert len(causes()) > 70
    assert {cause.layer for cause in causes().values()} <= LAYERS
    assert all(cause.title and cause.branch for cause in causes().values())
    known = {branch.id for branch in branches()}
    covered = {cause for name in all_probes() for cause in probe(name).causes}
    assert len(covered) >= 28
    assert {"UH", "UF", "mtls", "ambient"} <= known
