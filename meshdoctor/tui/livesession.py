"""A cluster that is looked at while it changes: facts are read for the view in sight, and stay when reading fails.

What a view used is noted in its `Look`. A look that wants news reads again what the view asks for, once; whatever
cannot be read stays as it was, with its age. Nothing here ends the application: troubles are kept for the header and
tried again, each time after a longer wait.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from rich.text import Text

from meshdoctor.errors import SourceError, UsageError
from meshdoctor.guide.examination import Examination
from meshdoctor.kube.errors import Busy, ClusterError, CredentialError, Unauthorized
from meshdoctor.kube.retry import backoff
from meshdoctor.kube.settings import Retry
from meshdoctor.mesh.case import parse_question
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model import wants as ask
from meshdoctor.model.kinds import KINDS
from meshdoctor.model.snapshot import Fact, Missing, Origin, Snapshot, Want
from meshdoctor.present.freshness import BUSY, LOGIN, LOST, Freshness, Trouble, freshness_text
from meshdoctor.sources.live import LiveSource
from meshdoctor.sources.live_watch import Watched
from meshdoctor.tui.examined import ExaminedSession
from meshdoctor.tui.look import Look

if TYPE_CHECKING:
    from meshdoctor.present.words import Words
    from meshdoctor.tui.router import Location

T = TypeVar("T")

AGAIN = Retry(base=1.0, cap=60.0)
"""Waits between two tries to reach a cluster that does not answer."""
SHARE = 20
"""A view is read again after this many times as long as reading it took: at most a twentieth of the time is reading."""
REFRESHED = frozenset(("mesh", "proxy", "log"))
"""Views that are kept up to date; the others examine much at once, and do so when a person asks."""
WATCHED = ("Pod", "Namespace", "MutatingWebhookConfiguration")
"""Kinds that are watched while a view in sight uses them. Each watch holds one of few connections."""
_LASTING = (ask.ProxyServerInfo, ask.ControlPlaneVersion, ask.Mesh)
"""What hardly changes while a pod lives, and is not read again to refresh a view."""
_PASSING = ("failed", "timeout", "not logged in")
"""Reasons that another try may mend."""

Connect = Callable[[str], LiveSource]
"""A source for the context of this name ("" for the one that was asked for), not opened. Raises ClusterError."""


class Contexts(NamedTuple):
    """What the kubeconfig names now."""

    names: Sequence[str]
    current: str


class Recording(Protocol):
    """A file that is being written in the background."""

    file: Path
    moments: int
    problem: str

    @property
    def is_running(self) -> bool:
        """Whether more moments will come."""

    def stop(self, *, at_once: bool = False) -> None:
        """Finish the file."""


Record = Callable[[str], Recording]
"""Begins to record the context of this name. Raises MeshDoctorError."""


class LiveSession(ExaminedSession):
    """A session on a cluster. Its constructor raises ClusterError when the kubeconfig names none."""

    live = True

    def __init__(
        self,
        connect: Connect,
        contexts: Callable[[], Contexts] = lambda: Contexts((), ""),
        record: Record | None = None,
        *,
        client: str = "",
        target: str = "",
        home: str = "guide",
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._connect = connect
        self._contexts = contexts
        self._record = record
        self.recording: Recording | None = None
        """What is being recorded now."""
        self._cluster = connect("")
        self.context = self._cluster.target.context
        super().__init__(self._name(), lambda: self._cluster, client=client, target=target, kind="live", home=home)
        self._clock = clock
        self._draw = draw
        self._trouble: Trouble | None = None
        self._tries = 0
        self._heard_at = float("-inf")
        self._mesh: MeshIndex | None = None
        self._asked: dict[Want[Any], float] = {}
        self._examined_at = float("-inf")
        self._watches: dict[str, Callable[[], None]] = {}
        self._watched: dict[str, Watched] = {}
        self.changes = 0
        """Counts what the watches told."""
        self._closed = False

    def _name(self) -> str:
        return self._cluster.target.context or self._cluster.target.server

    # For the event loop: nothing here waits.

    @property
    def key_scopes(self) -> tuple[str, ...]:
        """The keys that only a cluster has."""
        return ("live",)

    @property
    def now(self) -> float:
        """The moment that ages count from."""
        return self._clock()

    def clock(self) -> float:
        """As every look is timed."""
        return self._clock()

    @property
    def troubled(self) -> bool:
        """Whether the cluster does not answer."""
        return self._trouble is not None

    @property
    def trouble(self) -> Trouble | None:
        """What keeps the cluster from being read."""
        return self._trouble

    @property
    def interval(self) -> float:
        """Seconds between two refreshes of a view that is quickly read."""
        return self._cluster.settings.refresh

    @property
    def asks_person(self) -> bool:
        """Whether logging in runs a program that may ask something."""
        return self._cluster.target.user.exec is not None

    def names(self, route: str) -> Sequence[str]:
        """As every session; the contexts are those of the kubeconfig now."""
        if route == "context":
            try:
                return self._contexts().names
            except ClusterError:
                return ()
        return super().names(route)

    def refreshes(self, location: Location) -> bool:
        """Whether this view is kept up to date; a log that was opened at a line stays as it is."""
        at_line = location.name == "log" and any(word.isdigit() for word in location.argument.split()[1:])
        return location.name in REFRESHED and not at_line

    def period(self, look: Look | None) -> float:
        """Seconds after which what *look* gathered is read again."""
        return max(self.interval, SHARE * look.seconds if look else 0.0)

    def due(self, location: Location, look: Look | None, changes: int, *, empty: bool) -> bool:
        """Whether a view that *look* gathered, when the watches had told *changes*, is to be gathered again."""
        now = self._clock()
        if look is None or look.ended is None:
            return False  # it is about to be
        if self._trouble is not None:
            return now >= self._trouble.again_at
        told = changes != self.changes and now - look.ended >= max(1.0, look.seconds)
        wanted = empty or self.refreshes(location)
        return wanted and (told or now - look.begun >= self.period(look))

    def freshness(
        self,
        words: Words,
        look: Look | None = None,
        reading_since: float | None = None,
        failing_since: float | None = None,
    ) -> str | Text:
        """How old the facts of *look* are, what is wrong and since when."""
        oldest = look.oldest if look else None
        period = self.period(look) if look and look.renew else 0.0
        fresh = Freshness(oldest, period, reading_since, self._trouble, failing_since)
        text = freshness_text(fresh, self._clock(), words)
        if self.recording is not None:
            recorded = words(
                "live.rec" if self.recording.is_running else "live.rec_ended", count=self.recording.moments
            )
            return Text.assemble((recorded, "title"), "  ", text)
        return text

    def prepare(self) -> None:
        """While the terminal is still the shell's: a login program may ask there."""
        if self.asks_person:
            try:
                self._cluster.authenticate(terminal=True)
            except ClusterError as error:
                self._note(error)  # the header says it, and `A` tries again

    # In a thread. Whoever reads holds the lock; the source itself may be exchanged meanwhile.

    @contextmanager
    def mesh(self, wants: Iterable[Want[Any]] = ()) -> Iterator[MeshIndex]:
        """The index, with *wants* as new as the look of this thread wants them, for this thread alone."""
        asked = tuple(dict.fromkeys(wants))
        with self._lock:
            mesh = self._with(self._base(), asked)
            look = self.looking.current
            for want in asked if look else ():
                assert look is not None
                fact = mesh.snapshot.get(want)
                if isinstance(want, ask.Objects):
                    look.kinds.add(want.kind)
                if isinstance(fact, Fact) and not isinstance(want, _LASTING):
                    look.saw(fact.origin.read_at)
            yield mesh

    def _base(self) -> MeshIndex:
        """What every view needs: which pods there are, and all objects.

        Raises:
            SourceError: they cannot be read; with the RBAC rule that is missing.
        """
        if self._mesh is None:
            self._trust()
            snapshot = self._read(_base_wants(), Snapshot(self._cluster.info, {}))
            self._require_pods(snapshot)
            self._mesh = MeshIndex(snapshot)
            self._learn_names(self._mesh)
        return self._mesh

    def _require_pods(self, snapshot: Snapshot) -> None:
        contents = snapshot.get(ask.Contents())
        if isinstance(contents, Missing):
            raise SourceError(str(contents))

    def _with(self, mesh: MeshIndex, wants: Iterable[Want[Any]]) -> MeshIndex:
        old = mesh.snapshot
        look = self.looking.current
        due = [want for want in wants if self._is_due(want, old, look)]
        heard = {want: fact for want in due if (fact := self._heard(want, old)) is not None}
        asked = [want for want in due if want not in heard]
        if not due:
            return mesh
        kept: dict[Want[Any], Fact[Any]] = {}
        new = old.without(due)
        try:
            if asked:
                self._trust()
                new = self._read(asked, new)
        except ClusterError as error:
            # Shown as unread now, and asked for again at the next look.
            unread = {want: Missing("failed", str(error)) for want in old.lacks(asked)}
            return MeshIndex(old.updated(unread).updated(heard)) if unread else mesh
        for want in asked:
            before, now = old.get(want), new.get(want)
            if isinstance(now, Missing) and isinstance(before, Fact):
                kept[want] = before
                if look:
                    look.kept = look.kept or str(now)
        snapshot = new.updated(kept).updated(heard)
        replaced = any(old.has(want) for want in due)
        if replaced:
            mesh = self._mesh = MeshIndex(snapshot)
        else:
            mesh.extend(snapshot)
        if ask.Contents() in due:
            self._learn_names(mesh, self._examination)
        return mesh

    def _is_due(self, want: Want[Any], known: Snapshot, look: Look | None) -> bool:
        if not known.has(want):
            return True
        if look is None or self._asked.get(want, float("-inf")) >= look.begun:
            return False
        fact = known.get(want)
        if isinstance(fact, Missing):
            return look.renew or fact.reason in _PASSING
        return look.renew and not isinstance(want, _LASTING)

    def _heard(self, want: Want[Any], known: Snapshot) -> Fact[Any] | None:
        """What a watch says, which is true now while the watch is."""
        if not isinstance(want, ask.Objects):
            return None
        state, before = self._watched.get(want.kind), known.get(want)
        if state is None or state.lost or isinstance(before, Missing):
            return None
        return Fact(state.objects, Origin(before.origin.file, self._clock()), before.problems)

    def _read(self, wants: Iterable[Want[Any]], known: Snapshot) -> Snapshot:
        wants = list(wants)
        found = self._ask(lambda cluster: cluster.read(wants, known))
        now = self._clock()
        self._asked.update(dict.fromkeys(wants, now))
        failed = [fact for want in wants if isinstance(fact := found.get(want), Missing) and fact.reason in _PASSING]
        if not failed:
            self._heard_at = now
            return found
        refused = next((fact for fact in failed if fact.reason == "not logged in"), None)
        try:
            self._ask(LiveSource.open)  # is it the cluster, or just what was asked for?
        except ClusterError as error:
            self._note(error)
        else:
            if refused is not None:
                self._note(CredentialError(refused.detail))
        return found

    def _ask(self, question: Callable[[LiveSource], T]) -> T:
        try:
            return question(self._cluster)
        except CancelledError:
            raise SourceError("the reading was broken off", "another connection took its place") from None

    # The way to the cluster.

    def check(self) -> None:
        """Try whether the cluster answers; the header tells. Raises ClusterError."""
        with self._lock, self.looking.at(Look(self._clock(), renew=True)):
            self._trust()

    def _trust(self) -> None:
        """Make sure that the cluster answers before more is asked of it. Raises ClusterError."""
        look, trouble = self.looking.current, self._trouble
        if trouble is None and self._clock() - self._heard_at < self.interval / 2:
            return
        if trouble is not None and not (look and look.renew) and self._clock() < trouble.again_at:
            raise ClusterError(trouble.error)
        try:
            if trouble is not None and trouble.kind == LOGIN:
                self._exchange(self._connect(self.context))  # the kubeconfig may hold a new credential by now
            self._ask(LiveSource.open)
        except ClusterError as error:
            self._note(error)
            raise
        self._well()

    def _well(self) -> None:
        self._trouble, self._tries, self._heard_at = None, 0, self._clock()

    def _note(self, error: ClusterError) -> None:
        kind = LOST
        if isinstance(error, Unauthorized | CredentialError):
            kind = LOGIN
        elif isinstance(error, Busy):
            kind = BUSY
        now, before = self._clock(), self._trouble
        since = before.since if before and before.kind == kind else now
        # Half of the wait is sure and half is drawn, so that many who lost the same server do not return as one.
        wait = max(1.0, backoff(AGAIN, self._tries, lambda: 0.5 + self._draw() / 2))
        self._tries += 1
        self._trouble = Trouble(kind, since, str(error), now + wait)

    def _exchange(self, cluster: LiveSource) -> None:
        old, self._cluster = self._cluster, cluster
        self._stop_watches()
        old.close()  # whoever still waits for an answer there is told so

    def authenticate(self, *, terminal: bool) -> None:
        """Log in anew, as the kubeconfig says now; *terminal*: whether a login program may ask there.

        Raises:
            ClusterError: it did not succeed; the old connection stays.
        """
        cluster = self._connect(self.context)
        try:
            cluster.authenticate(terminal=terminal)
            cluster.open()
        except ClusterError as error:
            cluster.close()
            self._note(error)
            raise
        self._exchange(cluster)
        self._well()

    def switch(self, context: str) -> None:
        """Look at another context of the kubeconfig; nothing of the cluster before stays.

        Raises:
            ClusterError: there is none of this name.
        """
        cluster = self._connect(context)
        self.context = cluster.target.context
        self._exchange(cluster)
        with self._lock:
            self._forget()
            self._mesh, self._trouble, self._tries = None, None, 0
            self._names = {}
            self._asked.clear()
            self._heard_at = self._examined_at = float("-inf")
            self.title = self._name()

    def close(self) -> None:
        """The application ends."""
        self._closed = True
        if self.recording is not None:
            self.recording.stop(at_once=True)
        self._stop_watches()
        self._cluster.close()

    def start_recording(self) -> Recording:
        """Record what the cluster looks like from now on.

        Raises:
            MeshDoctorError: it cannot be recorded here.
        """
        if self._record is None:
            raise UsageError("nothing can be recorded here", "use `meshdoctor record`")
        self.recording = self._record(self.context)
        return self.recording

    def stop_recording(self) -> Recording | None:
        """Finish the file; waits for the moment that is being recorded."""
        recorded = self.recording
        if recorded is not None:
            recorded.stop()
            self.recording = None
        return recorded

    # Watches.

    def follow(self, look: Look) -> None:
        """Watch what the view in sight used."""
        for kind in WATCHED:
            if kind in look.kinds and kind not in self._watches and not self._closed and self._trouble is None:
                try:
                    self._watches[kind] = self._cluster.watch(kind, self._tell)
                except CancelledError:
                    return  # the source was closed meanwhile

    def _tell(self, state: Watched) -> None:
        before = self._watched.get(state.kind)
        self._watched[state.kind] = state
        if before is not None and before.objects != state.objects:
            self.changes += 1

    def _stop_watches(self) -> None:
        watches, self._watches, self._watched = self._watches, {}, {}
        for stop in watches.values():
            stop()

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
        if self._examination is None:
            start = self._base().snapshot
        else:
            self._trust()
            start = Snapshot(self._cluster.info, {})
        examination = Examination(self._read, start, parse_question(self._client, self._target))
        if self._trouble is not None:
            raise SourceError(self._trouble.error)
        self._require_pods(examination.mesh.snapshot)
        self._examined_at = begun
        self._mesh = MeshIndex(examination.mesh.snapshot)
        self._learn_names(self._mesh, examination)
        return examination

    def once(self, key: object, make: Callable[[], T]) -> T:
        """Made anew each time: the facts below may be others."""
        self._made[key] = None
        return make()

    def has_made(self, key: object) -> bool:
        """Whether a view showed it before, so that it need not come in parts again."""
        return key in self._made

    def _no_proxy(self, name: str) -> str:
        return f"no running pod {name} with a proxy"


def _base_wants() -> list[Want[Any]]:
    return [ask.Contents(), ask.Mesh(), *(ask.Objects(kind.name) for kind in KINDS)]
