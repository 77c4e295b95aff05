"""The one registry of keys: bindings, the key line, the `?` view and docs/keys.md are all made from `KEYS`.

To add a key: one row here, one entry `[keys.<id>]` in present/words.toml, and the method `action_<action>` on the
class that says `BINDINGS = bindings("<scope>")`. Then `python -m meshdoctor.tui.keys` writes docs/keys.md anew.

Every binding is a *priority* binding. Textual hands a key to the focused widget's queue before an ordinary binding of
the key before it has run, so `Enter` typed quickly after `j j j` would act first; priority bindings run strictly in
the order typed. Widgets that take text themselves are asked first (see `MeshDoctorApp.on_event`).

Keys follow k9s where it has one. No key needs Alt or a function key (tmux, macOS and screen take those).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from textual.binding import Binding, BindingType

from meshdoctor.present.words import Words


class Key(msgspec.Struct, frozen=True):
    """A key: `id` (names its words), `keys` in Textual's names, `action`, and the `scope` where it works.

    `footer` is its rank in the key line, 1 first, 0 never; the line drops the highest ranks when it is narrow.
    """

    id: str
    keys: tuple[str, ...]
    action: str
    scope: str
    footer: int = 0


KEYS: tuple[Key, ...] = (
    Key("command", ("colon",), "app.open_command", "app", footer=30),
    Key("filter", ("slash",), "app.open_filter", "app", footer=20),
    Key("help", ("question_mark",), "app.help", "app", footer=17),
    Key("back", ("escape", "q"), "app.back", "app", footer=18),
    Key("back_now", ("backspace", "h"), "app.back", "app"),
    Key("quit", ("ctrl+c", "ctrl+q"), "app.quit", "app"),
    Key("history_back", ("left_square_bracket",), "app.history_back", "app"),
    Key("history_forward", ("right_square_bracket",), "app.history_forward", "app"),
    Key("history_last", ("minus",), "app.history_last", "app"),
    Key("focus_next", ("tab",), "app.focus_next", "app"),
    Key("chrome", ("ctrl+e",), "app.toggle_chrome", "app"),
    Key("redraw", ("ctrl+l",), "app.redraw", "app"),
    Key("inert", ("e", "s", "ctrl+d", "ctrl+k"), "app.inert", "app"),
    Key("open", ("enter",), "open", "table", footer=10),
    Key("down", ("j", "down"), "move(1)", "table"),
    Key("up", ("k", "up"), "move(-1)", "table"),
    Key("page_down", ("ctrl+f", "pagedown", "space"), "page(1)", "table"),
    Key("page_up", ("ctrl+b", "pageup"), "page(-1)", "table"),
    Key("top", ("g", "home"), "top", "table"),
    Key("bottom", ("G", "end"), "bottom", "table"),
    Key("left", ("left",), "sideways(-8)", "table"),
    Key("right", ("right",), "sideways(8)", "table"),
    Key("copy", ("c",), "copy", "table", footer=60),
    Key("copy_row", ("C",), "copy_row", "table"),
    Key("problems", ("ctrl+z",), "problems", "table", footer=25),
    Key("wide", ("ctrl+w",), "wide", "table", footer=70),
    Key("sort_name", ("N",), "sort_by('name')", "table"),
    Key("sort_age", ("A",), "sort_by('age')", "table"),
    Key("sort_state", ("S",), "sort_by('state')", "table"),
    Key("sort_namespace", ("P",), "sort_by('namespace')", "table"),
    Key("sort_version", ("V",), "sort_by('version')", "table"),
    Key("column_left", ("shift+left",), "choose_column(-1)", "table"),
    Key("column_right", ("shift+right",), "choose_column(1)", "table"),
    Key("sort_column", ("O",), "sort_chosen", "table"),
    Key("down", ("j", "down"), "move(1)", "text"),
    Key("up", ("k", "up"), "move(-1)", "text"),
    Key("page_down", ("ctrl+f", "pagedown", "space"), "page(1)", "text"),
    Key("page_up", ("ctrl+b", "pageup"), "page(-1)", "text"),
    Key("top", ("g", "home"), "top", "text"),
    Key("bottom", ("G", "end"), "bottom", "text"),
    Key("find_next", ("n",), "find(1)", "text"),
    Key("find_previous", ("N",), "find(-1)", "text"),
    Key("view_mesh", ("m",), "app.show('mesh')", "views", footer=15),
    Key("view_guide", ("i",), "app.show('guide')", "views", footer=14),
    Key("view_traffic", ("f",), "app.show('traffic')", "views", footer=16),
    Key("report", ("d",), "app.show('report')", "views"),
    Key("view_mtls", ("M",), "app.show('mtls')", "views", footer=40),
    Key("again", ("r",), "again", "guide"),
    Key("refresh", ("r",), "again", "live", footer=19),
    Key("log_in", ("A",), "log_in", "live"),
    Key("record", ("R",), "app.record", "live", footer=50),
    Key("compare", ("equals_sign",), "app.show('compare')", "live", footer=55),
    Key("moment_before", ("comma",), "app.moment(-1)", "moments", footer=21),
    Key("moment_after", ("full_stop",), "app.moment(1)", "moments", footer=22),
    Key("go_to_moment", ("T",), "app.ask_moment", "moments"),
    Key("compare", ("equals_sign",), "app.show('compare')", "moments", footer=23),
    Key("second_before", ("comma",), "second(-1)", "compare", footer=13),
    Key("second_after", ("full_stop",), "second(1)", "compare", footer=14),
    Key("first_before", ("left_curly_bracket",), "first(-1)", "compare", footer=11),
    Key("first_after", ("right_curly_bracket",), "first(1)", "compare", footer=12),
    Key("choose_moments", ("T",), "ask_moments", "compare"),
    Key("object", ("y",), "object", "mesh", footer=12),
    Key("log", ("l",), "log", "mesh", footer=13),
    Key("inspect", ("D",), "inspect", "mesh", footer=11),
    Key("tables", ("1",), "table('listeners')", "proxy"),
    Key("tables", ("2",), "table('routes')", "proxy"),
    Key("tables", ("3",), "table('clusters')", "proxy"),
    Key("tables", ("4",), "table('endpoints')", "proxy"),
    Key("tables", ("5",), "table('certs')", "proxy"),
    Key("json", ("y",), "json", "proxy", footer=12),
    Key("log", ("l",), "log", "proxy", footer=13),
    Key("users", ("u",), "users", "proxy", footer=11),
    Key("difference", ("D",), "difference", "proxy", footer=14),
    Key("ztunnel_tables", ("1",), "table('workloads')", "ztunnel"),
    Key("ztunnel_tables", ("2",), "table('services')", "ztunnel"),
    Key("ztunnel_tables", ("3",), "table('policies')", "ztunnel"),
    Key("ztunnel_tables", ("4",), "table('certs')", "ztunnel"),
    Key("ztunnel_tables", ("5",), "table('connections')", "ztunnel"),
    Key("json", ("y",), "json", "ztunnel", footer=12),
    Key("log", ("l",), "log", "ztunnel", footer=13),
    Key("users", ("u",), "users", "users", footer=11),
    Key("json", ("y",), "json", "users", footer=12),
    Key("next_pod", ("D",), "difference", "difference", footer=11),
    Key("cell_left", ("left",), "column(-1)", "matrix"),
    Key("cell_right", ("right",), "column(1)", "matrix"),
    Key("mtls_tables", ("1",), "table('matrix')", "mtls"),
    Key("mtls_tables", ("2",), "table('disagreements')", "mtls"),
    Key("mtls_tables", ("3",), "table('servers')", "mtls"),
    Key("trace", ("t",), "trace", "flow", footer=11),
    Key("json", ("y",), "json", "trace", footer=12),
    Key("accept", ("enter",), "accept", "prompt", footer=10),
    Key("cancel", ("escape", "ctrl+c"), "cancel", "prompt", footer=30),
    Key("complete", ("tab",), "complete", "command", footer=20),
    Key("recall", ("up",), "recall", "command"),
)
"""Scopes: `app` everywhere; `table` on a LineTable; `text` on a TextView; `prompt` while a line is typed, `command`
while that line is a command; `views` in every view of a session; `matrix` on a CellTable; `flow` where a row is
a flow that can be traced; `live` in every view of a cluster, `moments` in those of a recording with several moments;
the others (`guide`, `mesh`, `proxy` ...) in the views of that name. Free letters: x z (k9s' and our own uses)."""

_DISPLAY = {
    "colon": ":",
    "slash": "/",
    "question_mark": "?",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "minus": "-",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "comma": ",",
    "full_stop": ".",
    "equals_sign": "=",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
}

HANGUL_KEYS = dict(
    zip("ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔㅁㄴㅇㄹㅎㅗㅓㅏㅣㅋㅌㅊㅍㅠㅜㅡ", "qwertyuiopasdfghjklzxcvbnm", strict=True)
) | dict(zip("ㅃㅉㄸㄲㅆㅒㅖ", "QWERTOP", strict=True))
"""The Latin key under each letter of the two-set Hangul keyboard: command keys work with that input method on."""


def display(key: str) -> str:
    """How a key of Textual's naming is written for people: "question_mark" -> "?", "ctrl+f" -> "ctrl-f"."""
    return _DISPLAY.get(key, key.replace("+", "-"))


def in_scopes(scopes: Iterable[str]) -> tuple[Key, ...]:
    """The keys of *scopes*, in the order of the scopes and of the registry."""
    return tuple(key for scope in scopes for key in KEYS if key.scope == scope)


def bindings(*scopes: str) -> list[BindingType]:
    """The Textual bindings of *scopes*, for `BINDINGS` of an app, a screen or a widget."""
    return [Binding(",".join(key.keys), key.action, key.id, show=False, priority=True) for key in in_scopes(scopes)]


def prompt_action(key: str) -> str:
    """What *key* does while a line is typed; empty when it is text or editing."""
    return next((row.action for row in KEYS if row.scope in {"prompt", "command"} and key in row.keys), "")


def footer(scopes: Sequence[str], words: Words) -> list[tuple[str, str]]:
    """(key, label) pairs of the key line, most useful first."""
    shown = sorted((key for key in in_scopes(scopes) if key.footer), key=lambda key: key.footer)
    return [(display(key.keys[0]), words(f"keys.{key.id}.label")) for key in shown]


def help_rows(scope: str, words: Words) -> list[tuple[str, str]]:
    """(keys, explanation) pairs of one scope, for the help view and the documentation; one for all keys of an id."""
    named: dict[str, list[str]] = {}
    for key in in_scopes((scope,)):
        named.setdefault(key.id, []).extend(display(name) for name in key.keys)
    return [(" ".join(keys), words(f"keys.{id}.help")) for id, keys in named.items()]


def scopes() -> tuple[str, ...]:
    """Every scope of the registry, in its order."""
    return tuple(dict.fromkeys(key.scope for key in KEYS))


def documentation() -> str:
    """The text of docs/keys.md."""
    words = Words("en")
    parts = [
        "# Keys\n",
        "Made from the key registry (`meshdoctor/tui/keys.py`) by `python -m meshdoctor.tui.keys`; edit that.\n",
    ]
    for scope in scopes():
        parts.append(f"## {words(f'scope.{scope}')}\n")
        parts.append("| key | what it does |\n| --- | --- |")
        for keys, text in help_rows(scope, words):
            shown = " ".join(f"`{key}`" for key in keys.split())
            parts.append(f"| {shown} | {text} |")
        parts.append("")
    return "\n".join(parts)


def main() -> int:
    """Write docs/keys.md beside the package (a source checkout)."""
    path = Path(__file__).resolve().parents[2] / "docs" / "keys.md"
    if not path.parent.is_dir():
        print(f"meshdoctor: {path.parent} is no directory: run this in a source checkout", file=sys.stderr)
        return 2
    path.write_text(documentation(), encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
