"""Proxies that are not simply a pod that one istiod lists: machines, other clusters, revisions without an istiod."""

from __future__ import annotations

import msgspec
import pytest

from meshdoctor.mesh.revisions import Revisions, revisions
from meshdoctor.mesh.sync import CONNECTED, DISCONNECTED, NEVER_CONNECTED, NO_ISTIOD, UNKNOWN, IstiodFacts, sync_status
from meshdoctor.model.istio import WorkloadEntry
from meshdoctor.model.istiod import ResourceSync, SyncRecord
from meshdoctor.model.kubernetes import Condition, ContainerStatus, Pod, PodStatus, WebhookConfiguration
from meshdoctor.model.meta import Meta
from meshdoctor.model.snapshot import PodRef
from tests.mesh.test_sync import NOW, OK, istiod, pod, record, typed

KNOWN = Revisions()


def entry(name: str, **annotations: str) -> WorkloadEntry:
    metadata = {"name": name, "namespace": "vms", "annotations": {f"istio.io/{k}": v for k, v in annotations.items()}}
    return msgspec.convert({"metadata": metadata}, WorkloadEntry)


def discovery(name: str, *, ready: bool) -> Pod:
    return Pod(
        metadata=Meta(name=name, namespace="istio-system"),
        status=PodStatus(container_statuses=[ContainerStatus("discovery", ready)]),
    )


def elsewhere(proxy: str, cluster: str) -> SyncRecord:
    return msgspec.structs.replace(record(proxy), cluster_id=cluster)


def test_a_proxy_of_another_cluster_is_as_good_as_one_of_this() -> None:
    found = sync_status([istiod(record("web.shop"), elsewhere("cart.shop", "west"))], [pod("web")], KNOWN, NOW)
    assert [(one.name, one.state, one.cluster, one.notes, one.problem) for one in found] == [
        ("cart.shop", CONNECTED, "west", (), False),
        ("web.shop", CONNECTED, "Kubernetes", (), False),
    ]


def test_a_machine_is_known_by_its_workload_entry() -> None:
    facts = [istiod(record("web.shop"), record("vm-1.vms"), record("gone.shop"))]
    found = {one.name: one.notes for one in sync_status(facts, [pod("web")], KNOWN, NOW, machines=[entry("vm")])}
    assert found["vm-1.vms"] == ()
    assert found["gone.shop"] == ("no such pod: it left, or it is a virtual machine",)


def test_a_machine_that_lost_istiod_is_shown_as_long_as_istiod_remembers_it() -> None:
    left = entry("vms-10.0.0.9", workloadController="istiod-a", disconnectedAt="2026-11-23T09:59:00Z")
    written = entry("by-hand")
    there = entry("vms-10.0.0.8", workloadController="istiod-a", connectedAt="2026-11-23T09:00:00Z")
    (found,) = sync_status([istiod()], [], KNOWN, NOW, machines=[left, written, there])
    assert (found.name, found.kind, found.state) == ("vms-10.0.0.9.vms", "sidecar", DISCONNECTED)
    assert "disconnected at 2026-11-23T09:59:00Z" in found.notes[0]


def test_an_istiod_that_is_there_and_not_ready_is_none() -> None:
    silent = IstiodFacts("istiod-a", None, why="timeout")
    (found,) = sync_status([silent], [pod("web"), discovery("istiod-a", ready=False)], KNOWN, NOW)[:1]
    assert found.state == NO_ISTIOD
    ready = sync_status([silent], [pod("web"), discovery("istiod-a", ready=True)], KNOWN, NOW)
    assert (ready[0].state, "timeout" in ready[0].notes[0]) == (UNKNOWN, True)


def test_an_istiod_outside_the_cluster_is_not_missing() -> None:
    labels = {"istio.io/rev": "default"}
    webhooks = [{"clientConfig": {"url": "https://istiod.example.com/inject"}}]
    known = revisions([WebhookConfiguration(metadata=Meta(name="w", labels=labels), webhooks=webhooks)], [])
    (found,) = sync_status([], [pod("web")], known, NOW)
    assert (found.state, found.notes) == (UNKNOWN, ("what istiod says of its proxies is not in this source",))


def test_a_revision_without_an_istiod() -> None:
    found = sync_status([istiod(record("web.shop"), revision="1-29")], [pod("old", revision="1-27")], KNOWN, NOW)
    old = next(one for one in found if one.name == "old.shop")
    assert (old.state, old.notes) == (NO_ISTIOD, ("no istiod of its revision 1-27 is there, only of 1-29",))
    moved = sync_status([istiod(record("old.shop"), revision="1-29")], [pod("old", revision="1-27")], KNOWN, NOW)
    assert moved[0].notes == ("wrong revision: injected by 1-27, connected to 1-29",)


@pytest.mark.parametrize(
    ("changed", "deleted", "state", "says"),
    [
        ("2026-11-23T09:00:00Z", "", NEVER_CONNECTED, "its proxy is not ready"),
        ("2026-11-23T09:30:00Z", "", DISCONNECTED, "its pod was ready, so it was connected; now its proxy is not"),
        ("2026-11-23T09:00:00Z", "2026-11-23T09:59:00Z", DISCONNECTED, "its pod is being deleted"),
    ],
)
def test_never_connected_and_disconnected(changed: str, deleted: str, state: str, says: str) -> None:
    made = pod("web", ready=False)
    status = msgspec.structs.replace(
        made.status,
        start_time="2026-11-23T09:00:00Z",
        conditions=[Condition(type="Ready", status="False", last_transition_time=changed)],
    )
    metadata = msgspec.structs.replace(made.metadata, deletion_timestamp=deleted or None)
    (found,) = sync_status([istiod()], [msgspec.structs.replace(made, status=status, metadata=metadata)], KNOWN, NOW)
    assert found.state == state
    assert found.notes[0].startswith(says)


def test_every_envoy_gets_clusters_first() -> None:
    silent = typed("web.shop", {"CDS": ResourceSync(), "LDS": OK})
    (found,) = sync_status([istiod(silent)], [pod("web")], KNOWN, NOW)
    assert found.word == "ODD"
    assert found.notes[0].startswith("connected, but istiod has sent it no clusters")
    (ztunnel,) = sync_status([istiod(typed("z.shop", {"WDS": OK}))], [pod("z", "ztunnel")], KNOWN, NOW)
    assert ztunnel.notes == ()


def test_revisions_and_istiods_are_one_mesh() -> None:
    canary = istiod(record("b.shop"), name="istiod-canary", revision="canary")
    facts = [istiod(record("a.shop")), canary, IstiodFacts("istiod-c", None, "canary", why="forbidden")]
    pods = [pod("a"), pod("b", revision="canary"), pod("c", revision="canary")]
    found = sync_status(facts, pods, KNOWN, NOW, {PodRef("shop", "d"): "proxy"})
    assert [(one.name, one.state, one.istiod) for one in found] == [
        ("a.shop", CONNECTED, "istiod-a"),
        ("b.shop", CONNECTED, "istiod-canary"),
        ("c.shop", UNKNOWN, ""),
        ("d.shop", UNKNOWN, ""),
    ]
    assert found[2].notes == ("istiod-c did not say which proxies it has: forbidden",)
