"""Which pods of a large mesh are looked at."""

from __future__ import annotations

from collections import Counter

import pytest

from meshdoctor.mesh import sample as subject
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.question import parse_question
from meshdoctor.mesh.sample import sample, spared
from meshdoctor.model import wants as ask
from meshdoctor.model.kubernetes import Container, ContainerStatus, Pod, PodSpec, PodStatus, Service, ServiceSpec
from meshdoctor.model.meta import Meta, OwnerReference
from meshdoctor.model.snapshot import Fact, Origin, PodRef, Snapshot, SourceInfo

WORKLOADS, EACH = 20, 5


def pod(app: str, number: int, *, role: str = "sidecar", restarts: int = 0) -> Pod:
    owner = OwnerReference(kind="ReplicaSet", name=f"{app}-5d4f8c7b9", controller=True)
    labels = {"app": app, "pod-template-hash": "5d4f8c7b9"}
    return Pod(
        metadata=Meta(name=f"{app}-{number}", namespace="shop", labels=labels, owner_references=[owner]),
        spec=PodSpec(containers=[Container(name="istio-proxy", args=["proxy", role])]),
        status=PodStatus(
            phase="Running", container_statuses=[ContainerStatus(name="istio-proxy", restart_count=restarts)]
        ),
    )


def mesh(*more: Pod) -> MeshIndex:
    pods = (*(pod(f"app{app}", number) for app in range(WORKLOADS) for number in range(EACH)), *more)
    refs = tuple(PodRef(one.namespace, one.name) for one in pods)
    service = Service(metadata=Meta(name="app3", namespace="shop"), spec=ServiceSpec(selector={"app": "app3"}))
    values = {
        ask.Contents(): ask.Inventory(proxies=refs, logs=tuple(ask.LogRef(ref, "istio-proxy") for ref in refs)),
        ask.Objects("Pod"): pods,
        ask.Objects("Service"): (service,),
    }
    facts = {want: Fact(value, Origin("file")) for want, value in values.items()}
    return MeshIndex(Snapshot(SourceInfo("cluster", "test"), facts))


def names(found: frozenset[PodRef] | None) -> set[str]:
    assert found is not None
    return {ref.name for ref in found}


def test_a_small_mesh_is_looked_at_as_a_whole() -> None:
    assert sample(mesh(), None, WORKLOADS * EACH) is None


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_every_workload_has_its_share(rounds: int) -> None:
    found = names(sample(mesh(), None, WORKLOADS * rounds))
    assert set(Counter(name.partition("-")[0] for name in found).values()) == {rounds}


def test_gateways_and_what_is_not_well_come_first() -> None:
    found = names(sample(mesh(pod("edge", 7, role="router"), pod("weak", 4, restarts=2)), None, 4))
    assert {"edge-7", "weak-4"} <= found
    assert len(found) == 4


def test_a_rollout_leaves_room_for_every_workload() -> None:
    found = names(sample(mesh(*(pod("weak", number, restarts=1) for number in range(50))), None, 28))
    assert sum(name.startswith("weak-") for name in found) == 28 // 4
    assert len({name.partition("-")[0] for name in found}) >= WORKLOADS


def test_who_is_asked_about_is_looked_at_whole() -> None:
    found = names(sample(mesh(), parse_question("shop/app9", "app3.shop:80"), 12))
    assert {f"app9-{number}" for number in range(EACH)} <= found
    assert {f"app3-{number}" for number in range(EACH)} <= found


def test_a_namespace_that_is_looked_at_comes_first() -> None:
    other = [pod("far", number).metadata.name for number in range(3)]
    pods = [Pod(metadata=Meta(name=name, namespace="far"), spec=pod("far", 0).spec) for name in other]
    assert set(other) <= names(sample(mesh(*pods), None, 3, "far"))


def test_what_is_of_a_pod_that_is_not_looked_at_is_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = PodRef("shop", "app3-0"), PodRef("shop", "app4-0")
    kept = [ask.Contents(), ask.ProxyConfig(one), ask.AccessLog(ask.LogRef(one, "istio-proxy"))]
    wants = [*kept, ask.ProxyConfig(two), ask.AccessLog(ask.LogRef(two, "istio-proxy"))]
    assert spared(mesh(), wants, "") == wants
    monkeypatch.setattr(subject, "MOST_PODS", EACH)
    assert spared(mesh(), wants, "shop/app3") == kept
    assert spared(mesh(), wants, "", "app3.shop:80") == kept
