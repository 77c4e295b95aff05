"""What each style name means in each theme.

Text made in this room names its meaning ("state.nack"), never a colour; these tables turn meanings into colours for
rich. A meaning is always also a word, so the colourless theme loses nothing.

The dark and light colours are exact members of the xterm-256 palette, because sshd does not forward COLORTERM and 256
colours are the usual case on a bastion. They were chosen so that any two states keep a CIE76 difference of at least 44
(dark) and 47 (light) under normal, protan, deutan and tritan vision; OK is blue, not green, because blue stays apart
for all of them.
"""

from __future__ import annotations

from rich.theme import Theme

_MEANINGS: dict[str, tuple[str, str, str, str]] = {
    # meaning          md-dark             md-light            md-ansi              md-mono
    "state.ok": ("#00afff", "#005fff", "cyan", "none"),
    "state.stale": ("#ffaf00", "#875f00", "bold yellow", "bold"),
    "state.nack": ("bold #ff005f", "bold #d70087", "bold red", "bold reverse"),
    "state.lost": ("dim underline", "dim underline", "underline", "underline"),
    "state.unknown": ("dim", "dim", "dim", "dim"),
    "severity.high": ("bold #ff005f", "bold #d70087", "bold red", "bold reverse"),
    "severity.med": ("#ffaf00", "#875f00", "yellow", "bold"),
    "severity.low": ("#00afff", "#005fff", "cyan", "none"),
    "changed": ("bold", "bold", "bold", "bold"),
    "quiet": ("dim", "dim", "dim", "dim"),
    "title": ("bold", "bold", "bold", "bold"),
    "key": ("bold #00afff", "bold #005fff", "bold", "bold"),
    "command": ("bold", "bold", "bold", "bold"),
    "warning": ("#ffaf00", "#875f00", "yellow", "bold"),
    "error": ("bold #ff005f", "bold #d70087", "bold red", "bold reverse"),
}

THEME_NAMES = ("md-dark", "md-light", "md-ansi", "md-mono")
STYLE_NAMES = frozenset(_MEANINGS)


def rich_theme(name: str) -> Theme:
    """The style names under the theme *name* (one of `THEME_NAMES`), without rich's own names.

    Raises:
        ValueError: there is no such theme.
    """
    index = THEME_NAMES.index(name)
    return Theme({meaning: styles[index] for meaning, styles in _MEANINGS.items()}, inherit=False)
