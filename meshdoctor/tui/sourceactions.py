"""What keys and commands do to the source itself: log in again, another context, another moment."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.app import SuspendNotSupported
from textual.worker import get_current_worker

from meshdoctor.errors import MeshDoctorError
from meshdoctor.present.short_names import ends
from meshdoctor.tui.examined import ExaminedSession
from meshdoctor.tui.journal import KUBECONFIG, UNREAD
from meshdoctor.tui.shell import Shell

if TYPE_CHECKING:
    from meshdoctor.tui.livesession import LiveSession

SHORT = 30
"""Cells of a context's name in a line that says little else."""
BEAT = 1.0
"""Seconds between two looks at the clock: ages in the header, and whether the view is to be read again."""


@contextmanager
def _only_the_child_is_interrupted() -> Iterator[None]:
    """Ctrl-C at a login program ends that program, not this one (a handler, unlike SIG_IGN, is not inherited)."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class SourceActions(Shell):
    """Mixed into the application."""

    def start_beat(self) -> None:
        """A live source grows old by itself, and another shell may change the kubeconfig."""
        session = self._live_session()
        if session is not None:
            self.set_interval(BEAT, self.beat)
            self.set_interval(2 * BEAT, lambda: self._look_at_kubeconfig(session))

    def _look_at_kubeconfig(self, session: LiveSession) -> None:
        if not any(worker.group == "kubeconfig" and worker.is_running for worker in self.workers):
            self.run_worker(self._tell_kubeconfig(session), group="kubeconfig")

    async def _tell_kubeconfig(self, session: LiveSession) -> None:
        for news in await asyncio.to_thread(session.kubeconfig_news):
            if news.kind == "unreadable":
                session.journal.note(KUBECONFIG, news.detail)
                self.say(news.detail, "warning")
                continue
            key, names = f"kubeconfig.{news.kind}", (session.title, news.detail)
            session.journal.note(KUBECONFIG, self.words(key, shown=names[0], detail=names[1]))
            room = self.size.width - 2 - cell_len(self.words(key, shown="", detail=""))
            shown, detail = ends(names, room)
            self.say(self.words(key, shown=shown, detail=detail))
        if self.view:
            self.view.refresh_context()

    def judge(self) -> None:
        """What a recording says is there to be known; of a cluster the guide would read more than what is looked at."""
        session = self.session
        if not isinstance(session, ExaminedSession) or session.live or session.judged:
            return
        if not any(worker.group == "judge" and worker.is_running for worker in self.workers):
            self.run_worker(lambda: self._judge(session), thread=True, group="judge")

    def _judge(self, session: ExaminedSession) -> None:
        worker = get_current_worker()
        try:
            session.judge(self.words, lambda: worker.is_cancelled)
        except MeshDoctorError as error:
            session.journal.note(UNREAD, str(error))
            session.judged = True  # there is nothing that would not fail again
        if not worker.is_cancelled:
            self.call_later(self._judged)

    def _judged(self) -> None:
        if self.view:
            self.view.refresh_crumbs()
        self.judge()  # of another moment, where one was gone to meanwhile

    def beat(self) -> None:
        """Once every `BEAT`."""
        raise NotImplementedError

    def _live_session(self) -> LiveSession | None:
        session = self.session
        if isinstance(session, ExaminedSession) and session.live:
            from meshdoctor.tui.livesession import LiveSession

            return session if isinstance(session, LiveSession) else None
        return None

    def _required_live(self) -> LiveSession | None:
        """The session on a cluster; None, and said so, on a recording."""
        session = self._live_session()
        if session is None:
            self.say(self.words("live.not_live"))
        return session

    async def action_log_in(self) -> None:
        """`A`, `:login`: a new credential; the terminal is lent to a program that may ask for something."""
        session = self._required_live()
        if session is None:
            return
        try:
            if session.asks_person:
                try:
                    with self.suspend(), _only_the_child_is_interrupted():
                        session.authenticate(terminal=True)
                except SuspendNotSupported:
                    await asyncio.to_thread(session.authenticate, terminal=False)
            else:
                self.say(self.words("live.logging_in"))
                await asyncio.to_thread(session.authenticate, terminal=False)
        except MeshDoctorError as error:
            self.say(self.words.said(str(error)), "error")
            return
        self.say(self.words("live.logged_in"))
        self.gather_again(renew=True)

    async def action_context(self, name: str = "") -> None:
        """`:context NAME`: look at another cluster of the kubeconfig."""
        session = self._required_live()
        if session is None:
            return
        if not name:
            await self.go("contexts")
            return
        before = session.title
        try:
            await asyncio.to_thread(session.switch, name)
        except MeshDoctorError as error:
            self.say(self.words.said(str(error)), "error")
            return
        await self.close_views()
        self.gather_again()
        if session.recording is not None:
            self.say(self.words("live.still_recording", context=ends([before], SHORT)[0]))

    async def action_record(self) -> None:
        """`R`, `:record`: keep what the cluster looks like in a file, until it is pressed again."""
        session = self._required_live()
        if session is None:
            return
        try:
            if session.recording is None:
                begun = await asyncio.to_thread(session.start_recording)
                self.say(self.words("live.recording", file=str(begun.file)))
            else:
                self.say(self.words("live.finishing"))
                self.run_worker(self._finish_recording(session), group="record")
        except MeshDoctorError as error:
            self.say(self.words.said(str(error)), "error")

    async def _finish_recording(self, session: LiveSession) -> None:
        done = await asyncio.to_thread(session.stop_recording)
        if done is not None and done.problem:
            self.say(done.problem, "error")
        elif done is not None:
            self.say(self.words("live.recorded", count=done.moments, file=str(done.file)))

    # Moments of a recording.

    async def action_moment(self, step: int) -> None:
        """`,` and `.`: the moment before, the moment after."""
        session = self.session
        moments = session.moments if isinstance(session, ExaminedSession) else ()
        if not isinstance(session, ExaminedSession) or len(moments) < 2:
            self.say(self.words("moment.only"))
            return
        place = moments.index(session.moment) + step
        if 0 <= place < len(moments):
            await self._move(session, moments[place])
        else:
            self.say(self.words("moment.first" if step < 0 else "moment.last"))

    def action_ask_moment(self) -> None:
        """`T`: type a time; Tab completes the moments that there are."""
        self.ask_command("moment ")

    async def action_go_to_moment(self, moment: str) -> None:
        """`:moment TIME`: the last moment that is not after it."""
        session = self.session
        if not isinstance(session, ExaminedSession) or len(session.moments) < 2:
            self.say(self.words("moment.only"))
            return
        await self._move(session, moment)

    async def _move(self, session: ExaminedSession, moment: str) -> None:
        try:
            await asyncio.to_thread(session.move, moment)
        except MeshDoctorError as error:
            self.say(self.words.said(str(error)), "error")
            return
        self.gather_again()
