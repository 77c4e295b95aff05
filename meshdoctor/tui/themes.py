"""The four themes and which of them a terminal gets.

Backgrounds and texts are exact xterm-256 colours (see `meshdoctor.present.palette`). `md-ansi` leaves every colour to
the terminal's own sixteen; `md-mono` sends no colour at all, only bold, dim, underline and reverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from textual.theme import BUILTIN_THEMES, Theme

from meshdoctor.errors import UsageError
from meshdoctor.present.palette import THEME_NAMES

COLOURLESS = frozenset({"md-ansi", "md-mono"})
"""Themes that use the terminal's own colours, or none."""

_SIXTEEN = ("linux", "vt", "screen", "ansi", "xterm")
"""What TERM names a terminal of at most 16 colours, when it says nothing of 256 or direct colour."""

THEMES: tuple[Theme, ...] = (
    Theme(
        name="md-dark",
        dark=True,
        primary="#00afff",
        secondary="#5fafd7",
        warning="#ffaf00",
        error="#ff005f",
        success="#00afff",
        accent="#00afff",
        foreground="#dadada",
        background="#121212",
        surface="#121212",
        panel="#262626",
    ),
    Theme(
        name="md-light",
        dark=False,
        primary="#005fff",
        secondary="#005f87",
        warning="#875f00",
        error="#d70087",
        success="#005fff",
        accent="#005fff",
        foreground="#121212",
        background="#ffffff",
        surface="#ffffff",
        panel="#e4e4e4",
    ),
    replace(BUILTIN_THEMES["ansi-dark"], name="md-ansi"),
    replace(BUILTIN_THEMES["ansi-dark"], name="md-mono"),
)


def choose_theme(environ: Mapping[str, str], wanted: str = "") -> str:
    """The theme to use: NO_COLOR (when not empty, as no-color.org says), then *wanted*, then what the terminal can
    show.

    COLORFGBG, where a terminal sets it, tells a light background; without it the background counts as dark.

    Raises:
        UsageError: there is no theme called *wanted*.
    """
    if wanted and wanted not in THEME_NAMES:
        raise UsageError(f"no theme {wanted}", f"one of {', '.join(THEME_NAMES)}")
    if environ.get("NO_COLOR"):
        return "md-mono"
    if wanted:
        return wanted
    term = environ.get("TERM", "")
    rich_term = "256" in term or "direct" in term or "kitty" in term or bool(environ.get("COLORTERM"))
    if not rich_term and (not term or term.startswith(_SIXTEEN)):
        return "md-ansi"
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return "md-light" if background in {"7", "15"} else "md-dark"
