"""The facts of a cluster as they are renewed: what a look wants anew is read once, what cannot be read stays.

Each fact is read again by itself after a time of its own: the refresh interval, or longer when reading it takes long.
What a watch tells costs nothing and is taken at every look; only where it is compared with what an istiod answers, both
must be of one moment, or each new pod of a rollout would look lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from meshdoctor.errors import SourceError
from meshdoctor.kube.errors import ClusterError
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model import wants as ask
from meshdoctor.model.kinds import KINDS
from meshdoctor.model.snapshot import Fact, Missing, Origin, Snapshot, Want
from meshdoctor.sources.live_watch import Watched
from meshdoctor.tui.clusterlink import PASSING, ClusterLink
from meshdoctor.tui.look import Look

LASTING = (ask.ProxyServerInfo, ask.ControlPlaneVersion, ask.Mesh)
"""What hardly changes while a pod lives, and is not read again to refresh a view."""
SHARE = 20
"""A fact is read again after this many times as long as reading it took: at most a twentieth of the time is reading."""
SHARE_FAILING = 3
"""The same for one that could not be read: waiting for what does not answer is no burden to anybody, and a person
waits for it to come back."""
TOGETHER = 0.75
"""What has reached this part of its time is read with what has reached all of it."""
NEWS = 1.0
"""Seconds between two readings of what is read again because of news."""
OBJECTS: tuple[Want[Any], ...] = (ask.Contents(), ask.Mesh(), *(ask.Objects(kind.name) for kind in KINDS))
"""What most views need: which pods there are, and all objects."""


class _Asked(NamedTuple):
    """When a fact was read last (Unix seconds), how many seconds that took, and whether it could not be read."""

    at: float
    seconds: float = 0.0
    failed: bool = False


class LiveFacts:
    """The newest known facts. For one thread at a time; an index that was handed out stays as it is."""

    def __init__(self, link: ClusterLink, clock: Callable[[], float]) -> None:
        self._link = link
        self._clock = clock
        self._mesh: MeshIndex | None = None
        self._asked: dict[Want[Any], _Asked] = {}

    def forget(self) -> None:
        """Another cluster is looked at."""
        self._mesh = None
        self._asked.clear()

    def take(self, snapshot: Snapshot) -> MeshIndex:
        """Go on from what an examination has read."""
        self._mesh = MeshIndex(snapshot)
        self._forget_gone()
        return self._mesh

    def base(self, look: Look | None, wants: Iterable[Want[Any]] = OBJECTS) -> MeshIndex:
        """What a view needs to begin with; *wants* are or hold `Contents`.

        Raises:
            SourceError: they cannot be read; with the RBAC rule that is missing.
        """
        lacking = self._mesh.snapshot.lacks(wants) if self._mesh else list(wants)
        if self._mesh is None or lacking:
            self.trust(look)
            snapshot = self.read(lacking, self._mesh.snapshot if self._mesh else self.nothing())
            require_pods(snapshot)
            self._mesh = MeshIndex(snapshot)  # indexes over fewer kinds of objects would not be true any more
        return self._mesh

    def nothing(self) -> Snapshot:
        """An empty snapshot of now."""
        return Snapshot(self._link.cluster.info, {})

    def trust(self, look: Look | None) -> None:
        """Make sure that the cluster answers. Raises ClusterError."""
        self._link.trust(now=look is not None and look.renew)

    def read(self, wants: Iterable[Want[Any]], known: Snapshot) -> Snapshot:
        """*known* with the answers to *wants* that it lacks, from the cluster."""
        wants = list(wants)
        begun = self._clock()
        found = self._link.ask(lambda cluster: cluster.read(wants, known))
        at = self._clock()
        passing = {want: _is_passing(found.get(want)) for want in wants}
        self._asked.update((want, _Asked(at, at - begun, failed)) for want, failed in passing.items())
        self._link.judge(fact for want in wants if isinstance(fact := found.get(want), Missing))
        return found

    def mesh(self, wants: Iterable[Want[Any]], look: Look | None, base: Iterable[Want[Any]] = OBJECTS) -> MeshIndex:
        """The index with *wants* as new as *look* wants them, and with *base*; what it used is noted in *look*.

        Raises:
            SourceError: not even the pods are known.
        """
        wants = tuple(dict.fromkeys(wants))
        mesh = self._with(self.base(look, base), wants, look)
        if look is not None:
            self._note(mesh, wants, look)
        return mesh

    def _note(self, mesh: MeshIndex, wants: Sequence[Want[Any]], look: Look) -> None:
        """What was used, how old it is, and when it is to be read again."""
        compared = any(isinstance(want, ask.SyncStatus) for want in wants)
        for want in wants:
            fact, asked = mesh.snapshot.get(want), self._asked.get(want)
            if isinstance(want, ask.Objects):
                look.kinds.add(want.kind)
            if isinstance(want, LASTING) and not (asked and asked.failed):
                continue
            if isinstance(fact, Fact):
                look.saw(fact.origin.read_at)
            if not (compared and self._watched(want)):  # those are renewed with what they are compared with
                look.used(asked.at if asked else look.begun, self._period(want))
            if isinstance(want, ask.SyncStatus) and asked:
                look.news_at = max(look.news_at, asked.at + TOGETHER * self._period(want, NEWS))

    def _period(self, want: Want[Any], least: float | None = None) -> float:
        """Seconds after which *want* is read again by itself: *least*, the refresh interval without it, or more."""
        least = self._link.interval if least is None else least
        asked = self._asked.get(want)
        return least if asked is None else max(least, (SHARE_FAILING if asked.failed else SHARE) * asked.seconds)

    def _with(self, mesh: MeshIndex, wants: Sequence[Want[Any]], look: Look | None) -> MeshIndex:
        old = mesh.snapshot
        due = self._due(wants, old, look)
        if not due:
            return mesh
        heard = {want: fact for want in due if (fact := self._heard(want, old)) is not None}
        asked = [want for want in due if want not in heard]
        new = old.without(due)
        try:
            if asked:
                self.trust(look)
                new = self.read(asked, new)
        except ClusterError as error:
            if look:
                look.hindered = True
            # Shown as unread now, and asked for again at the next look.
            unread = {want: Missing("failed", str(error)) for want in old.lacks(asked)}
            return MeshIndex(old.updated(unread).updated(heard)) if unread else mesh
        self._asked.update((want, _Asked(fact.origin.read_at or 0.0)) for want, fact in heard.items())
        kept: dict[Want[Any], Fact[Any]] = {}
        for want in asked:
            before, now = old.get(want), new.get(want)
            if isinstance(now, Missing) and isinstance(before, Fact):
                kept[want] = before
                if look:
                    look.kept = look.kept or str(now)
                    look.hindered = True
        snapshot = new.updated(kept).updated(heard)
        if any(old.has(want) for want in due):
            mesh = self._mesh = MeshIndex(snapshot)
            if ask.Contents() in due:
                mesh = self._forget_gone()
        else:
            mesh.extend(snapshot)
        return mesh

    def _due(self, wants: Sequence[Want[Any]], known: Snapshot, look: Look | None) -> list[Want[Any]]:
        """What of *wants* is to be read (again)."""
        due = [want for want in wants if self._is_due(want, known, look)]
        answers = [want for want in wants if isinstance(want, ask.SyncStatus)]
        if look is None or not look.by_itself or not answers or not all(known.has(want) for want in answers):
            return due
        # What a watch tells and what istiods answer are renewed together: on news, but not all the time.
        news = any(self._watched(want) and want in due for want in wants)
        if any(want in due for want in answers) or (news and all(self._rested(want, look.begun) for want in answers)):
            return list(dict.fromkeys((*due, *answers)))
        return [want for want in due if not self._watched(want)]

    def _is_due(self, want: Want[Any], known: Snapshot, look: Look | None) -> bool:
        if not known.has(want):
            return True
        asked = self._asked.get(want, _Asked(float("-inf")))
        if look is None or asked.at >= look.begun:
            return False
        missing = _is_passing(known.get(want))
        if not look.renew:
            return missing
        if isinstance(want, LASTING) and isinstance(known.get(want), Fact):
            return False
        if not look.by_itself:
            return True
        state = self._watched(want)
        news = state is not None and state.heard_at > asked.at
        return news or look.begun - asked.at >= TOGETHER * self._period(want)

    def _watched(self, want: Want[Any]) -> Watched | None:
        """What a watch tells about it; which pods there are follows from the pods."""
        return self._link.heard("Pod" if isinstance(want, ask.Contents) else getattr(want, "kind", ""))

    def _rested(self, want: Want[Any], now: float) -> bool:
        """Whether it may be read again because of news."""
        return now >= self._asked[want].at + TOGETHER * self._period(want, NEWS)

    def _heard(self, want: Want[Any], known: Snapshot) -> Fact[Any] | None:
        if not isinstance(want, ask.Objects):
            return None
        state, before = self._link.heard(want.kind), known.get(want)
        if state is None or isinstance(before, Missing):
            return None
        origin = Origin(before.origin.file, self._clock())
        return before._replace(value=state.objects, origin=origin, problems=state.problems)

    def _forget_gone(self) -> MeshIndex:
        """Without what was read of pods that exist no more: in a cluster that is looked at for days they add up."""
        assert self._mesh is not None
        snapshot = self._mesh.snapshot
        inventory = snapshot.value(ask.Contents()) or ask.Inventory()
        there = {None, *inventory.proxies, *inventory.ztunnels, *inventory.logs, *inventory.istiods}

        def gone(wants: Iterable[Want[Any]]) -> list[Want[Any]]:
            return [
                want for want in wants if any(getattr(want, of, None) not in there for of in ("pod", "log", "istiod"))
            ]

        for want in gone(self._asked):
            del self._asked[want]
        dropped = gone(snapshot.wants())
        if dropped:
            self._mesh = MeshIndex(snapshot.without(dropped))
        return self._mesh


def require_pods(snapshot: Snapshot) -> None:
    """Nothing can be said of a mesh without its pods. Raises SourceError with the reason why they are unknown."""
    contents = snapshot.get(ask.Contents())
    if isinstance(contents, Missing):
        raise SourceError(str(contents))


def _is_passing(fact: Fact[Any] | Missing) -> bool:
    """Whether another try may mend it."""
    return isinstance(fact, Missing) and fact.reason in PASSING
