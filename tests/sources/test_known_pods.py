"""The list of pods that everything else is read by."""

from __future__ import annotations

from meshdoctor.model.kubernetes import Container, Pod, PodSpec
from meshdoctor.model.meta import Meta
from meshdoctor.model.snapshot import Fact, Missing, Origin, Part, PodRef
from meshdoctor.sources.live_pods import LIST_SHARE, KnownPods, MeshPods

REFRESH = 10.0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def pod(name: str) -> Pod:
    return Pod(metadata=Meta(name=name, namespace="shop"), spec=PodSpec(containers=[Container(name="istio-proxy")]))


def listed(*names: str) -> Fact[tuple[Pod, ...]]:
    return Fact(tuple(map(pod, names)), Origin("kube/core/v1/pods.json"))


def proxies(known: KnownPods) -> set[PodRef]:
    found = known.sorted
    assert isinstance(found, MeshPods)
    return set(found.proxies)


def test_a_list_grows_old_unless_it_is_watched() -> None:
    clock = Clock()
    known = KnownPods(clock, REFRESH)
    assert known.is_old
    known.remember(listed("web-1"), "7")
    assert not known.is_old
    clock.now += REFRESH + 1
    assert known.is_old
    known.hear((pod("web-2"),), lost=False)
    clock.now += REFRESH + 1
    assert not known.is_old
    assert proxies(known) == {PodRef("shop", "web-2")}


def test_a_list_that_takes_long_is_not_made_again_so_soon() -> None:
    clock = Clock()
    known = KnownPods(clock, REFRESH)
    known.remember(listed("web-1"), "7", seconds=2.0)
    clock.now += 2.0 * LIST_SHARE
    assert not known.is_old
    clock.now += 1
    assert known.is_old


def test_what_was_heard_stays_when_the_watch_is_lost_and_is_old_at_once() -> None:
    clock = Clock()
    known = KnownPods(clock, REFRESH)
    known.hear((pod("web-1"),), lost=False)
    clock.now += REFRESH + 1
    known.hear((), lost=True)
    assert known.is_old
    assert proxies(known) == {PodRef("shop", "web-1")}
    known.hear((pod("web-1"),), lost=False)
    clock.now += REFRESH + 1
    known.hear_no_more()
    assert known.is_old


def test_pods_that_cannot_be_listed_are_asked_for_again() -> None:
    known = KnownPods(Clock(), REFRESH)
    why = Missing("forbidden", "no")
    known.remember(why, "")
    assert known.sorted == why
    assert known.is_old
    assert known.listing is None


def test_a_watch_goes_on_from_a_whole_list_only() -> None:
    known = KnownPods(Clock(), REFRESH)
    assert known.listing is None
    known.remember(listed("web-1"), "7")
    assert known.listing is not None
    assert known.listing.resource_version == "7"
    assert [found.name for found in known.listing.items] == ["web-1"]
    known.remember(listed("web-1"), "")  # of some namespaces
    assert known.listing is None
    known.remember(listed("web-1"), "8")
    known.hear((pod("web-2"),), lost=False)
    assert known.listing is None


def test_a_list_of_which_something_was_not_decoded_is_listed_anew_by_a_watch() -> None:
    known = KnownPods(Clock(), REFRESH)
    known.remember(listed("web-1")._replace(problems=("item 1: no text",)), "7")
    assert known.listing is None
    assert proxies(known) == {PodRef("shop", "web-1")}


def test_a_pod_of_a_namespace_that_was_not_listed_may_exist() -> None:
    known = KnownPods(Clock(), REFRESH)
    known.remember(listed("web-1")._replace(part=Part(("shop",), "forbidden")), "")
    found = known.sorted
    assert isinstance(found, MeshPods)
    assert found.absent(PodRef("shop", "web-2")) == Missing("no such pod", "shop/web-2 is not in the cluster")
    elsewhere = found.absent(PodRef("pay", "bank-1"))
    assert elsewhere.reason == "not asked for"
    assert elsewhere.detail == "pay/bank-1 may exist: pods were listed only of namespaces shop (forbidden)"
    assert found.absent(PodRef("", "istiod-1")).detail.startswith("istiod-1 may exist")
    known.hear((pod("web-1"),), lost=False)  # a watch is of all namespaces
    found = known.sorted
    assert isinstance(found, MeshPods)
    assert found.absent(PodRef("pay", "bank-1")).reason == "no such pod"


def test_pods_are_sorted_once() -> None:
    known = KnownPods(Clock(), REFRESH)
    known.remember(listed("web-1"), "7")
    assert known.sorted is known.sorted
