"""Run the application in a terminal and leave the terminal as it was, however the run ends.

Imports Textual only when a terminal is there to show it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from meshdoctor.errors import MeshDoctorError

if TYPE_CHECKING:
    from meshdoctor.tui.app import MeshDoctorApp
    from meshdoctor.tui.router import Route
    from meshdoctor.tui.session import Session

SLOW_ESCAPE_MS = "300"
"""Over SSH the bytes of an arrow key may come apart; Textual's 100 ms would read that as Esc and two letters."""

SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread that decodes data lets the screen go on (Python's own: 0.005)."""

COLLECT_AFTER = (4_000, 20, 100)
"""Python's cyclic collector walks every row of a table; at its own pace (700, 10, 10) that is felt between two keys."""


class NoTerminal(MeshDoctorError):
    """The application cannot be shown here."""


class ApplicationCrash(MeshDoctorError):
    """A mistake of the program ended the application."""


def require_terminal(environ: Mapping[str, str], elsewhere: Sequence[str]) -> None:
    """Refuse where a full-screen application would draw garbage or spin.

    Textual draws on standard error and reads standard input; with TERM=dumb it would send colours and cursor
    addressing. *elsewhere*: what `redirected` gives.

    Raises:
        NoTerminal: there is no terminal, or it cannot be addressed.
    """
    if elsewhere:
        what = "this" if len(elsewhere) == len(_STREAMS) else " and ".join(elsewhere)
        raise NoTerminal(f"{what} is no terminal", "run it in one, or use `meshdoctor diagnose` for plain text")
    if environ.get("TERM", "") == "dumb":
        raise NoTerminal("TERM=dumb cannot show it", "set TERM, or use `meshdoctor diagnose` for plain text")


_STREAMS = {"stdin": "standard input", "stdout": "standard output", "stderr": "standard error"}


def redirected() -> tuple[str, ...]:
    """Which of the three standard streams are no terminal."""
    streams = ((name, getattr(sys, stream)) for stream, name in _STREAMS.items())
    return tuple(name for name, stream in streams if stream is None or not stream.isatty())


def launch(
    session: Session,
    *,
    start: str = "",
    theme: str = "",
    mouse: bool = False,
    debug: bool = False,
    routes: Sequence[Route] | None = None,
) -> int:
    """Show *session* until the person leaves; returns the exit status (143 after SIGTERM, 129 after SIGHUP).

    The mouse is left to the terminal unless asked for, so that text can be selected as everywhere.

    Raises:
        NoTerminal, UsageError: it could not start.
        ApplicationCrash: it ended by a mistake of its own; the terminal is restored.
    """
    require_terminal(os.environ, redirected())
    for name in ("COLUMNS", "LINES"):  # exported by some shells; the application would never see a resize
        os.environ.pop(name, None)
    if os.environ.get("SSH_CONNECTION"):
        os.environ.setdefault("ESCDELAY", SLOW_ESCAPE_MS)
    from meshdoctor.tui.app import MeshDoctorApp
    from meshdoctor.tui.crash import one_line
    from meshdoctor.tui.router import ROUTES

    app = MeshDoctorApp(session, start=start, theme=theme, routes=ROUTES if routes is None else routes)
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.freeze()  # the modules themselves
    gc.set_threshold(*COLLECT_AFTER)
    asyncio.run(_run(app, mouse=mouse))
    _detach_lost_terminal()
    if app.crash is not None:
        if debug:
            traceback.print_exception(app.crash)
        raise ApplicationCrash(
            f"the application stopped on {one_line(app.crash)}",
            "the traceback is above" if debug else f"the traceback is in {app.crash_file}",
        )
    return app.return_code or 0


async def _run(app: MeshDoctorApp, *, mouse: bool) -> None:
    """Run *app*; a signal that would kill it ends it in order instead, so that the terminal is restored."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, app.exit, None, 128 + number)
    try:
        await app.run_async(mouse=mouse)
    finally:
        app.session.close()  # or the threads that still wait for an answer would be waited for
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)


def _detach_lost_terminal() -> None:
    """When the terminal is gone (SSH dropped), let nothing try to write to it: Python would end with status 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
