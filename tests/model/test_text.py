from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshdoctor.model.text import visible, visible_line


def test_terminal_escapes_are_shown() -> None:
    assert visible("\x1b]0;owned\x07") == "␛]0;owned␇"
    assert visible("a\x7fb\x9bc") == "a␡b<U+009B>c"


def test_text_that_hides_or_reorders_is_shown() -> None:
    assert visible("abc\u202etxt.exe") == "abc<U+202E>txt.exe"
    assert visible("a\u200bb\u2066c\ufeff") == "a<U+200B>b<U+2066>c<U+FEFF>"
    assert visible("\ud800") == "<U+D800>"


def test_newline_and_tab_stay_and_a_line_shows_its_newline() -> None:
    assert visible("a\tb\n한글 é") == "a\tb\n한글 é"
    assert visible_line("a\nb\tc") == "a␊b\tc"


@given(st.text(st.characters()))
def test_the_result_is_printable_and_stable(text: str) -> None:
    shown = visible(text)
    assert visible(shown) == shown
    assert not [letter for letter in shown if letter < " " and letter not in "\n\t"]
    shown.encode("utf-8")
