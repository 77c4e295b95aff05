"""Disagreements cell by cell, on an incident that ships."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshdoctor.cli import main
from meshdoctor.errors import NothingMatches
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.mtls.matrix import Column
from meshdoctor.mesh.mtls.survey import survey, survey_of_pair
from meshdoctor.mesh.mtls.view import object_wants, proxy_wants
from meshdoctor.sources.recording import RecordingSource

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
CART = Column("cart.shop.svc.cluster.local", 80)


@pytest.fixture(scope="module")
def index() -> MeshIndex:
    source = RecordingSource.open(FIXTURES / "pine.tar.xz")
    snapshot = source.read(object_wants())
    return MeshIndex(source.read(proxy_wants(MeshIndex(snapshot), counters=True), snapshot))


def test_each_failing_cell_has_its_disagreement(index: MeshIndex) -> None:
    found = survey(index)
    failing = {(row, column) for row, column, _ in found.matrix.failures()}
    assert failing == set(found.by_cell) == {(row, CART) for row in found.matrix.rows}
    assert all(found.problem(place) for place in failing)
    assert {entry.pattern.name for entries in found.by_cell.values() for entry in entries} == {"M1"}
    assert sum(entry.seen or 0 for entry in found.by_cell["shop/web", CART]) > 0


def test_one_namespace_has_its_clients_and_what_concerns_them(index: MeshIndex) -> None:
    found = survey(index, "pay")
    assert found.matrix.rows == ("pay/payments",)
    assert {entry.client for entry in found.findings} == {"pay/payments"}
    servers = survey(index, "shop/cart")
    assert {entry.client for entry in servers.findings} >= {"shop/web", "pay/payments"}


@pytest.mark.parametrize("target", ["cart", "cart.shop", "cart.shop.svc.cluster.local:80", "cart:80"])
def test_one_pair_by_any_name_that_its_client_resolves(index: MeshIndex, target: str) -> None:
    found = survey_of_pair(index, "shop/web", target)
    assert found.matrix.rows == ("shop/web",)
    assert found.matrix.columns == (CART,)
    assert [entry.pattern.name for entry in found.findings][:1] == ["M1"]


@pytest.mark.parametrize("target", ["payments", "cart", "Cart.shop", "cart.shop.svc.cluster.local"])
def test_the_command_and_the_view_find_the_same(
    target: str, index: MeshIndex, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    main(["mtls", "shop/web", "--to", target, "--recording", str(FIXTURES / "pine.tar.xz"), "-o", "json"])
    printed = json.loads(capsysbinary.readouterr().out)
    found = survey_of_pair(index, "shop/web", target)
    assert [(cell["client"], cell["host"], cell["port"]) for cell in printed["cells"]] == [
        ("shop/web", *column) for column in found.matrix.columns
    ]
    assert {(entry["pattern"], entry["server"]) for entry in printed["disagreements"]} == {
        (entry.pattern.name, entry.server) for entry in found.findings
    }


def test_who_is_not_there_is_said(index: MeshIndex) -> None:
    with pytest.raises(NothingMatches, match="nobody"):
        survey(index, "nobody")
    with pytest.raises(NothingMatches, match="shop/nobody"):
        survey_of_pair(index, "shop/nobody", "cart")
    with pytest.raises(NothingMatches, match="cart:81"):
        survey_of_pair(index, "shop/web", "cart:81")
    with pytest.raises(NothingMatches, match=r"carts.*did you mean cart\.shop:80"):
        survey_of_pair(index, "pay/payments", "carts")
