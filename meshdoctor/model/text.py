"""Text from a cluster is hostile: control characters are shown, never obeyed.

A user agent, a pod label or an error message may carry terminal escapes, bidi overrides or zero-width characters that
hide what a line says. They become visible symbols once, when a fact is decoded, so that no table, log or screen
further right has to think of them.
"""

from __future__ import annotations

import re

# Zero-width and invisible characters, line and paragraph separator, bidi marks, embeddings, overrides and isolates
# (Unicode 15, general categories Cf, Zl, Zp as far as they hide or reorder text), and surrogates without a partner.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def _symbol(match: re.Match[str]) -> str:
    number = ord(match[0])
    if number < 0x20:
        return chr(0x2400 + number)  # the Control Pictures block draws C0: ESC is ␛
    if number == 0x7F:
        return "\u2421"  # ␡
    return f"<U+{number:04X}>"


def visible(text: str) -> str:
    """*text* with control, bidi and zero-width characters as visible symbols; newline and tab stay.

    C0 becomes a Control Picture (ESC is ␛), DEL is ␡, everything else `<U+202E>`. Applying it twice changes nothing.
    """
    return _HIDDEN.sub(_symbol, text)


def visible_line(text: str) -> str:
    """As `visible`, and a newline becomes ␊: for a value that must stay on one line."""
    return visible(text).replace("\n", "\u240a")
