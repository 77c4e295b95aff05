"""Which theme a terminal gets."""

from __future__ import annotations

import pytest

from meshdoctor.errors import UsageError
from meshdoctor.present.palette import THEME_NAMES
from meshdoctor.tui.launch import NoTerminal, require_terminal
from meshdoctor.tui.themes import THEMES, choose_theme


@pytest.mark.parametrize(
    ("environ", "wanted", "theme"),
    [
        ({"TERM": "xterm-256color"}, "", "md-dark"),
        ({"TERM": "xterm-256color", "COLORFGBG": "0;15"}, "", "md-light"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "", "md-dark"),
        ({"TERM": "linux"}, "", "md-ansi"),
        ({"TERM": "vt100"}, "", "md-ansi"),
        ({"TERM": "screen"}, "", "md-ansi"),
        ({"TERM": "screen-256color"}, "", "md-dark"),
        ({}, "", "md-ansi"),
        ({"TERM": "linux"}, "md-light", "md-light"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "md-dark", "md-mono"),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, "", "md-dark"),
    ],
)
def test_choice(environ: dict[str, str], wanted: str, theme: str) -> None:
    assert choose_theme(environ, wanted) == theme


def test_an_unknown_theme_is_said() -> None:
    with pytest.raises(UsageError, match="one of md-dark"):
        choose_theme({}, "pink")


def test_themes_and_palette_have_the_same_names() -> None:
    assert tuple(theme.name for theme in THEMES) == THEME_NAMES


def test_no_terminal() -> None:
    require_terminal({"TERM": "xterm"}, ())
    with pytest.raises(NoTerminal, match="TERM=dumb"):
        require_terminal({"TERM": "dumb"}, ())
    with pytest.raises(NoTerminal, match=r"^standard error is no terminal"):
        require_terminal({"TERM": "xterm"}, ("standard error",))
