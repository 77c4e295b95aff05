"""The table: the cursor keeps its row, sorting, filtering, narrow and wide layouts, ten thousand rows."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import App, ComposeResult
from textual.message import Message

from meshdoctor.present.palette import rich_theme
from meshdoctor.present.table import Row
from meshdoctor.present.words import Words
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.tablerows import TableRows
from tests.tui.shell import COLUMNS, ROWS, row


class TableApp(App[None]):
    """A table and nothing else."""

    def __init__(self, rows: Sequence[Row], frozen: int = 0) -> None:
        super().__init__()
        self.console.push_theme(rich_theme("md-dark"))
        self.table = LineTable(COLUMNS, rows, words=Words("en"), frozen=frozen)
        self.seen: list[Message] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def on_line_table_row_selected(self, message: LineTable.RowSelected) -> None:
        self.seen.append(message)


def lines(app: TableApp) -> list[str]:
    return [app.table.render_line(y).text.rstrip() for y in range(app.size.height)]


async def test_columns_stand_in_line_with_hangul() -> None:
    app = TableApp(ROWS)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        header, *body = lines(app)
        assert header.split() == ["STATE", "NAMESPACE", "POD", "AGE", "WHY"]
        assert body[0].startswith(">OK     default ")
        assert all(app.table.render_line(y).cell_length == 80 for y in range(24))
        assert body[1] == " STALE  결제         정산-배치-6c9d7-k8s2m          38s CDS LDS"


async def test_columns_are_dropped_when_narrow_and_come_back() -> None:
    app = TableApp(ROWS)
    async with app.run_test(size=(30, 10)) as pilot:
        await pilot.pause()
        assert lines(app)[0].split() == ["STATE", "POD"]
        await pilot.resize_terminal(80, 10)
        await pilot.pause()
        assert len(lines(app)[0].split()) == 5


async def test_movement() -> None:
    app = TableApp(ROWS)
    async with app.run_test(size=(80, 11)) as pilot:
        table = app.table
        for keys, expected in (("jj", 2), ("k", 1), ("G", 62), ("g", 0), ("k", 0)):
            await pilot.press(*keys)
            assert table.cursor_row is ROWS[expected]
        await pilot.press("pagedown")
        assert table.cursor_row is ROWS[9]
        await pilot.press("end", "home", "ctrl+f", "ctrl+b", "down", "up")
        assert table.cursor_row is ROWS[0]


async def test_the_cursor_stays_on_its_row_through_updates() -> None:
    app = TableApp(ROWS)
    async with app.run_test(size=(80, 11)) as pilot:
        table = app.table
        await pilot.press(*"jjj")
        key = table.cursor_row and table.cursor_row.key
        assert key == "load-000"
        table.show([row("NACK", "new", f"new-{i}") for i in range(30)] + list(ROWS))
        await pilot.pause()
        assert table.cursor_row and table.cursor_row.key == key
        assert any(line.startswith(">") and "load-000" in line for line in lines(app))
        table.patch([row("LOST", "load", "load-000", why="gone")])
        await pilot.pause()
        assert any(line.startswith(">LOST") and "gone" in line for line in lines(app))
        table.patch([], removed=["load-000"])
        await pilot.pause()
        assert table.cursor_row is not None


async def test_sorting_by_key_and_by_chosen_column() -> None:
    app = TableApp(ROWS)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("S")
        assert "STATE^" in lines(app)[0]
        assert [line.split()[0] for line in lines(app)[1:4]] == ["NACK", "STALE", ">OK"]
        await pilot.press("S", "g")
        assert "STATEv" in lines(app)[0]
        await pilot.press("V")  # no such column here: nothing happens
        assert "STATEv" in lines(app)[0]
        await pilot.press("shift+left", "O")
        assert "WHY^" in lines(app)[0]


async def test_filter_problems_and_the_empty_states() -> None:
    app = TableApp(ROWS)
    async with app.run_test(size=(80, 10)) as pilot:
        table = app.table
        table.set_filter("namespace:결제")
        assert [r.key for r in table.rows.shown] == ["정산-배치-6c9d7-k8s2m"]
        table.set_filter("no such")
        await pilot.pause()
        assert lines(app)[2] == "  no row matches  no such"
        assert "63 rows" in lines(app)[3]
        table.set_filter("")
        await pilot.press("ctrl+z")
        assert [r.problem for r in table.rows.shown] == [True, True]
        table.show([])
        await pilot.pause()
        assert lines(app)[2] == "  nothing to show"
        await pilot.press("j", "G", "enter", "c")


async def test_wide_shows_every_column_whole_and_scrolls() -> None:
    long = row("NACK", "default", "reviews-" + "v" * 60, why="w" * 60)
    app = TableApp([long], frozen=1)
    async with app.run_test(size=(60, 6)) as pilot:
        await pilot.pause()
        assert ".." in lines(app)[1]
        await pilot.press("ctrl+w")
        assert "v" * 30 in lines(app)[1]
        await pilot.press(*(["right"] * 20))
        assert lines(app)[1].startswith(">NACK")
        assert lines(app)[1].endswith("w" * 50)
        await pilot.press("ctrl+w")
        assert ".." in lines(app)[1]


async def test_wide_is_measured_anew_when_other_rows_are_shown() -> None:
    app = TableApp(ROWS)
    async with app.run_test(size=(80, 10)) as pilot:
        app.table.set_filter("load-000")
        await pilot.press("ctrl+w")
        assert lines(app)[1].startswith(">OK    load      load-000 ")
        app.table.set_filter("")
        await pilot.pause()
        app.table.action_top()
        assert "productpage-v1-6b746f-tp2dj" in lines(app)[1]


async def test_cells_are_never_markup_and_enter_tells() -> None:
    app = TableApp([Row("x", (Text("OK"), "[bold]ns[/]", "[red]pod", "1m", ":smile:"))])
    async with app.run_test(size=(80, 6)) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        assert "[bold]ns[/]" in lines(app)[1]
        assert ":smile:" in lines(app)[1]
        assert [type(m) for m in app.seen] == [LineTable.RowSelected]


async def test_ten_thousand_rows_paint_only_what_is_in_sight() -> None:
    rows = [row("OK", "load", f"pod-{i:05d}") for i in range(10_000)]
    app = TableApp(rows)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("G")
        await pilot.pause()
        assert lines(app)[-1].startswith(">OK")
        assert len(app.table._painted) < 200
        app.table.set_filter("09999")
        assert len(app.table.rows.shown) == 1


def test_an_update_in_place_keeps_the_order_and_says_what_changed() -> None:
    model = TableRows(COLUMNS, ROWS)
    before = list(model.shown)
    assert model.replace(ROWS) == set()
    assert model.patch([row("NACK", "load", "load-001")]) == {"load-001"}
    assert [r.key for r in model.shown] == [r.key for r in before]
    model.sort_by(0)
    assert model.patch([row("OK", "load", "load-001")]) is None


def test_equal_rows_keep_their_identity_when_the_set_changes() -> None:
    model = TableRows(COLUMNS, ROWS)
    old = model.by_key["load-001"]
    model.replace([row("OK", "new", "first"), *(row("OK", "load", f"load-{i:03d}", f"{i}m") for i in range(60))])
    assert model.by_key["load-001"] is old


def test_an_empty_table_says_what_hides_its_rows() -> None:
    words = Words("en")
    assert TableRows(COLUMNS).why_empty("nothing\nat all", words) == ["nothing", "at all"]
    model = TableRows(COLUMNS, ROWS)
    model.problems_only = True
    assert model.why_empty("nothing", words) == [words("table.no_problems", total=f"{len(ROWS):,}")]
    model.query = " zz "
    hidden = words("table.hidden", total=f"{len(ROWS):,}")
    assert model.why_empty("nothing", words) == [words("table.filtered_out", query="zz"), hidden]
