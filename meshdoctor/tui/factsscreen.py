"""A view whose facts are gathered in a thread and arrive by message, so that keys and paint never wait for them.

class TrafficScreen(FactsScreen[tuple[FailingFlow, ...]]):
    def gather(self) -> tuple[FailingFlow, ...]:      # in a thread; the result is immutable
        return failing_flows(self.session.examination().traffic.cases)

    def show_facts(self, facts) -> None:               # on the event loop
        self.query_one(LineTable).show(traffic_rows(facts))
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from textual.message import Message
from textual.worker import get_current_worker

from meshdoctor.errors import MeshDoctorError
from meshdoctor.present.words import Words
from meshdoctor.tui.examined import ExaminedSession
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import Location
from meshdoctor.tui.shellscreen import ShellScreen

T = TypeVar("T")

HEAVY = 0.1
"""Seconds of gathering after which so much was made that Python's cyclic collector should never walk it."""


@contextmanager
def without_collecting() -> Iterator[None]:
    """Gather without Python's cyclic garbage collector: it would walk all facts again and again as they are made.

    On a dump with 10,000 clusters that is half of the time. What a long gathering made is immutable and free of
    cycles, so it is set aside for good: a later collection would stop the screen for as long.
    """
    begun = time.monotonic()
    gc.disable()
    try:
        yield
    finally:
        if time.monotonic() - begun > HEAVY:
            gc.freeze()
        gc.enable()


class FactsScreen(ShellScreen, Generic[T]):
    """Paints at once, then gathers, then shows."""

    class Gathered(Message):
        """What the thread found; a later one makes an earlier one needless."""

        def __init__(self, facts: Any) -> None:
            super().__init__()
            self.facts = facts

        def can_replace(self, message: Message) -> bool:
            """A burst of progress is shown once."""
            return isinstance(message, FactsScreen.Gathered)

    class Failed(Message):
        """What was asked for cannot be shown."""

        def __init__(self, error: MeshDoctorError) -> None:
            super().__init__()
            self.error = error

    session: ExaminedSession

    def __init__(self, session: ExaminedSession, location: Location, words: Words) -> None:
        super().__init__(session, location, words)
        self.facts: T | None = None

    def gather(self) -> T:
        """The facts of the view; runs in a thread.

        Raises:
            MeshDoctorError: they cannot be had; the message line says why.
        """
        raise NotImplementedError

    def show_facts(self, facts: T) -> None:
        """Show *facts*; runs on the event loop, again after every resize."""
        raise NotImplementedError

    def work(self) -> None:
        """Gather in a thread and tell; a view with progress tells more than once."""
        self.tell(self.gather())

    def tell(self, facts: T) -> None:
        """Hand *facts* from the thread to the view."""
        self.post_message(self.Gathered(facts))

    @property
    def is_left(self) -> bool:
        """Whether the view was closed or began anew while this thread works."""
        return get_current_worker().is_cancelled

    def start(self) -> None:
        """Gather (anew)."""
        self.run_worker(self._run, thread=True, exclusive=True, group="facts")

    def _run(self) -> None:
        try:
            with without_collecting():
                self.work()
        except MeshDoctorError as error:
            self.post_message(self.Failed(error))

    def on_mount(self) -> None:
        """The first paint comes before any reading."""
        self.call_after_refresh(self.start)

    def on_resize(self) -> None:
        """Lines are wrapped anew."""
        if self.facts is not None:
            self.show_facts(self.facts)

    async def on_facts_screen_gathered(self, message: Gathered) -> None:
        """Show what came, and what is now known of the source."""
        self.facts = message.facts
        self.show_facts(message.facts)
        self.refresh_chrome()

    def on_facts_screen_failed(self, message: Failed) -> None:
        """Say it; when the source itself cannot be used, leave, so that the command can say it."""
        if self.session.failure is not None:
            self.app.exit(return_code=self.session.failure.exit_status)
            return
        for table in self.query(LineTable):
            table.say_when_empty(str(message.error))
        self.say(str(message.error), "error")
