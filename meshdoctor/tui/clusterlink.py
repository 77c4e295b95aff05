"""The way to a cluster, kept up: what is wrong with it since when, when it is tried again, credentials, watches.

Nothing here ends the application. A trouble is told by an exception to whoever reads, and kept for the header; each
further try comes after a longer wait.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from typing import TypeVar

from meshdoctor.errors import SourceError
from meshdoctor.kube.errors import Busy, ClusterError, CredentialError, KubeconfigError, Unauthorized
from meshdoctor.kube.retry import backoff
from meshdoctor.kube.settings import Retry
from meshdoctor.model.snapshot import Missing
from meshdoctor.present.freshness import BUSY, LOGIN, LOST, Trouble
from meshdoctor.sources.live import LiveSource
from meshdoctor.sources.live_watch import Watched
from meshdoctor.tui.journal import BACK, LINK, Journal, note_unread

T = TypeVar("T")

AGAIN = Retry(base=1.0, cap=60.0)
"""Waits between two tries to reach a cluster that does not answer."""
WATCHED = ("Pod", "Namespace", "MutatingWebhookConfiguration")
"""Kinds that are watched while a view in sight uses them. Each watch holds one of few connections."""
PASSING = ("failed", "timeout", "not logged in")
"""Reasons of a missing fact that another try may mend."""

Connect = Callable[[str], LiveSource]
"""A source for the context of this name ("" for the one that was asked for), not opened. Raises ClusterError."""


class ClusterLink:
    """One source at a time. Attributes may be read from any thread; `trust` and `read` by one thread at a time."""

    def __init__(
        self,
        connect: Connect,
        clock: Callable[[], float],
        draw: Callable[[], float] = random.random,
        journal: Journal | None = None,
    ) -> None:
        """Raises ClusterError when the kubeconfig names no cluster."""
        self.journal = journal or Journal(clock)
        self.cluster = connect("")
        self.context = self.cluster.target.context
        self.trouble: Trouble | None = None
        self.changes = 0
        """Counts what the watches told."""
        self._connect = connect
        self._clock = clock
        self._draw = draw
        self._tries = 0
        self._heard_at = float("-inf")
        self._watches: dict[str, Callable[[], None]] = {}
        self._watched: dict[str, Watched] = {}
        self._closed = False

    @property
    def name(self) -> str:
        """What is looked at."""
        return self.cluster.target.context or self.cluster.target.address

    @property
    def interval(self) -> float:
        """Seconds between two refreshes of what is quickly read; between two tries, at least half of it."""
        return self.cluster.settings.refresh

    @property
    def asks_person(self) -> bool:
        """Whether logging in runs a program that may ask something."""
        return self.cluster.target.user.exec is not None

    def ask(self, question: Callable[[LiveSource], T]) -> T:
        """What *question* gets from the source.

        Raises:
            SourceError: the source was exchanged or closed meanwhile.
        """
        try:
            return question(self.cluster)
        except CancelledError:
            raise SourceError("the reading was broken off", "another connection took its place") from None

    def trust(self, *, now: bool) -> None:
        """Make sure that the cluster answers before more is asked of it; *now*: even before it is time to try again.

        Raises:
            ClusterError: it does not, or did not when it was tried last.
        """
        trouble = self.trouble
        if trouble is None and self._clock() - self._heard_at < self.interval / 2:
            return
        if trouble is not None and not now and self._clock() < trouble.again_at:
            raise ClusterError(trouble.error)
        try:
            if trouble is not None and trouble.kind == LOGIN:
                self._exchange(self._reconnected())  # the kubeconfig may hold a new credential by now
            self.ask(LiveSource.open)
        except ClusterError as error:
            self._note(error)
            raise
        self._well()

    def _reconnected(self) -> LiveSource:
        """The same cluster as the kubeconfig says now. Raises ClusterError: its context names another one by now."""
        cluster = self._connect(self.context)
        if cluster.target.server == self.cluster.target.server:
            return cluster
        cluster.close()
        raise KubeconfigError(
            f"context {self.context} now names another cluster ({cluster.target.address})", f":context {self.context}"
        )

    def judge(self, missing: Iterable[Missing]) -> None:
        """After a read: is it the cluster that fails, or just what was asked for?"""
        missing = tuple(missing)
        note_unread(self.journal, missing)
        failed = [fact for fact in missing if fact.reason in PASSING]
        if not failed:
            self._heard_at = self._clock()
            return
        refused = next((fact for fact in failed if fact.reason == "not logged in"), None)
        try:
            self.ask(LiveSource.open)
        except ClusterError as error:
            self._note(error)
        else:
            if refused is not None:
                self._note(CredentialError(refused.detail))

    def _well(self) -> None:
        if self.trouble is not None:
            self.journal.note(BACK, str(int(self._clock() - self.trouble.since)))
        self.trouble, self._tries, self._heard_at = None, 0, self._clock()

    def _note(self, error: ClusterError) -> None:
        kind = LOST
        if isinstance(error, Unauthorized | CredentialError | KubeconfigError):
            kind = LOGIN
        elif isinstance(error, Busy):
            kind = BUSY
        now, before = self._clock(), self.trouble
        since = before.since if before and before.kind == kind else now
        # Half of the wait is sure and half is drawn, so that many who lost the same server do not return as one.
        self.journal.note(LINK, str(error))
        wait = max(1.0, backoff(AGAIN, self._tries, lambda: 0.5 + self._draw() / 2))
        self._tries += 1
        self.trouble = Trouble(kind, since, str(error), now + wait)

    def _exchange(self, cluster: LiveSource) -> None:
        old, self.cluster = self.cluster, cluster
        self._stop_watches()
        old.close()  # whoever still waits for an answer there is told so

    def prepare(self) -> None:
        """While the terminal is still the shell's: a login program may ask there."""
        if self.asks_person:
            try:
                self.cluster.authenticate(terminal=True)
            except ClusterError as error:
                self._note(error)  # the header says it, and `A` tries again

    def authenticate(self, *, terminal: bool) -> None:
        """Log in anew, as the kubeconfig says now; *terminal*: whether a login program may ask there.

        Raises:
            ClusterError: it did not succeed; the old connection stays.
        """
        cluster = self._reconnected()
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
        """Go to another context of the kubeconfig. Raises ClusterError when there is none of this name."""
        cluster = self._connect(context)
        self.context = cluster.target.context
        self._exchange(cluster)
        self.trouble, self._tries, self._heard_at = None, 0, float("-inf")

    def close(self) -> None:
        """Whoever still reads is to stop."""
        self._closed = True
        self._stop_watches()
        self.cluster.close()

    # Watches.

    def follow(self, kinds: Iterable[str]) -> None:
        """Watch those of *kinds* that are worth a connection."""
        for kind in WATCHED:
            if kind in kinds and kind not in self._watches and not self._closed and self.trouble is None:
                try:
                    self._watches[kind] = self.cluster.watch(kind, self._tell)
                except CancelledError:
                    return  # the source was closed meanwhile

    def heard(self, kind: str) -> Watched | None:
        """What a watch says, which is true now while the watch is."""
        state = self._watched.get(kind)
        return None if state is None or state.lost else state

    def _tell(self, state: Watched) -> None:
        before = self._watched.get(state.kind)
        self._watched[state.kind] = state
        if before is not None and before.objects != state.objects:
            self.changes += 1

    def _stop_watches(self) -> None:
        watches, self._watches, self._watched = self._watches, {}, {}
        for stop in watches.values():
            stop()
