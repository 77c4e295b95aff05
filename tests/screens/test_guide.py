"""The guide: verdicts on top, steps as they come, evidence that opens its place."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import pytest
from rich.cells import cell_len

from meshdoctor.commands.demo import practices
from meshdoctor.model.snapshot import Snapshot, Want
from meshdoctor.present.table import plain
from meshdoctor.present.words import Language, Words
from meshdoctor.sources.recording import RecordingSource
from meshdoctor.tui.app import MeshDoctorApp
from meshdoctor.tui.examined import ExaminedSession
from tests.screens.shipped import (
    FIXTURES,
    application,
    column,
    move_to,
    screen_text,
    session,
    settled,
    table_of,
    text_of,
)


@pytest.mark.parametrize("name", [practice.name for practice in practices()])
async def test_the_first_verdict_is_the_answer_of_the_incident(name: str) -> None:
    app = application(name)
    async with app.run_test(size=(80, 24)) as pilot:
        text = await settled(pilot)
        answer = next(practice.answer for practice in practices() if practice.name == name)
        assert answer[0] in text[3]
        assert text[3].startswith((">CULPRIT", ">WAS"))
        words = column(app, "state")
        for word in ("why", "look at", "change", "then"):
            assert word in words
        assert any(line.startswith("Flowchart for ") for line in column(app, "what"))


async def test_evidence_opens_the_log_at_its_line() -> None:
    app = application("pine")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: "istio-proxy line" in cell)
        row = table_of(app).cursor_row
        assert row is not None
        number = row.target.split()[-1]
        await pilot.press("enter")
        await settled(pilot)
        assert app.view and app.view.location.name == "log"
        chosen = table_of(app).cursor_row
        assert chosen is not None
        assert chosen.key == number
        assert chosen.problem
        assert any(line.startswith(">") and f" {number} " in line for line in screen_text(app))
        assert f"line {number}" in text_of(app)
        assert chosen.copies.split()[0] in text_of(app)
        await pilot.press("escape")
        assert app.view.location.name == "guide"
        assert table_of(app).cursor_row == row


async def test_evidence_opens_objects_and_dumps() -> None:
    app = application("pine")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: cell.startswith("DestinationRule "))
        await pilot.press("enter")
        await settled(pilot)
        assert "kind: DestinationRule" in text_of(app) or "trafficPolicy:" in text_of(app)
        assert "managedFields:" not in text_of(app)
        await pilot.press("q")
        move_to(app, lambda cell: "config_dump" in cell)
        await pilot.press("enter")
        await settled(pilot)
        assert '"name": "outbound|80||cart.shop.svc.cluster.local"' in text_of(app)


async def test_absence_shows_the_whole_file_and_says_so() -> None:
    app = application("cedar")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: "@syncz " in cell)
        await pilot.press("enter")
        await settled(pilot)
        assert "is not in this file" in text_of(app)
        assert '"proxy"' in text_of(app)


async def test_without_a_question_it_finds_what_fails() -> None:
    app = application("maple", asked=False)
    async with app.run_test(size=(80, 24)) as pilot:
        text = await settled(pilot)
        assert "endpoints-not-ready" in text[3]
        assert "FAILING NOW" in text[1]


@pytest.mark.parametrize("view", ["traffic", "mesh", "mtls", "trace shop/web cart/items", "report"])
async def test_every_view_says_that_requests_fail(view: str) -> None:
    app = application("maple", asked=False)
    async with app.run_test(size=(100, 24)) as pilot:
        await settled(pilot)
        await pilot.press("colon", *view, "enter")
        text = await settled(pilot)
        assert "FAILING NOW" in text[1]
        assert "OK " not in text[1]


@pytest.mark.parametrize(("language", "synced"), [("en", " synced"), ("ko", "동기화 ")])
async def test_before_a_diagnosis_the_header_says_no_more_than_that_proxies_are_in_sync(
    language: Language, synced: str
) -> None:
    app = application("pine", start="mesh", language=language)
    async with app.run_test(size=(100, 24)) as pilot:
        text = await settled(pilot)
        assert synced in text[1] and "OK " not in text[1]


async def test_report_and_again() -> None:
    app = application("pine")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        before = column(app, "what")
        await pilot.press("d")
        await settled(pilot)
        assert text_of(app).startswith(" 1. mtls-plaintext-to-strict, ")
        await pilot.press("q", "r", "r", "r")
        await settled(pilot)
        assert column(app, "what") == before


async def test_only_problems_are_the_verdicts() -> None:
    app = application("pine")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+z")
        assert column(app, "state")[0] == "CULPRIT"
        assert all(row.problem for row in table_of(app).rows.shown)


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("width", [40, 60, 80, 120])
async def test_every_row_fits_its_width(language: Any, width: int) -> None:
    app = application("cedar", language=language)
    async with app.run_test(size=(width, 24)) as pilot:
        await settled(pilot)
        assert max(cell_len(cell) for cell in column(app, "what")) <= width - 10
        await pilot.resize_terminal(width + 20, 24)
        await settled(pilot)
        assert max(cell_len(cell) for cell in column(app, "what")) > width - 30


async def test_korean() -> None:
    app = application("pine", language="ko")
    async with app.run_test(size=(80, 24)) as pilot:
        text = await settled(pilot)
        assert "확신" in text[3]
        assert "조치" in column(app, "state")


class SlowSource:
    """Reads nothing more once the walk has begun, until it is told to go on."""

    def __init__(self, recording: RecordingSource, go: threading.Event) -> None:
        self._recording = recording
        self._go = go
        self.info = recording.info
        self.began = False

    def read(self, wants: Iterable[Want[Any]], known: Snapshot | None = None) -> Snapshot:
        if self.began:
            self._go.wait(20)
        return self._recording.read(wants, known)


async def test_keys_act_while_a_step_waits_for_its_facts() -> None:
    go = threading.Event()
    source = SlowSource(RecordingSource.open(FIXTURES / "pine.tar.xz"), go)
    live = ExaminedSession("pine", lambda: source)
    live.examination()
    source.began = True
    app = MeshDoctorApp(live, theme="md-dark", words=Words("en"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        while not any("the next step runs" in line for line in screen_text(app)):
            await pilot.pause(0.01)
        assert screen_text(app)[1].endswith(" ...")
        await pilot.press("question_mark")
        assert app.view and app.view.location.name == "help"
        await pilot.press("q")
        go.set()
        text = await settled(pilot)
        assert "mtls-plaintext-to-strict" in text[3]


async def test_a_flow_that_does_not_exist() -> None:
    app = application("pine")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press(*":guide shop/web nowhere:80", "enter")
        text = await settled(pilot)
        assert "no failing flow shop/web nowhere:80" in text[22]


def test_rows_have_keys_of_their_own() -> None:
    from meshdoctor.present.guide_rows import Progress, guide_rows

    for practice in practices():
        examination = session(practice.name).examination()
        steps = tuple(examination.steps())
        progress = Progress(examination.cases, steps, examination.diagnosis(), False)
        rows = guide_rows(progress, Words("en"), 80)
        assert len({row.key for row in rows}) == len(rows)
        opened = [row for row in rows if "@" in plain(row.cells[1])]
        assert opened
        assert all(row.target for row in opened)
