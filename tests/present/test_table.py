"""Tables as data: placing, fitting, sorting, filtering, and the same table as text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from meshdoctor.present.table import (
    Column,
    Row,
    arrange,
    fit_cell,
    format_table,
    natural,
    place_columns,
    plain,
)

COLUMNS = (
    Column("state", "STATE", 6, priority=0, ranks=("NACK", "OK")),
    Column("name", "POD", 10, flex=2, priority=0),
    Column("age", "AGE", 5, priority=2, align="right", order="duration"),
    Column("why", "WHY", 10, flex=1, priority=3),
)


def row(state: str, name: str, age: str = "1m", why: str = "") -> Row:
    return Row(name, (Text(state, style="state.ok"), name, age, why))


def test_all_columns_fit_and_the_rest_is_shared_by_flex() -> None:
    placed = place_columns(COLUMNS, 64)
    assert [p.width for p in placed] == [6, 30, 5, 20]
    assert [p.x for p in placed] == [0, 7, 38, 44]
    assert placed[-1].x + placed[-1].width == 64


@pytest.mark.parametrize(("width", "kept"), [(33, [0, 1, 2]), (23, [0, 1, 2]), (22, [0, 1]), (5, [0, 1])])
def test_columns_are_dropped_by_priority(width: int, kept: list[int]) -> None:
    assert [p.column for p in place_columns(COLUMNS, width)] == kept


def test_nothing_is_dropped_when_the_caller_scrolls() -> None:
    assert len(place_columns(COLUMNS, 10, keep_all=True)) == 4


def test_widest_bounds_a_flexible_column() -> None:
    columns = (Column("a", "A", 2, flex=1, widest=4), Column("b", "B", 2, flex=1))
    assert [p.width for p in place_columns(columns, 20)] == [4, 15]


@given(
    st.text(), st.integers(1, 30), st.sampled_from(["left", "right"]), st.sampled_from(["end", "middle"]), st.booleans()
)
def test_a_fitted_cell_has_exactly_its_width(text: str, width: int, align: str, elide: str, styled: bool) -> None:
    cell = fit_cell(Text(text, style="bold") if styled else text, width, align, elide)  # type: ignore[arg-type]
    assert cell_len(plain(cell)) == width
    assert plain(cell).isprintable()


def test_long_names_keep_the_end_that_tells_them_apart() -> None:
    assert fit_cell("reviews-v3-7d9c9f-x2x9q", 14, elide="middle") == "review..-x2x9q"
    assert fit_cell("reviews-v3-7d9c9f-x2x9q", 10) == "reviews-.."


def test_a_wide_character_is_never_split() -> None:
    assert fit_cell("정산배치서비스", 7) == "정산.. "


def test_styles_survive_shortening_and_stay_off_the_padding() -> None:
    cell = fit_cell(Text("NACK", style="state.nack"), 6)
    assert isinstance(cell, Text)
    assert cell.plain == "NACK  "
    assert [(s.start, s.end, s.style) for s in cell.spans] == [(0, 4, "state.nack")]


def test_a_cell_cannot_move_the_cursor_or_turn_the_line() -> None:
    assert fit_cell("a\x1b[2Jb\n", 8) == "a?[2Jb? "
    assert plain(fit_cell(Text("a\u202eb"), 4)) == "a?b "


def test_sorting_by_rank_duration_and_version() -> None:
    rows = [row("OK", "v10", "41s"), row("NACK", "v9", "3h"), row("?", "v2", "-")]
    assert [r.key for r in arrange(rows, COLUMNS, sort=0)] == ["v9", "v10", "v2"]
    assert [r.key for r in arrange(rows, COLUMNS, sort=1)] == ["v2", "v9", "v10"]
    assert [r.key for r in arrange(rows, COLUMNS, sort=2)] == ["v10", "v9", "v2"]
    assert [r.key for r in arrange(rows, COLUMNS, sort=2, reverse=True)] == ["v2", "v9", "v10"]


@given(st.lists(st.text(max_size=8)))
def test_every_text_has_a_natural_order(texts: list[str]) -> None:
    assert len(sorted(texts, key=natural)) == len(texts)


def test_filter_grammar() -> None:
    rows = [row("OK", "reviews:9080", why="예약"), row("NACK", "ratings"), row("OK", "details", why="nack before")]

    def kept(query: str) -> list[str]:
        return [r.key for r in arrange(rows, COLUMNS, query=query)]

    assert kept("nack") == ["ratings", "details"]
    assert kept("state:nack") == ["ratings"]
    assert kept("POD:rat") == ["ratings"]
    assert kept("nack !state:nack") == ["details"]
    assert kept("reviews:9080") == ["reviews:9080"]  # a prefix that is no column is text
    assert kept("") == kept("  ") == [r.key for r in rows]


def test_filter_finds_decomposed_hangul() -> None:
    decomposed = unicodedata.normalize("NFD", "결제")
    assert arrange([row("OK", decomposed)], COLUMNS, query="결제")


def test_only_problems() -> None:
    rows = [Row("a", ("OK", "a", "", ""), problem=False), Row("b", ("NACK", "b", "", ""), problem=True)]
    assert [r.key for r in arrange(rows, COLUMNS, problems_only=True)] == ["b"]


def test_text_table_is_as_narrow_as_its_cells() -> None:
    lines = format_table(COLUMNS, [row("OK", "정산-배치", "4m", "LDS"), row("NACK", "x", "38s")], 80)
    assert lines == ["STATE POD       AGE WHY", "OK    정산-배치  4m LDS", "NACK  x         38s"]


@pytest.mark.parametrize("width", [10, 20, 40])
def test_text_table_never_exceeds_its_width(width: int) -> None:
    lines = format_table(COLUMNS, [row("OK", "정산-배치-6c9d7-k8s2m" * 3, "4m", "why " * 20)], width)
    assert max(cell_len(line) for line in lines) <= width
