"""Mistakes of the program: what survives them, and what a person is told."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widget import Widget

from meshdoctor.model.snapshot import Missing
from meshdoctor.present.words import Words
from meshdoctor.tui.app import MeshDoctorApp
from meshdoctor.tui.crash import state_folder, write_traceback
from meshdoctor.tui.journal import MISTAKE, SAID, Journal, note_unread
from meshdoctor.tui.router import Route
from meshdoctor.tui.shellscreen import ShellScreen
from tests.screens.shipped import screen_text
from tests.tui.shell import ROUTES_HERE, PodScreen, Recording

pytestmark = pytest.mark.mistaken


class Clumsy(PodScreen):
    """A view with mistakes that keys, messages and threads make."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("x", "stumble", priority=True)]

    def action_stumble(self) -> None:
        raise KeyError("the shop")

    def on_click(self) -> None:
        raise IndexError("no such line")

    @work(thread=True)
    def think(self) -> None:
        raise RuntimeError("lost\nthe thread")


class Smudge(Widget):
    """Fails when it is painted."""

    def render_line(self, y: int) -> Strip:
        raise ZeroDivisionError


class Unpaintable(ShellScreen):
    """A view that cannot be drawn."""

    def compose_body(self) -> ComposeResult:
        yield Smudge()


ROUTES = (
    Route("clumsy", "tests.tui.test_crash:Clumsy", argument="NAME", required=True),
    Route("unpaintable", "tests.tui.test_crash:Unpaintable"),
    *ROUTES_HERE,
)


def make(start: str = "") -> MeshDoctorApp:
    session = Recording()
    session.journal = Journal(lambda: 1772532300.0)
    return MeshDoctorApp(session, start=start, theme="md-dark", words=Words("en"), routes=ROUTES)


def written(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.glob("crash-*.txt"))]


async def test_a_key_that_fails_leaves_the_view(no_mistake: Path) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await app.go(f"clumsy {app.session.names('pod')[0]}")
        await pilot.pause()
        before = screen_text(app)[2:22]
        await pilot.press("x")
        await pilot.pause()
        text = screen_text(app)
        assert text[22].startswith(" a mistake, see ")
        assert text[2:22] == before
        await pilot.press("q")
        assert app.view and app.view.location.name == "pod"
        assert (app.crash, app.is_running) == (None, True)
    assert any("KeyError: 'the shop'" in told and "view: clumsy" in told for told in written(no_mistake))


async def test_a_thread_that_fails_is_told() -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.go(f"clumsy {app.session.names('pod')[0]}")
        assert isinstance(app.view, Clumsy)
        app.view.think()
        await pilot.pause()
        await pilot.pause()
        assert "RuntimeError: lost the thread" in app.session.journal.entries()[0].text
        await pilot.press(*":errors", "enter")
        text = "\n".join(screen_text(app))
        assert "10:05:00 mistake" in text
        assert "RuntimeError: lost the thread" in " ".join(text.split())


async def test_a_view_that_cannot_be_made_is_closed() -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*":broken", "enter")
        await pilot.pause()
        text = screen_text(app)
        assert text[1].startswith(" pods[63]")
        assert "a mistake, see " in text[22]
        await pilot.press("j", "enter")
        assert screen_text(app)[1].startswith(" pods > pod ")
        assert app.is_running


async def test_a_view_that_cannot_be_painted_is_closed() -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*":unpaintable", "enter")
        await pilot.pause()
        await pilot.pause()
        assert app.view and app.view.location.name == "pods"
        assert "ZeroDivisionError" in app.session.journal.entries()[0].text


async def test_a_message_that_fails_leaves_the_view() -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.go(f"clumsy {app.session.names('pod')[0]}")
        app.screen.post_message(events.Click(app.screen, 1, 1, 0, 0, 1, False, False, False))
        await pilot.pause()
        assert "IndexError: no such line" in app.session.journal.entries()[0].text
        await pilot.press("j")
        assert app.view and app.view.location.name == "clumsy"


async def test_the_same_mistake_again_and_again_ends_the_application() -> None:
    app = make()
    with pytest.raises(ValueError, match="broken on purpose"):
        async with app.run_test(size=(80, 24)) as pilot:
            for _ in range(7):
                await pilot.press(*":broken", "enter")
                await pilot.pause()
    assert isinstance(app.crash, ValueError)


def test_the_traceback_is_only_for_its_user(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    secret = "a value of the cluster"
    try:
        raise ValueError(f"{len(secret)} characters\x1b[2J")
    except ValueError as error:
        places = [write_traceback(error, "mesh", environ, 1772532300.0) for _ in range(2)]
    assert places == [f"~/state/meshdoctor/crash-20260303T100500Z{each}.txt" for each in ("", "-2")]
    for file in (tmp_path / "state" / "meshdoctor").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
        assert "ValueError: 22 characters" in file.read_text()
        assert "\x1b" not in file.read_text()
        assert secret not in file.read_text().replace('secret = "a value of the cluster"', "")
    assert (tmp_path / "state" / "meshdoctor").stat().st_mode & 0o777 == 0o700


def test_where_no_file_can_be_written_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = write_traceback(ValueError("x"), "mesh", {"XDG_STATE_HOME": str(tmp_path / "file")}, 0.0)
    assert "Not a directory" in told
    here = state_folder({"XDG_STATE_HOME": "relative", "HOME": "/home/kim"})
    assert here == Path("/home/kim/.local/state/meshdoctor")


def test_the_journal_counts_what_comes_again_and_forgets_the_oldest() -> None:
    now = iter(range(1000))
    journal = Journal(lambda: float(next(now)))
    journal.note(MISTAKE, "one")
    journal.note(MISTAKE, "two")
    journal.note(MISTAKE, "one")
    assert [(e.text, e.first, e.last, e.times) for e in journal.entries()] == [("one", 0, 2, 2), ("two", 1, 1, 1)]
    for number in range(300):
        journal.note(MISTAKE, str(number))
    assert len(journal.entries()) == 200
    assert journal.entries()[0].text == "299"


def test_the_journal_tells_each_right_and_each_damaged_file_once() -> None:
    journal = Journal(lambda: 0.0)
    rule = '{apiGroups: [""], resources: [pods/portforward], verbs: [get, create]}'
    refused = [Missing("forbidden", f"GET /{name}: forbidden (no): the role lacks {rule}", name) for name in "abc"]
    slow = [Missing("timeout", "no answer", f"envoy/{name}") for name in "abc"]
    damaged = [Missing("unreadable", "it is no JSON", name) for name in ("pods.json", "nodes.json")]
    note_unread(journal, [*refused, *slow, *damaged, Missing("not recorded")])
    told = [(entry.kind, entry.text) for entry in reversed(journal.entries())]
    assert told == [
        ("forbidden", f"the role lacks {rule}"),
        ("not read", "envoy/a: timeout: no answer"),
        ("not read", "pods.json: unreadable: it is no JSON"),
        ("not read", "nodes.json: unreadable: it is no JSON"),
    ]
    journal.note(SAID, f"pods.json: {damaged[0]}")
    assert len(journal.entries()) == 4  # it stands there already
