"""When each fact of a cluster is read again: by a clock of the test, from a source that only counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from meshdoctor.kube.errors import Unreachable
from meshdoctor.model import wants as ask
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.meta import Meta
from meshdoctor.model.snapshot import Fact, Missing, Origin, PodRef, Snapshot, SourceInfo, Want
from meshdoctor.sources.live_watch import Watched
from meshdoctor.tui.livefacts import SHARE, SHARE_FAILING, LiveFacts
from meshdoctor.tui.look import Look

INTERVAL = 10.0
WEB = PodRef("shop", "web-1")
SYNC, PODS, INFO, READY = ask.SyncStatus("istiod-1"), ask.Objects("Pod"), ask.ProxyServerInfo(WEB), ask.ProxyReady(WEB)
MESH = (ask.Contents(), PODS, SYNC)


def pod(name: str) -> Pod:
    return Pod(metadata=Meta(name=name, namespace="shop"))


class Cluster:
    """A source, the way to it, and the time; what is wanted is answered after *seconds*."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.seconds = 0.1
        self.asked: list[Want[Any]] = []
        self.failing: dict[Want[Any], Missing] = {}
        self.watched: dict[str, Watched] = {}
        self.names = ["web-1"]
        self.down = False

    # The source.

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("cluster", "test")

    def read(self, wants: Iterable[Want[Any]], known: Snapshot) -> Snapshot:
        lacking = known.lacks(wants)
        self.asked += lacking
        self.now += self.seconds
        return known.updated({want: self.failing.get(want, self._fact(want)) for want in lacking})

    def _fact(self, want: Want[Any]) -> Fact[Any]:
        return Fact(self._value(want), Origin("file", self.now))

    def _value(self, want: Want[Any]) -> Any:
        if isinstance(want, ask.Contents):
            return ask.Inventory(proxies=tuple(PodRef("shop", name) for name in self.names), istiods=("istiod-1",))
        return tuple(map(pod, self.names)) if want == PODS else ()

    # The way to it.

    interval = INTERVAL

    @property
    def cluster(self) -> Cluster:
        return self

    def ask(self, question: Callable[[Any], Any]) -> Any:
        return question(self)

    def trust(self, *, now: bool) -> None:
        if self.down:
            raise Unreachable("no answer")

    def judge(self, missing: Iterable[Missing]) -> None:
        list(missing)

    def heard(self, kind: str) -> Watched | None:
        return self.watched.get(kind)

    def tell(self, *names: str) -> None:
        """A watch has news of the pods."""
        self.names = list(names)
        self.watched["Pod"] = Watched("Pod", tuple(map(pod, names)), self.now)


