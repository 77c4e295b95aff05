"""What istiod's records say against a proxy: late acknowledgements, rejections, and who is in no record at all."""

from __future__ import annotations

from typing import Any

from meshdoctor.mesh.control_plane import absent_proxies, rejected, stale_records
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.sync_types import IN_FLIGHT
from meshdoctor.model import wants as ask
from meshdoctor.model.discovery import TYPE_URLS
from meshdoctor.model.istiod import ResourceSync, SyncRecord
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.snapshot import Fact, Missing, Origin, PodRef, Snapshot, SourceInfo
from tests.mesh.test_sync import NOW, SENT, pod, record

WEB = PodRef("shop", "web")


def mesh(*records: SyncRecord, pods: tuple[Pod, ...] = ()) -> MeshIndex:
    facts: dict[Any, Fact[Any] | Missing] = {
        ask.Contents(): Fact(ask.Inventory(istiods=("istiod-1",)), Origin("manifest.json")),
        ask.SyncStatus("istiod-1"): Fact(records, Origin("istiod/istiod-1/syncz.json")),
        ask.Objects("Pod"): Fact(pods, Origin("kube/core/v1/pods.json")),
    }
    return MeshIndex(Snapshot(SourceInfo("recording", "r"), facts))


def late(known: MeshIndex, now: float | None = NOW) -> list[str]:
    return [entry.says for entry in stale_records(known, WEB, now)]


def sent(entry: ResourceSync) -> SyncRecord:
    return record(CDS=ResourceSync("n", "n", SENT), EDS=entry)


def test_an_acknowledgement_is_late_once_an_answer_would_have_come() -> None:
    known = mesh(sent(ResourceSync("n2", "n1", SENT)))
    (said,) = late(known)
    assert said == "ClusterLoadAssignment was sent 40 s ago and never acknowledged"
    assert late(known, NOW - 40 + IN_FLIGHT - 1) == []
    assert late(known, NOW - 40 + IN_FLIGHT) != []
    assert late(known, None) == []


def test_a_rejected_type_is_not_late() -> None:
    known = mesh(sent(ResourceSync("n2", "n1", SENT, last_error="bad")))
    assert late(known) == []
    (found,) = rejected(known, WEB)
    assert (found.says, found.file) == ("ClusterLoadAssignment rejected: bad", "istiod/istiod-1/syncz.json")


def test_the_flat_fields_of_an_old_istiod_say_what_is_late_too() -> None:
    """istiod before 1.23 has no `resources`, and does not say when it sent anything."""
    old = SyncRecord("web.shop", istio_version="1.22.0", cluster_sent="a", cluster_acked="a", endpoint_sent="c")
    known = mesh(old)
    assert late(known) == ["ClusterLoadAssignment was sent and never acknowledged"]
    assert rejected(known, WEB) == []


def test_other_clients_of_istiod_are_no_proxies() -> None:
    """istioctl's own connection stands in syncz, without a version: nothing is known of proxies then."""
    istioctl = SyncRecord("istioctl-1.shop", resources={TYPE_URLS["CDS"]: ResourceSync("n", "n", SENT)})
    assert absent_proxies(mesh(istioctl, pods=(pod(),))) == {}
    found = absent_proxies(mesh(istioctl, record("cart.shop"), pods=(pod(),)))
    assert [(ref, entry.says) for ref, (entry,) in found.items()] == [
        (WEB, "shop/web is known to no istiod; 1 other proxies are")
    ]
