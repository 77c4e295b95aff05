from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from meshdoctor.mesh.explanation import explain_flag
from meshdoctor.present.explanation_text import moment, word_lines, wrap


def test_wrap_counts_cells_not_letters() -> None:
    assert list(wrap("가나 다라", width=5)) == ["가나", "다라"]
    assert list(wrap("one two three", "  ", "- ", width=9)) == ["- one two", "  three"]
    assert list(wrap("abcdefghij", "  ", "", width=6)) == ["abcdef", "  ghij"]


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])), st.integers(6, 80))
def test_no_line_is_wider_than_asked_and_no_letter_is_lost(text: str, width: int) -> None:
    lines = list(wrap(text, "  ", "- ", width=width))
    assert all(cell_len(line) <= width for line in lines)
    shown = "".join(line[2:] for line in lines)
    assert "".join(shown.split()) == "".join(text.split())


def test_moments() -> None:
    assert moment(1795372500.4) == "2026-11-22 18:35:00Z"
    assert moment(None) == moment(float(10**18)) == moment(float("-inf")) == "-"


def test_a_flag_in_korean_fits_80_columns() -> None:
    lines = list(word_lines(explain_flag("UF", "ko"), "ko"))
    assert lines[0].startswith("UF UpstreamConnectionFailure")
    assert all(cell_len(line) <= 80 for line in lines)
    assert any("다음 확인" in line for line in lines)
