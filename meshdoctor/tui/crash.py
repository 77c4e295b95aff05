"""A mistake of this program ends as little as possible: one line says so, the traceback goes to a file of the user.

Never to the terminal: there it would be torn to pieces by the next frame, and Textual's own shows local values, which
are a cluster's data.
"""

from __future__ import annotations

import os
import platform
import time
import traceback
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from textual.message import Message
from textual.worker import WorkerFailed

from meshdoctor import __version__
from meshdoctor.model.text import visible
from meshdoctor.tui.journal import MISTAKE
from meshdoctor.tui.mistakes import begins
from meshdoctor.tui.shell import Shell

SURVIVED, WITHIN = 5, 10.0
"""So many mistakes within so many seconds are one that comes again and again: then the application ends."""


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where a program keeps what it writes for its user (XDG base directory specification, `XDG_STATE_HOME`)."""
    base = environ.get("XDG_STATE_HOME", "")
    home = Path(environ.get("HOME") or os.path.expanduser("~"))
    return (Path(base) if os.path.isabs(base) else home / ".local" / "state") / "meshdoctor"


def write_traceback(error: BaseException, view: str, environ: Mapping[str, str], now: float) -> str:
    """Keep the traceback of *error*, without local values, in a file that only the user reads; where it is, in words.

    Two mistakes of one second get two files. Where none can be written, the reason is told instead.
    """
    lines = [
        f"meshdoctor {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        f"view: {view}",
        "",
        *traceback.format_exception(error),
    ]
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    folder = state_folder(environ)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for number in range(1, 100):
            path = folder / (f"crash-{stamp}.txt" if number == 1 else f"crash-{stamp}-{number}.txt")
            try:
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            except FileExistsError:
                continue
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write("\n".join(visible(line.rstrip("\n")) for line in lines) + "\n")
            return _in_home(path, environ)
    except OSError as error_:
        return f"{folder}: {error_.strerror}"
    return str(folder)


def _in_home(path: Path, environ: Mapping[str, str]) -> str:
    home = environ.get("HOME", "")
    return f"~/{path.relative_to(home)}" if home and path.is_relative_to(home) else str(path)


def one_line(error: BaseException) -> str:
    """What kind of mistake, and its message without line ends and control characters."""
    text = "".join(c if c.isprintable() else "?" for c in " ".join(str(error).split()))[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class CrashSurvival(Shell):
    """Mixed into the application."""

    crash: Exception | None = None
    """The mistake that ended the application."""
    crash_file: str = ""
    """Where its traceback is."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self._mistakes: deque[float] = deque(maxlen=SURVIVED)

    async def _dispatch_message(self, message: Message) -> None:
        """What a key or a timer runs may fail; the next key is looked at all the same."""
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            if begins(message) or not self.survive(error):
                raise

    def survive(self, error: Exception) -> bool:
        """Tell of a mistake and go on; False where it comes again and again."""
        now = time.monotonic()
        if len(self._mistakes) == SURVIVED and now - self._mistakes[0] < WITHIN:
            return False
        self._mistakes.append(now)
        text = self.words("crash.line", file=self._keep(error), error=one_line(error))
        self.session.journal.note(MISTAKE, text)
        self.call_next(self.say, text, "error")  # after what failed may have closed its view
        return True

    def _keep(self, error: BaseException) -> str:
        location = str(self.view.location) if self.view else ""
        return write_traceback(error, location, os.environ, time.time())

    def _handle_exception(self, error: Exception) -> None:
        """A worker's mistake is told; a part of the screen that cannot be shown takes its view with it."""
        # What went wrong in a thread, not that a thread went wrong.
        cause = error.error if isinstance(error, WorkerFailed) else error
        mistake = cause if isinstance(cause, Exception) else error
        of_worker = isinstance(error, WorkerFailed)
        if self.crash is None and self.is_running and (of_worker or len(self.screen_stack) > 1):
            told = self.survive(mistake)
            if told and not of_worker:
                self.close_last_view()
            if told:
                return
        if self.crash is None:
            self.crash = mistake
            self.crash_file = self._keep(mistake)
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End without Textual's traceback, which shows local values (a cluster's data); `launch` says what happened."""
        self._close_messages_no_wait()
