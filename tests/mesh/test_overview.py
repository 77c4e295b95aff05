"""Every proxy on one page."""

from __future__ import annotations

from meshdoctor.mesh.overview import LOST, OK
from meshdoctor.present.mesh_rows import mesh_rows, state_counts
from meshdoctor.present.table import plain
from meshdoctor.present.words import Words
from tests.screens.shipped import session

WORDS = Words()


def test_a_proxy_that_no_istiod_knows_comes_first() -> None:
    found = session("cedar").overview(WORDS)
    assert [proxy.state for proxy in found] == [LOST] + [OK] * (len(found) - 1)
    assert found[0].pod.namespace == "shop"
    assert found[0].recorded
    assert found[0].envoy_version == "1.40.0"
    assert found[0].age is not None and 0 < found[0].age < 3600
    assert [text.plain for text in state_counts(found, WORDS)] == ["LOST 1"]


def test_rows_have_a_letter_per_type() -> None:
    found = session("pine").overview(WORDS)
    rows = mesh_rows(found, Words())
    assert {plain(row.cells[4]) for row in rows} <= {"++++-", "+++--", "++++0"}
    assert [text.plain for text in state_counts(found, WORDS)] == [f"{len(found)} synced"]
    assert all(row.target.startswith("proxy ") for row in rows)
    assert not any(row.problem for row in rows)


def test_gateways_and_sidecars_are_told_apart() -> None:
    kinds = {proxy.pod.name.partition("-")[0]: proxy.sync.kind for proxy in session("alder").overview(WORDS)}
    assert kinds["istio"] == "gateway"
    assert kinds["web"] == "sidecar"
