"""The `?` view: the keys of the view it was opened from, and every command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult

from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.table import Cell, fit_cell
from meshdoctor.present.words import Words
from meshdoctor.tui.keys import help_rows, scopes
from meshdoctor.tui.router import ROUTES, Route
from meshdoctor.tui.shellscreen import ShellScreen
from meshdoctor.tui.textview import TextView

KEYS_WIDTH = 24
"""Cells of the column with the keys."""
GENERAL = ("table", "text", "app")
"""Scopes of nearly every view: below those that a view has for itself, and below the commands."""


def help_lines(words: Words, first: tuple[str, ...], routes: tuple[Route, ...], width: int = 80) -> Iterator[Cell]:
    """The lines of the view, at most *width* cells each.

    The keys that the view has for itself come first, then the commands, its other keys, and the keys of other views.
    *first*: the view's scopes.
    """
    own = tuple(each for each in first if each not in GENERAL)
    for scope in own:
        yield from _scope(scope, words, width)
    yield Text(f" {words('help.commands')}", style="title")
    for route in routes:
        called = " ".join(part for part in (f":{route.name}", route.argument) if part)
        also = f"  (:{' :'.join(route.aliases)})" if route.aliases else ""
        summary = f"command.{route.name}"
        yield from _entry(called, (words(summary) if summary in words else "") + also, width)
    yield ""
    rest: Iterable[str] = (*(each for each in first if each in GENERAL), *scopes())
    for scope in dict.fromkeys(each for each in rest if each not in own):
        yield from _scope(scope, words, width)


def _scope(scope: str, words: Words, width: int) -> Iterator[Cell]:
    yield Text(f" {words(f'scope.{scope}')}", style="title")
    for keys, text in help_rows(scope, words):
        yield from _entry(keys, text, width)
    yield ""


def _entry(left: str, right: str, width: int) -> Iterator[Text]:
    """What is typed beside what it does; what is typed has a line of its own where it is too long for that."""
    if cell_len(left) >= KEYS_WIDTH:
        yield Text.assemble("  ", (left, "key"))
        left = ""
    for part in list(wrap(right, width=max(20, width - KEYS_WIDTH - 3))) or [""]:
        yield Text.assemble("  ", (str(fit_cell(left, KEYS_WIDTH)), "key"), part)
        left = ""


class HelpScreen(ShellScreen):
    """All keys and commands; those of the view below come first."""

    SCOPES = ("text",)

    def compose_body(self) -> ComposeResult:
        """One long text."""
        yield TextView(self._lines())

    def _lines(self) -> Iterator[Cell]:
        below = [screen for screen in self.app.screen_stack if isinstance(screen, ShellScreen) and screen is not self]
        first = below[-1].key_scopes() if below else ("app",)
        routes: tuple[Route, ...] = getattr(self.app, "routes", ROUTES)
        return help_lines(self.words, first, routes, self.app.size.width)

    def on_resize(self) -> None:
        """Wrapped to the new width."""
        self.query_one(TextView).show(self._lines())
