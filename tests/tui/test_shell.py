"""The shell driven by keys: views, back stack, prompt, messages, languages, themes."""

from __future__ import annotations

from typing import Any

import pytest
from textual import events
from textual.geometry import Offset
from textual.pilot import Pilot

from meshdoctor.errors import UsageError
from meshdoctor.present.words import Words
from meshdoctor.tui.app import MeshDoctorApp
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import UnknownCommand
from meshdoctor.tui.textview import TextView
from tests.tui.shell import ROUTES_HERE, Recording


def make(**options: Any) -> MeshDoctorApp:
    chosen: dict[str, Any] = {"routes": ROUTES_HERE, "words": Words("en"), "theme": "md-dark"} | options
    return MeshDoctorApp(Recording(), **chosen)


def screen_text(app: MeshDoctorApp) -> list[str]:
    return ["".join(s.text for s in strip).rstrip() for strip in app.screen._compositor.render_strips()]


async def shown(pilot: Pilot[None], app: MeshDoctorApp) -> list[str]:
    await pilot.pause()
    return screen_text(app)


async def test_first_view_at_80x24() -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        text = await shown(pilot, app)
        assert text[0] == " prod-seoul  recording  RO                     captured 2026-11-22 17:14:32 KST"
        assert text[1] == " pods[63]                                                       NACK 1  STALE 1"
        assert text[22] == ""
        assert text[23] == " <enter>open <?>help <esc>back </>filter <ctrl-z>problems <:>cmd <c>copy"
        assert len(text) == 24


async def test_enter_opens_and_the_ways_back() -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        for back in ("escape", "q", "backspace", "h"):
            await pilot.press("g", "j", "enter")
            assert app.view and app.view.location.argument == "정산-배치-6c9d7-k8s2m"
            assert isinstance(app.focused, TextView)
            await pilot.press(back)
            assert app.view.location.name == "pods"
            table = app.focused
            assert isinstance(table, LineTable)
            assert table.cursor_row and table.cursor_row.key == "정산-배치-6c9d7-k8s2m"
        await pilot.press("q")
        assert (await shown(pilot, app))[22] == " this is the first view; :q quits"


async def test_history_keys() -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter", "left_square_bracket", "right_square_bracket")
        assert [str(location) for location in app.history.trail] == ["pods", "pod productpage-v1-6b746f-tp2dj"]
        await pilot.press("minus")
        assert app.view and app.view.location.name == "pods"
        await pilot.press("minus")
        assert app.view.location.name == "pod"
        await pilot.press("?")
        assert (await shown(pilot, app))[1].startswith(" pods > pod productpage-v1-6b746f-tp2dj > help")
        await pilot.press(*":pods", "enter")
        assert len(app.screen_stack) == 1
        await pilot.press("right_square_bracket", "right_square_bracket", "right_square_bracket")
        assert (await shown(pilot, app))[22] == " nothing further ahead"


async def test_filter_is_live_and_escape_takes_it_back() -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*"/load-00")
        text = await shown(pilot, app)
        assert text[1].startswith(" pods[10 of 63]  /load-00")
        assert text[22].startswith("/load-00")
        assert app.cursor_position == Offset(8, 22)
        await pilot.press("enter", "j")
        assert app.view and app.view.filter == "load-00"
        await pilot.press(*"/x", "escape")
        assert app.view.filter == "load-00"
        await pilot.press("escape")
        assert app.view.filter == ""
        await pilot.press("slash", "a", "backspace", "backspace")
        assert app.prompt is None


async def test_find_in_a_text() -> None:
    app = make()
    async with app.run_test(size=(80, 12)) as pilot:
        await pilot.press("enter", *"/line 2", "enter")
        view = app.focused
        assert isinstance(view, TextView)
        assert view.scroll_offset.y == 2
        await pilot.press("n")
        assert view.scroll_offset.y == 20
        await pilot.press("N", "j")
        assert view.scroll_offset.y == 3


async def test_commands_complete_and_unknown_ones_offer_the_nearest() -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*":pod rev", "tab", "enter")
        assert app.view and app.view.location.argument == "reviews-v3-7d9c9f-x2x9q"
        await pilot.press(*":hlep", "enter")
        assert (await shown(pilot, app))[22] == " no command :hlep   did you mean :help?"
        await pilot.press(*":pod", "enter")
        assert (await shown(pilot, app))[22] == " :pod needs NAME   Tab completes it"
        await pilot.press(*":pod nobody", "enter")
        assert (await shown(pilot, app))[22] == " no pod nobody: the source names nothing like it"
        await pilot.press("colon", "up")
        assert app.prompt and app.prompt.text == "pod nobody"
        app.prompt.editor.replace("")
        app.post_message(events.Paste("help\n"))
        await pilot.pause()
        assert app.prompt.text == "help "


async def test_help_lists_the_keys_of_the_view_below_first() -> None:
    app = make()
    async with app.run_test(size=(80, 120)) as pilot:
        await pilot.press("question_mark")
        text = await shown(pilot, app)
        assert text.index(" Commands") < text.index(" Tables") < text.index(" Everywhere") < text.index(" Text views")
        assert any(line.startswith("  ctrl-z ") for line in text)
        await pilot.press("question_mark", "escape")
        assert app.view and app.view.location.name == "pods"


async def test_keys_that_change_a_cluster_in_k9s_say_so() -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+d")
        assert "never changes the cluster" in (await shown(pilot, app))[22]
        await pilot.press("j")
        assert (await shown(pilot, app))[22] == ""


async def test_korean_words_and_hangul_keys() -> None:
    app = make(words=Words("ko"))
    async with app.run_test(size=(80, 24)) as pilot:
        assert "<enter>열기" in (await shown(pilot, app))[23]
        app.post_message(events.Key("ㅓ", "ㅓ"))  # the key j with the Hangul input method on
        await pilot.pause()
        table = app.focused
        assert isinstance(table, LineTable)
        assert table.cursor_row and table.cursor_row.cells[1] == "결제"


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (59, 14), (80, 24), (200, 60)])
async def test_any_size(size: tuple[int, int]) -> None:
    app = make()
    async with app.run_test(size=size) as pilot:
        await pilot.press("j", "question_mark", "q", *"/a", "escape", "ctrl+e", "ctrl+e", "ctrl+w", "right")
        await pilot.resize_terminal(40, 10)
        assert "40x10" in (await shown(pilot, app))[0]


async def test_header_can_be_hidden_everywhere() -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+e")
        assert (await shown(pilot, app))[0].startswith(" STATE")
        await pilot.press("enter")
        assert (await shown(pilot, app))[0].startswith("line 0")


async def test_redraw_and_notify_use_the_message_row() -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+l")
        assert (await shown(pilot, app))[22] == " redrawn"
        app.notify("it is [bold]", title="saved")
        assert (await shown(pilot, app))[22] == " saved: it is [bold]"


async def test_a_deep_link_opens_first() -> None:
    app = make(start="pods /state:nack")
    async with app.run_test(size=(80, 24)) as pilot:
        assert (await shown(pilot, app))[1].startswith(" pods[1 of 63]  /state:nack")


def test_what_cannot_start_says_so() -> None:
    with pytest.raises(UnknownCommand):
        make(start="nowhere")
    with pytest.raises(UsageError, match="no theme"):
        make(theme="pink")


async def test_quit_by_command() -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*":q", "enter")
        await pilot.pause()
    assert app.return_code == 0
