"""Time moved through the moments of a recording: `,` `.` `T`, and what the views show then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meshdoctor.errors import MeshDoctorError
from meshdoctor.present.words import Words
from meshdoctor.sources.recording import RecordingSource
from meshdoctor.tui.app import MeshDoctorApp
from meshdoctor.tui.examined import ExaminedSession
from tests.kube_objects import istio
from tests.probes.depot import Depot
from tests.recordings import Recording
from tests.screens.shipped import screen_text, settled

FAULT = {"hosts": ["ledger"], "http": [{"fault": {"abort": {"httpStatus": 503}}}]}
FIRST, LAST = "2026-03-03T09:05:00Z", "2026-03-03T09:30:00Z"


def two_moments(root: Path) -> Path:
    """An injected fault at the first moment; at the last it is gone, and only good requests are in the logs."""
    wrong = Depot(root).objects("VirtualService", istio("drill", "books", FAULT)).good(1, 2)
    for at in range(100, 110):
        wrong.request(at, 503, "FI", "fault_filter_abort", upstream="-", cluster="-")
    right = Depot(root).objects("VirtualService").good(1000, 1010)
    both = Recording(root, finished=1800)
    for moment, depot in ((FIRST, wrong), (LAST, right)):
        for path, body in depot.files.items():
            both.put(f"snapshots/{moment}/{path}", body)
    return both.tar("gz")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[MeshDoctorApp]:
    """The application on both moments, at the last one."""
    path = two_moments(tmp_path)
    session = ExaminedSession(path.name, lambda: RecordingSource.open(path))
    yield MeshDoctorApp(session, start="report", theme="md-dark", words=Words("en"))


async def test_the_header_says_which_moment_and_the_views_are_of_it(app: MeshDoctorApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        text = await settled(pilot)
        assert f"moment 2 of 2: {LAST}" in text[0]
        assert "fault-injected" not in "\n".join(text)
        await pilot.press("comma")
        text = await settled(pilot)
        assert f"moment 1 of 2: {FIRST}" in text[0]
        assert "fault-injected" in "\n".join(text)
        await pilot.press("comma")
        assert "this is the first moment" in screen_text(app)[-2]
        await pilot.press("full_stop")
        text = await settled(pilot)
        assert "fault-injected" not in "\n".join(text)
        await pilot.press("full_stop")
        assert "this is the last moment" in screen_text(app)[-2]


async def test_a_time_is_typed_or_completed(app: MeshDoctorApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("T")
        await pilot.press("tab", "enter")
        assert f"moment 1 of 2: {FIRST}" in (await settled(pilot))[0]
        await pilot.press("T", *"2026-03-03T10:00:00Z", "enter")
        assert f"moment 2 of 2: {LAST}" in (await settled(pilot))[0]
        await pilot.press("T", *"yesterday", "enter")
        text = await settled(pilot)
        assert "'yesterday' is no time" in text[-2]
        await pilot.press("T", *"2026-03-03T08:00:00Z", "enter")
        text = await settled(pilot)
        assert f"the recording begins at {FIRST}" in text[-2]
        assert f"moment 2 of 2: {LAST}" in text[0]


async def test_a_view_below_is_of_the_new_moment_when_it_is_in_sight_again(app: MeshDoctorApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await app.go("mesh")
        await settled(pilot)
        await pilot.press("comma")
        assert f"moment 1 of 2: {FIRST}" in (await settled(pilot))[0]
        await pilot.press("escape")
        text = await settled(pilot)
        assert "fault-injected" in "\n".join(text)


async def test_what_a_moment_does_not_hold_is_said_and_the_next_has_it_again(app: MeshDoctorApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("comma")
        await settled(pilot)
        await app.go("object VirtualService books/drill")
        assert "kind: VirtualService" in "\n".join(await settled(pilot)) or "abort" in "\n".join(screen_text(app))
        await pilot.press("full_stop")
        text = "\n".join(await settled(pilot))
        assert "no VirtualService books/drill" in text
        assert app.is_running
        await pilot.press("comma")
        assert "abort" in "\n".join(await settled(pilot))


def test_a_question_that_names_nothing_at_another_moment_does_not_end_the_application(tmp_path: Path) -> None:
    path = two_moments(tmp_path)
    session = ExaminedSession("x", lambda: RecordingSource.open(path), client="depot/picker")
    session.examination()
    session.move(FIRST)
    session._client = "depot/nobody"
    with pytest.raises(MeshDoctorError):
        session.examination()
    assert session.failure is None


async def test_one_moment_is_said_to_be_the_only_one(tmp_path: Path) -> None:
    path = Depot(tmp_path).good(1, 2).write()
    app = MeshDoctorApp(ExaminedSession("one", lambda: RecordingSource.open(path)), start="mesh", words=Words("en"))
    async with app.run_test(size=(100, 30)) as pilot:
        text = await settled(pilot)
        assert "captured 2026-03-03" in text[0]
        await pilot.press("comma")
        assert "there is just one moment" in screen_text(app)[-2]
