"""unknown-host: what istiod's own rules of scope and visibility say about a host that a sidecar does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdoctor.mesh.visibility import sidecar_of
from meshdoctor.model.snapshot import PodRef
from tests.kube_objects import istio, pod
from tests.probes.depot import Depot, accuses, is_open
from tests.probes.test_routes import blocked, outside, scope, unaware

WIDE = {"egress": [{"hosts": ["./*", "books/*"]}]}


def test_of_two_sidecars_the_older_holds(tmp_path: Path) -> None:
    younger, older = istio("a-narrow", "depot", scope()["spec"], -600), istio("wide", "depot", WIDE, -7200)
    depot = blocked(unaware(Depot(tmp_path))).objects("Sidecar", younger, older)
    is_open(depot.ask("unknown-host"))
    younger, older = istio("a-wide", "depot", WIDE, -600), istio("narrow", "depot", scope()["spec"], -7200)
    depot = blocked(unaware(Depot(tmp_path / "b"))).objects("Sidecar", younger, older)
    accuses(depot.ask("unknown-host"), "host-outside-sidecar-scope", "Sidecar depot/narrow")


def test_what_exports_nothing_of_its_own_goes_where_the_mesh_says(tmp_path: Path) -> None:
    depot = blocked(unaware(Depot(tmp_path))).mesh(defaultServiceExportTo=["."])
    accuses(
        depot.ask("unknown-host"),
        "host-outside-sidecar-scope",
        "Service books/ledger",
        "ConfigMap istio-system/istio",
    )
    elsewhere = outside(unaware(Depot(tmp_path / "b"))).mesh(defaultServiceExportTo=["."])
    elsewhere.objects("ServiceEntry", istio("rates", "vault", {"hosts": ["rates.example.com"]}))
    accuses(elsewhere.ask("unknown-host"), "host-outside-sidecar-scope", "ServiceEntry vault/rates")


def test_an_own_export_wins_over_the_mesh_default(tmp_path: Path) -> None:
    depot = outside(unaware(Depot(tmp_path))).mesh(defaultServiceExportTo=["."])
    depot.objects("ServiceEntry", istio("rates", "vault", {"hosts": ["rates.example.com"], "exportTo": ["*"]}))
    is_open(depot.ask("unknown-host"))


@pytest.mark.parametrize("gateway", [True, False])
def test_a_gateway_has_no_sidecar_object(tmp_path: Path, gateway: bool) -> None:
    depot = Depot(tmp_path).objects("Pod", pod("door", "depot", "10.40.1.9", {"app": "door"}, gateway=gateway))
    found = sidecar_of(depot.objects("Sidecar", scope()).examination().mesh, PodRef("depot", "door"))
    assert (found is None) == gateway
