"""The application on incidents that ship, for the tests of the screens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from meshdoctor.commands.demo import Practice, practices
from meshdoctor.present.table import plain
from meshdoctor.present.words import Language, Words
from meshdoctor.sources.recording import RecordingSource
from meshdoctor.tui.app import MeshDoctorApp
from meshdoctor.tui.examined import ExaminedSession
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.textview import TextView

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


def practice(name: str) -> Practice:
    """One incident by its name."""
    return next(each for each in practices() if each.name == name)


def session(name: str, *, asked: bool = True) -> ExaminedSession:
    """A session on an incident that ships; with its question, or left to find failing traffic."""
    one = practice(name)
    client, target = (one.client, one.target) if asked else ("", "")
    return ExaminedSession(
        name, lambda: RecordingSource.open(FIXTURES / f"{name}.tar.xz"), client=client, target=target
    )


def application(name: str, *, start: str = "", language: Language = "en", asked: bool = True) -> MeshDoctorApp:
    """The application on an incident that ships."""
    return MeshDoctorApp(session(name, asked=asked), start=start, theme="md-dark", words=Words(language))


def screen_text(app: MeshDoctorApp) -> list[str]:
    """What is on the screen, line by line."""
    return ["".join(s.text for s in strip).rstrip() for strip in app.screen._compositor.render_strips()]


async def settled(pilot: Pilot[Any]) -> list[str]:
    """The screen once every thread has told what it found."""
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    assert isinstance(pilot.app, MeshDoctorApp)
    return screen_text(pilot.app)


def table_of(app: MeshDoctorApp) -> LineTable:
    """The table in sight."""
    return next(table for table in app.screen.query(LineTable) if table.display)


def column(app: MeshDoctorApp, key: str) -> list[str]:
    """The cells of one column of the table in sight, in the order shown."""
    table = table_of(app)
    index = next(i for i, each in enumerate(table.columns) if each.key == key)
    return [plain(row.cells[index]) for row in table.rows.shown]


def text_of(app: MeshDoctorApp) -> str:
    """What the text view holds."""
    return "\n".join(plain(line) for line in app.screen.query_one(TextView).lines)


def move_to(app: MeshDoctorApp, wanted: Callable[[str], bool]) -> None:
    """Put the cursor on the first row with a cell that is *wanted*.

    Raises:
        AssertionError: there is none.
    """
    table = table_of(app)
    row = next((row for row in table.rows.shown if any(wanted(plain(cell)) for cell in row.cells)), None)
    assert row is not None, [plain(cell) for row in table.rows.shown for cell in row.cells]
    table.move_to(row.key)
