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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypeVar

from rich.text import Text
from textual.binding import BindingType
from textual.message import Message
from textual.worker import Worker, WorkerState, get_current_worker

from meshdoctor.errors import MeshDoctorError, SourceError
from meshdoctor.model.snapshot import Missing, Want
from meshdoctor.present.table import Cell
from meshdoctor.present.words import Words
from meshdoctor.tui.examined import ExaminedSession
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.look import Look
from meshdoctor.tui.router import Location
from meshdoctor.tui.shell import Shell
from meshdoctor.tui.shellscreen import ShellScreen

T = TypeVar("T")
V = TypeVar("V")

HEAVY = 0.1
"""Seconds of gathering after which so much was made that Python's cyclic collector should never walk it."""


@contextmanager
def without_collecting(*, keep: bool = True) -> Iterator[None]:
    """Gather without Python's cyclic garbage collector: it would walk all facts again and again as they are made.

    On a dump with 10,000 clusters that is half of the time. What a long gathering made is immutable and free of
    cycles, so it is set aside for good: a later collection would stop the screen for as long. What is not to *keep*,
    because newer facts will take its place, stays with the collector.
    """
    begun = time.monotonic()
    gc.disable()
    try:
        yield
    finally:
        if keep and time.monotonic() - begun > HEAVY:
            gc.freeze()
        gc.enable()


class GatheringFailed(MeshDoctorError):
    """A mistake of this program ended a gathering."""


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

    class Looked(Message):
        """The thread is done, with or without facts."""

        def __init__(self, look: Look, error: MeshDoctorError | None) -> None:
            super().__init__()
            self.look = look
            self.error = error

    BINDINGS: ClassVar[list[BindingType]] = bindings("live", "moments")
    session: ExaminedSession

    def __init__(self, session: ExaminedSession, location: Location, words: Words) -> None:
        super().__init__(session, location, words)
        self.facts: T | None = None
        self.shown_look: Look | None = None
        """What the facts in sight were gathered by."""
        self._look: Look | None = None
        self._generation = session.generation
        self._changes = session.changes
        self._failing_since: float | None = None
        self._problem = ""
        self._checking = False

    def gather(self) -> T:
        """The facts of the view; runs in a thread.

        Raises:
            MeshDoctorError: they cannot be had; the message line says why.
        """
        raise NotImplementedError

    def fact(self, want: Want[V], *, where: str = "") -> V:
        """The source's answer to one *want*; in a thread. *where* is told when a missing one names no file.

        Raises:
            SourceError: it is missing; the message says what and why.
        """
        with self.session.mesh([want]) as mesh:
            found = mesh.snapshot.get(want)
        if isinstance(found, Missing):
            raise SourceError(f"{found.file or where}: {found}")
        return found.value

    def show_facts(self, facts: T) -> None:
        """Show *facts*; runs on the event loop, again after every resize."""
        raise NotImplementedError

    def work(self) -> None:
        """Gather in a thread and tell; a view with progress tells more than once."""
        self.tell(self.gather())

    def tell(self, facts: T) -> None:
        """Hand *facts* from the thread to the view."""
        if not self.is_left:
            self.post_message(self.Gathered(facts))

    @property
    def is_left(self) -> bool:
        """Whether the view was closed or began anew while this thread works."""
        return get_current_worker().is_cancelled

    @property
    def is_reading(self) -> bool:
        """Whether a thread gathers."""
        return self._look is not None and self._look.ended is None

    def start(self, *, renew: bool = False, by_itself: bool = False) -> None:
        """Gather (anew); *renew*: not from what is known but from the source; *by_itself*: only what has grown old."""
        look = self._look = Look(self.session.clock(), renew=renew, by_itself=by_itself)
        self._changes = self.session.changes
        if self._generation != self.session.generation:
            self._generation = self.session.generation
            self.facts = self.shown_look = None
        self.run_worker(lambda: self._run(look), thread=True, exclusive=True, group="facts")
        self.refresh_context()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A mistake of the program ended the gathering: what is shown stays, and can be read again."""
        look = self._look
        if event.state == WorkerState.ERROR and event.worker.group == "facts" and look and look.ended is None:
            look.ended = self.session.clock()
            self.post_message(self.Looked(look, GatheringFailed(self.words("crash.gathering"))))

    def _run(self, look: Look) -> None:
        problem: MeshDoctorError | None = None
        session = self.session
        try:
            with without_collecting(keep=not session.live), session.looking.at(look):
                self.work()
        except MeshDoctorError as error:
            problem = error
        look.ended = session.clock()
        if not self.is_left:
            self.post_message(self.Looked(look, problem))

    def on_mount(self) -> None:
        """The first paint comes before any reading."""
        self.call_after_refresh(self.start)

    def on_screen_resume(self) -> None:
        """The view is in sight again; the source may be at another moment by now."""
        if self._generation != self.session.generation:
            self.start()

    def beat(self) -> None:
        """Once a second while the view is in sight: read again what is due."""
        session = self.session
        if not self.is_reading and session.due(self.location, self._look, self._changes, empty=self.facts is None):
            if self.facts is None or session.refreshes(self.location):
                self.start(renew=True, by_itself=True)
            elif not self._checking:
                self._checking = True
                self.run_worker(self._check, thread=True, group="check")
        super().beat()

    def _check(self) -> None:
        try:
            self.session.check()
        except MeshDoctorError as error:
            self.log.debug(error)  # the header says it, from the session
        finally:
            self._checking = False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """`A` sorts a table, but while the cluster does not answer it logs in."""
        if action == "log_in":
            return self.session.live and (self.session.troubled or not isinstance(self.focused, LineTable))
        return super().check_action(action, parameters)

    async def action_log_in(self) -> None:
        """`A`"""
        await self.app.run_action("app.log_in")

    def action_again(self) -> None:
        """Read what the view shows again, now."""
        self.start(renew=True)

    async def on_facts_screen_looked(self, message: Looked) -> None:
        """What was gathered is complete, or cannot be had."""
        look, error = message.look, message.error
        if look is not self._look:
            return
        problem = str(error) if error is not None else look.kept
        if error is None:
            self.shown_look = look
            self.session.follow(look)
            if isinstance(self.app, Shell):
                self.app.judge()
            if problem and problem != self._problem:
                self.say(problem, "warning")
        else:
            self.post_message(self.Failed(error))
        self._failing_since = (self._failing_since or look.begun) if problem else None
        self._problem = problem
        self.refresh_chrome()

    def freshness(self) -> Cell:
        """How old the facts in sight are."""
        since = self._look.begun if self._look is not None and self.is_reading else None
        return self.session.freshness(self.words, self.shown_look, since, self._failing_since)

    def counts(self) -> Sequence[Text]:
        """Whether requests fail and how the proxies are; that nobody has looked is not that nothing fails."""
        counts, session = self.session.counts, self.session
        if session.judged or any(count.plain == self.words("guide.now_failing") for count in counts):
            return counts
        word = "guide.not_run" if session.live else "guide.judging"
        return (Text(self.words(word), "quiet"), *counts)

    def key_scopes(self) -> tuple[str, ...]:
        """Those of the view and those of the source."""
        return (*self.SCOPES, *self.session.key_scopes, "app")

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
        from meshdoctor.present.explanation_text import wrap

        said = self.words.said(str(message.error))
        for table in self.query(LineTable):
            if self.facts is None:
                table.show(())
            table.say_when_empty("\n".join(wrap(said, width=max(20, self.app.size.width - 4))))
        self.say(said, "error")
