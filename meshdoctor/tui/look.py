"""One gathering of a view: whether it wants news, and what it used, for the header and for the next refresh."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Look:
    """Made when a view begins to gather; its thread's reads are noted in it. Times in Unix seconds."""

    def __init__(self, begun: float, *, renew: bool = False, by_itself: bool = False) -> None:
        self.begun = begun
        self.renew = renew
        """Whether facts that were read before it began are read again."""
        self.by_itself = by_itself
        """Nobody asked for it: of those, only facts that have grown old, and what a watch told."""
        self.ended: float | None = None
        self.oldest: float | None = None
        self.kinds: set[str] = set()
        """Kinds of objects that were used."""
        self.kept: str = ""
        """Why a fact is the one of an earlier look; empty when none is."""
        self.hindered = False
        """Whether it waited for a cluster that did not answer: how long it took says nothing of what it costs."""
        self.again_at: float | None = None
        """When the first of the facts that were used is to be read again; None when none is ever."""
        self.period = 0.0
        """The longest time between two readings of a fact that was used, in seconds."""
        self.news_at = 0.0
        """Until when news of a watch are not worth another look."""

    def saw(self, read_at: float | None) -> None:
        """A fact of this age was used."""
        if read_at is not None:
            self.oldest = read_at if self.oldest is None else min(self.oldest, read_at)

    def used(self, asked_at: float, period: float) -> None:
        """A fact was used that was read at *asked_at* and is read again after *period* seconds."""
        again = asked_at + period
        self.again_at = again if self.again_at is None else min(self.again_at, again)
        self.period = max(self.period, period)

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.begun if self.ended is not None else 0.0


class Looking:
    """The look of the thread that asks."""

    def __init__(self) -> None:
        self._local = threading.local()

    @property
    def current(self) -> Look | None:
        """The look that this thread gathers for."""
        return getattr(self._local, "look", None)

    @contextmanager
    def at(self, look: Look) -> Iterator[None]:
        """Note what this thread reads in *look*."""
        self._local.look = look
        try:
            yield
        finally:
            self._local.look = None
