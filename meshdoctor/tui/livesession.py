"""A cluster as a session: facts are read for the view in sight, again and again, and stay when reading fails."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from meshdoctor.errors import SourceError, UsageError
from meshdoctor.guide.examination import Examination
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.overview import FEW, OVERVIEW_OBJECTS, ProxyState, overview, overview_wants
from meshdoctor.mesh.proxies import istiod_wants
from meshdoctor.mesh.question import parse_question
from meshdoctor.mesh.sample import MOST_PODS, spared
from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import Fact, Missing, PodRef, Want
from meshdoctor.present.mesh_rows import state_counts
from meshdoctor.tui.clusterlink import ClusterLink, Connect
from meshdoctor.tui.journal import Journal
from meshdoctor.tui.kubeconfigwatch import Kubeconfig, KubeconfigWatch, News
from meshdoctor.tui.livefacts import LiveFacts, require_pods
from meshdoctor.tui.liveglance import LiveGlance
from meshdoctor.tui.livereadings import LiveReadings, Recording
from meshdoctor.tui.look import Look

if TYPE_CHECKING:
    from meshdoctor.guide.comparison import Reading
    from meshdoctor.guide.diagnosis import Diagnosis
    from meshdoctor.present.words import Words

T = TypeVar("T")

LEARN_AGAIN = 10.0
"""Seconds after which the names that can be typed are those of newer pods."""
Record = Callable[[str], Recording]
"""Begins to record the context of this name. Raises MeshDoctorError."""


class LiveSession(LiveGlance):
    """A session on a cluster. Its constructor raises ClusterError when the kubeconfig names none."""

    def __init__(
        self,
        connect: Connect,
        kubeconfig: Kubeconfig | None = None,
        record: Record | None = None,
        *,
        client: str = "",
        target: str = "",
        home: str = "guide",
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        journal = Journal(clock)
        self._link = ClusterLink(connect, clock, draw, journal)
        super().__init__(
            self._link.name, lambda: self._link.cluster, client=client, target=target, kind="live", home=home
        )
        self.journal = journal
        self._kubeconfig = kubeconfig
        self._kubeconfig_watch = KubeconfigWatch(kubeconfig, lambda: self._link.cluster.target) if kubeconfig else None
        self._record = record
        self.recording: Recording | None = None
        """What is being recorded now."""
        self._clock = clock
        self._facts = LiveFacts(self._link, clock)
        self._moments = LiveReadings(self._facts, clock, lambda: self._link.trouble.error if self._link.trouble else "")
        self._examined_at = self._learned_at = float("-inf")

    # In a thread. Whoever reads holds the lock; the source itself may be exchanged meanwhile.

    @contextmanager
    def mesh(self, wants: Iterable[Want[Any]] = ()) -> Iterator[MeshIndex]:
        """The index, with *wants* as new as the look of this thread wants them, for this thread alone."""
        asked = tuple(wants)
        with self._lock:
            mesh = self._facts.mesh(asked, self.looking.current)
            if not self._names or (ask.Contents() in asked and self._clock() - self._learned_at >= LEARN_AGAIN):
                self._learned_at = self._clock()
                self._learn_names(mesh, self._examination)
            yield mesh

    def answer(self, want: Want[T]) -> Fact[T] | Missing:
        """As the cluster answers now; nothing else is asked."""
        with self._lock:
            look = self.looking.current
            self._facts.trust(look)
            found = self._facts.read([want], self._facts.nothing()).get(want)
        if look and isinstance(found, Fact):
            look.saw(found.origin.read_at)
        return found

    def spared(self, mesh: MeshIndex, wants: Iterable[Want[Any]], client: str, target: str = "") -> list[Want[Any]]:
        """As every session; in a large cluster of those that are meant and of some of each workload."""
        return spared(mesh, wants, client, target)

    def overview(self, words: Words, in_sight: Sequence[PodRef] | None = None) -> tuple[ProxyState, ...]:
        """As every session; in a large mesh only proxies *in_sight* are asked for their version (None: no proxy)."""
        with self._lock:
            look = self.looking.current
            known = self._facts.base(look, OVERVIEW_OBJECTS).inventory
            mesh = self._facts.mesh((*OVERVIEW_OBJECTS, *istiod_wants(known)), look, OVERVIEW_OBJECTS)
            there = set(mesh.inventory.proxies)
            asked = there if len(there) <= FEW else there.intersection(in_sight or ())
            wants = overview_wants(mesh.inventory, asked if in_sight is not None else ())
            mesh = self._facts.mesh(wants, look, OVERVIEW_OBJECTS)
            if not self._names or self._clock() - self._learned_at >= LEARN_AGAIN:
                self._learned_at = self._clock()
                self._learn_names(mesh, self._examination)
            found = overview(mesh, self.now)
        self._states = state_counts(found, words)
        return found

    # The way to the cluster.

    def check(self) -> None:
        """Try whether the cluster answers; the header tells. Raises ClusterError."""
        with self._lock:
            self._link.trust(now=True)

    def prepare(self) -> None:
        """While the terminal is still the shell's: a login program may ask there."""
        self._link.prepare()

    def authenticate(self, *, terminal: bool) -> None:
        """Log in anew; *terminal*: whether a login program may ask there. Raises ClusterError."""
        self._link.authenticate(terminal=terminal)

    def kubeconfig_news(self) -> Sequence[News]:
        """What another shell did to the kubeconfig since this was asked last."""
        return self._kubeconfig_watch.look() if self._kubeconfig_watch else ()

    def switch(self, context: str) -> None:
        """Look at another context of the kubeconfig; nothing of the cluster before stays.

        Raises:
            ClusterError: there is none of this name.
        """
        self._link.switch(context)
        with self._lock:
            self._forget()
            self._facts.forget()
            self._moments.forget()
            self._names = {}
            self._examined_at = self._learned_at = float("-inf")
            self.title = self._link.name

    def follow(self, look: Look) -> None:
        """Watch what the view in sight used."""
        self._link.follow(look.kinds)

    def close(self) -> None:
        """The application ends."""
        if self.recording is not None:
            self.recording.stop(at_once=True)
        self._link.close()

    def start_recording(self) -> Recording:
        """Record what the cluster looks like from now on.

        Raises:
            MeshDoctorError: it cannot be recorded here.
        """
        if self._record is None:
            raise UsageError("nothing can be recorded here", "use `meshdoctor record`")
        self.recording = self._moments.recording = self._record(self.context)
        return self.recording

    def stop_recording(self) -> Recording | None:
        """Finish the file; waits for the moment that is being recorded."""
        recorded = self.recording
        if recorded is not None:
            recorded.stop()
            self.recording = None
        return recorded

    # The guide.

    def examination(self) -> Examination:
        """The examination that was made last; a look that wants news makes another one.

        Raises:
            SourceError: the cluster cannot be read; the one before stays.
        """
        with self._lock:
            look, known = self.looking.current, self._examination
            if known is None or (look and look.renew and self._examined_at < look.begun):
                known = self._examination = self._examine()
            if look:
                look.saw(self._examined_at)
            return known

    def _examine(self) -> Examination:
        begun = self._clock()
        look = self.looking.current
        if self._examination is None:
            start = self._facts.base(look).snapshot
        else:
            self._facts.trust(look)
            start = self._facts.nothing()
        question = parse_question(self._client, self._target)
        examination = Examination(self._facts.read, start, question, most=MOST_PODS)
        if self._link.trouble is not None:
            raise SourceError(self._link.trouble.error)
        require_pods(examination.mesh.snapshot)
        self._examined_at = begun
        self._learn_names(self._facts.take(examination.mesh.snapshot), examination)
        return examination

    def note(self, diagnosis: Diagnosis, words: Words, *, whole: bool) -> None:
        """As every session; what was examined can be compared with what will be."""
        super().note(diagnosis, words, whole=whole)
        with self._lock:
            if whole and self._examination is not None and diagnosis.question is None:
                self._moments.keep(self._examined_at, self._examination.mesh.snapshot, diagnosis)

    def comparable(self, *, now: bool = False) -> tuple[str, ...]:
        """The moments of a recording under way, else what was read before.

        Raises:
            SourceError: the cluster cannot be read.
            UsageError: nothing was read before.
        """
        look = self.looking.current
        with self._lock:
            return self._moments.comparable(now=now, renew=look is not None and look.renew)

    def reading(self, moment: str) -> Reading:
        """One of them. Raises UsageError when there is none of this name."""
        with self._lock:
            return self._moments.of(moment)

    def once(self, key: object, make: Callable[[], T]) -> T:
        """Made anew each time: the facts below may be others."""
        self._made[key] = None
        return make()

    def has_made(self, key: object) -> bool:
        """Whether a view showed it before, so that it need not come in parts again."""
        return key in self._made

    def _no_proxy(self, name: str) -> str:
        return f"no running pod {name} with a proxy"
