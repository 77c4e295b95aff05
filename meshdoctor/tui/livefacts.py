"""The facts of a cluster as they are renewed: what a look wants anew is read once, what cannot be read stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from meshdoctor.errors import SourceError
from meshdoctor.kube.errors import ClusterError
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model import wants as ask
from meshdoctor.model.kinds import KINDS
from meshdoctor.model.snapshot import Fact, Missing, Origin, Snapshot, Want
from meshdoctor.tui.clusterlink import PASSING, ClusterLink
from meshdoctor.tui.look import Look

LASTING = (ask.ProxyServerInfo, ask.ControlPlaneVersion, ask.Mesh)
"""What hardly changes while a pod lives, and is not read again to refresh a view."""


class LiveFacts:
    """The newest known facts. For one thread at a time; an index that was handed out stays as it is."""

    def __init__(self, link: ClusterLink, clock: Callable[[], float]) -> None:
        self._link = link
        self._clock = clock
        self._mesh: MeshIndex | None = None
        self._asked: dict[Want[Any], float] = {}

    def forget(self) -> None:
        """Another cluster is looked at."""
        self._mesh = None
        self._asked.clear()

    def take(self, snapshot: Snapshot) -> MeshIndex:
        """Go on from what an examination has read."""
        self._mesh = MeshIndex(snapshot)
        return self._mesh

    def base(self, look: Look | None) -> MeshIndex:
        """What every view needs: which pods there are, and all objects.

        Raises:
            SourceError: they cannot be read; with the RBAC rule that is missing.
        """
        if self._mesh is None:
            self.trust(look)
            wants = [ask.Contents(), ask.Mesh(), *(ask.Objects(kind.name) for kind in KINDS)]
            snapshot = self.read(wants, self.nothing())
            require_pods(snapshot)
            self._mesh = MeshIndex(snapshot)
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
        found = self._link.ask(lambda cluster: cluster.read(wants, known))
        self._asked.update(dict.fromkeys(wants, self._clock()))
        self._link.judge(fact for want in wants if isinstance(fact := found.get(want), Missing))
        return found

    def mesh(self, wants: Iterable[Want[Any]], look: Look | None) -> MeshIndex:
        """The index with *wants* as new as *look* wants them; what it used is noted in *look*.

        Raises:
            SourceError: not even the pods are known.
        """
        wants = tuple(dict.fromkeys(wants))
        mesh = self._with(self.base(look), wants, look)
        for want in wants if look else ():
            assert look is not None
            fact = mesh.snapshot.get(want)
            if isinstance(want, ask.Objects):
                look.kinds.add(want.kind)
            if isinstance(fact, Fact) and not isinstance(want, LASTING):
                look.saw(fact.origin.read_at)
        return mesh

    def _with(self, mesh: MeshIndex, wants: Iterable[Want[Any]], look: Look | None) -> MeshIndex:
        old = mesh.snapshot
        due = [want for want in wants if self._is_due(want, old, look)]
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
            # Shown as unread now, and asked for again at the next look.
            unread = {want: Missing("failed", str(error)) for want in old.lacks(asked)}
            return MeshIndex(old.updated(unread).updated(heard)) if unread else mesh
        kept: dict[Want[Any], Fact[Any]] = {}
        for want in asked:
            before, now = old.get(want), new.get(want)
            if isinstance(now, Missing) and isinstance(before, Fact):
                kept[want] = before
                if look:
                    look.kept = look.kept or str(now)
        snapshot = new.updated(kept).updated(heard)
        if any(old.has(want) for want in due):
            if ask.Contents() in due:
                snapshot = snapshot.without(_gone(snapshot))
            mesh = self._mesh = MeshIndex(snapshot)
        else:
            mesh.extend(snapshot)
        return mesh

    def _is_due(self, want: Want[Any], known: Snapshot, look: Look | None) -> bool:
        if not known.has(want):
            return True
        if look is None or self._asked.get(want, float("-inf")) >= look.begun:
            return False
        fact = known.get(want)
        if isinstance(fact, Missing):
            return look.renew or fact.reason in PASSING
        return look.renew and not isinstance(want, LASTING)

    def _heard(self, want: Want[Any], known: Snapshot) -> Fact[Any] | None:
        if not isinstance(want, ask.Objects):
            return None
        state, before = self._link.heard(want.kind), known.get(want)
        if state is None or isinstance(before, Missing):
            return None
        return Fact(state.objects, Origin(before.origin.file, self._clock()), before.problems)


def require_pods(snapshot: Snapshot) -> None:
    """Nothing can be said of a mesh without its pods. Raises SourceError with the reason why they are unknown."""
    contents = snapshot.get(ask.Contents())
    if isinstance(contents, Missing):
        raise SourceError(str(contents))


def _gone(snapshot: Snapshot) -> list[Want[Any]]:
    """What was read of pods that exist no more: in a cluster that is looked at for days they would add up."""
    inventory = snapshot.value(ask.Contents()) or ask.Inventory()
    there = {None, *inventory.proxies, *inventory.ztunnels, *inventory.logs, *inventory.istiods}
    return [
        want
        for want in snapshot.wants()
        if any(getattr(want, of, None) not in there for of in ("pod", "log", "istiod"))
    ]
