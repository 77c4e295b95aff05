"""What the event loop may ask of a session on a cluster: nothing here waits for the cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from meshdoctor.kube.errors import ClusterError
from meshdoctor.present.freshness import Freshness, freshness_text
from meshdoctor.tui.examined import ExaminedSession
from meshdoctor.tui.kubeconfigwatch import Contexts, Kubeconfig, KubeconfigWatch

if TYPE_CHECKING:
    from meshdoctor.present.words import Words
    from meshdoctor.tui.clusterlink import ClusterLink
    from meshdoctor.tui.livereadings import LiveReadings, Recording
    from meshdoctor.tui.look import Look
    from meshdoctor.tui.router import Location

TOLD_SHARE = 4
"""After news from a watch a view is gathered again once this many times as long as the last gathering took is over."""
REFRESHED = frozenset(("mesh", "proxy", "log"))
"""Views that are kept up to date; the others examine much at once, and do so when a person asks."""


class LiveGlance(ExaminedSession):
    """How old the facts in sight are, what is due, and where kubectl looks."""

    live = True
    recording: Recording | None
    """What is being recorded now."""
    _link: ClusterLink
    _clock: Callable[[], float]
    _moments: LiveReadings
    _kubeconfig: Kubeconfig | None
    _kubeconfig_watch: KubeconfigWatch | None

    @property
    def changes(self) -> int:  # type: ignore[override]
        """Counts what the watches told."""
        return self._link.changes

    @property
    def context(self) -> str:
        """The context of the kubeconfig that is looked at."""
        return self._link.context

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
        return self._link.trouble is not None

    @property
    def asks_person(self) -> bool:
        """Whether logging in runs a program that may ask something."""
        return self._link.asks_person

    def names(self, route: str) -> Sequence[str]:
        """As every session; the contexts are those of the kubeconfig now."""
        if route == "context":
            try:
                return self.contexts().names
            except ClusterError:
                return ()
        return self._moments.names if route == "moment" else super().names(route)

    def refreshes(self, location: Location) -> bool:
        """Whether this view is kept up to date; a log that was opened at a line stays as it is."""
        at_line = location.name == "log" and any(word.isdigit() for word in location.argument.split()[1:])
        return location.name in REFRESHED and not at_line

    def period(self, look: Look | None) -> float:
        """Seconds after which what *look* gathered is read again."""
        return max(self._link.interval, look.period if look else 0.0)

    def due(self, location: Location, look: Look | None, changes: int, *, empty: bool) -> bool:
        """Whether a view that *look* gathered, when the watches had told *changes*, is to be gathered again."""
        now = self._clock()
        if look is None or look.ended is None:
            return False  # it is about to be
        if self._link.trouble is not None:
            return now >= self._link.trouble.again_at
        rested = now - look.ended >= max(1.0, 0.0 if look.hindered else TOLD_SHARE * look.seconds)
        old = now >= (look.begun + self._link.interval if look.again_at is None else look.again_at)
        told = changes != self.changes and now >= look.news_at
        return (empty or self.refreshes(location)) and rested and (old or told)

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
        fresh = Freshness(oldest, period, reading_since, self._link.trouble, self._link.cluster.answered, failing_since)
        text = freshness_text(fresh, self._clock(), words)
        if self.recording is not None:
            recorded = words(
                "live.rec" if self.recording.is_running else "live.rec_ended", count=self.recording.moments
            )
            return Text.assemble((recorded, "title"), "  ", text)
        return text

    def contexts(self) -> Contexts:
        """What the kubeconfig names now. Raises ClusterError."""
        return self._kubeconfig.contexts() if self._kubeconfig else Contexts((), "")

    @property
    def elsewhere(self) -> str:
        """The context that kubectl uses since another shell chose it; "" when it is the one that is shown."""
        return self._kubeconfig_watch.elsewhere if self._kubeconfig_watch else ""