class Facts:
    """What looks find."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        link: Any = cluster
        self.facts: LiveFacts = LiveFacts(link, lambda: cluster.now)

    def look(self, wants: Iterable[Want[Any]] = MESH, **how: bool) -> tuple[list[Want[Any]], Look]:
        """What was asked of the cluster for a look, and the look."""
        self.cluster.asked.clear()
        look = Look(self.cluster.now, **how)
        self.mesh = self.facts.mesh(wants, look, (ask.Contents(), PODS))
        look.ended = self.cluster.now
        return list(self.cluster.asked), look

    def by_itself(self, wants: Iterable[Want[Any]] = MESH) -> list[Want[Any]]:
        """What a look that nobody asked for reads."""
        return self.look(wants, renew=True, by_itself=True)[0]

    def pods(self) -> list[str]:
        """The names of the known pods."""
        return [found.name for found in self.mesh.snapshot.value(PODS) or ()]


@pytest.fixture
def facts() -> Facts:
    return Facts(Cluster())


def test_a_fact_is_read_once_and_again_when_it_is_old_or_a_person_asks(facts: Facts) -> None:
    assert set(facts.look()[0]) == set(MESH)
    assert facts.look()[0] == []
    facts.cluster.now += INTERVAL / 2
    assert facts.by_itself() == []
    assert set(facts.look(renew=True)[0]) == set(MESH)
    facts.cluster.now += INTERVAL
    assert set(facts.by_itself()) == set(MESH)


def test_what_takes_long_to_read_is_read_less_often(facts: Facts) -> None:
    facts.cluster.seconds = 3.0
    _, look = facts.look()
    assert look.period == 3.0 * SHARE
    facts.cluster.now += 2 * SHARE
    assert facts.by_itself() == []
    facts.cluster.now += SHARE
    assert set(facts.by_itself()) == set(MESH)


def test_what_failed_is_tried_again_sooner_and_the_last_answer_stays(facts: Facts) -> None:
    facts.look((*MESH, READY))
    facts.cluster.now += INTERVAL
    facts.cluster.seconds = 5.0
    facts.cluster.failing[READY] = Missing("timeout", "no answer")
    assert READY in facts.by_itself((*MESH, READY))
    assert facts.mesh.snapshot.has(READY) and not isinstance(facts.mesh.snapshot.get(READY), Missing)
    facts.cluster.now += SHARE_FAILING * 5.0
    assert READY in facts.by_itself((READY,))


def test_what_hardly_changes_is_read_once(facts: Facts) -> None:
    facts.look((*MESH, INFO))
    facts.cluster.now += 100 * INTERVAL
    assert INFO not in facts.by_itself((*MESH, INFO))
    assert INFO not in facts.look((*MESH, INFO), renew=True)[0]


def test_news_of_a_watch_cost_no_list(facts: Facts) -> None:
    facts.look((ask.Contents(), PODS))
    facts.cluster.now += 1
    facts.cluster.tell("web-1", "web-2")
    assert facts.by_itself((ask.Contents(), PODS)) == [ask.Contents()]
    assert facts.pods() == ["web-1", "web-2"]


def test_what_a_watch_could_not_decode_stays_with_the_fact(facts: Facts) -> None:
    facts.look((ask.Contents(), PODS))
    facts.cluster.now += 1
    facts.cluster.tell("web-1")
    facts.cluster.watched["Pod"] = facts.cluster.watched["Pod"]._replace(problems=("shop/web-2: no text",))
    facts.by_itself((ask.Contents(), PODS))
    assert facts.mesh.known("Pod") and not facts.mesh.complete("Pod")


def test_pods_are_of_the_moment_of_what_istiod_says_of_them(facts: Facts) -> None:
    facts.cluster.seconds = 1.0
    _, look = facts.look()
    facts.cluster.tell("web-1", "web-2")
    facts.cluster.now += SHARE / 2
    assert facts.by_itself() == []
    assert facts.pods() == ["web-1"]
    assert look.news_at > facts.cluster.now
    facts.cluster.now = look.news_at
    assert SYNC in facts.by_itself()
    assert facts.pods() == ["web-1", "web-2"]


def test_a_quick_istiod_is_asked_again_on_news_before_the_interval_is_over(facts: Facts) -> None:
    facts.cluster.seconds = 0.01
    facts.look()
    facts.cluster.now += 2
    facts.cluster.tell("web-2")
    assert SYNC in facts.by_itself()
    assert facts.pods() == ["web-2"]


def test_what_was_read_of_pods_that_are_gone_is_forgotten(facts: Facts) -> None:
    facts.look((*MESH, INFO, READY))
    facts.cluster.names = ["web-2"]
    facts.look(renew=True)
    assert not facts.mesh.snapshot.has(INFO)
    assert not facts.mesh.snapshot.has(READY)
    assert all(getattr(want, "pod", None) != WEB for want in facts.facts._asked)


def test_facts_stay_while_the_cluster_does_not_answer(facts: Facts) -> None:
    facts.look()
    facts.cluster.down = True
    facts.cluster.now += 2 * INTERVAL
    assert facts.by_itself() == []
    assert facts.pods() == ["web-1"]
    facts.look((*MESH, READY), renew=True)
    assert facts.mesh.snapshot.get(READY) == Missing("failed", "no answer")


def test_more_is_read_when_a_view_needs_more(facts: Facts) -> None:
    facts.look()
    whole = facts.facts.mesh((), None)
    assert ask.Objects("Service") in facts.cluster.asked
    assert PODS not in facts.cluster.asked[3:]
    assert whole.snapshot.has(ask.Objects("Service"))
