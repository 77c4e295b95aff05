"""The `?` view: the keys of the view it was opened from, and every command."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text
from textual.app import ComposeResult

from meshdoctor.present.table import Cell, fit_cell
from meshdoctor.present.words import Words
from meshdoctor.tui.keys import help_rows, scopes
from meshdoctor.tui.router import ROUTES, Route
from meshdoctor.tui.shellscreen import ShellScreen
from meshdoctor.tui.textview import TextView

KEYS_WIDTH = 24
"""Cells of the column with the keys."""


def help_lines(words: Words, first: tuple[str, ...], routes: tuple[Route, ...]) -> Iterator[Cell]:
    """The lines of the view: commands, then the keys of the scopes in *first*, then those of the others."""
    yield Text(f" {words('help.commands')}", style="title")
    for route in routes:
        called = " ".join(part for part in (f":{route.name}", route.argument) if part)
        also = f"  (:{' :'.join(route.aliases)})" if route.aliases else ""
        summary = f"command.{route.name}"
        yield _line(called, (words(summary) if summary in words else "") + also)
    for scope in (*first, *(each for each in scopes() if each not in first)):
        yield ""
        yield Text(f" {words(f'scope.{scope}')}", style="title")
        for keys, text in help_rows(scope, words):
            yield _line(keys, text)


def _line(left: str, right: str) -> Text:
    return Text.assemble("  ", (str(fit_cell(left, KEYS_WIDTH)), "key"), right)


class HelpScreen(ShellScreen):
    """All keys and commands; those of the view below come first."""

    SCOPES = ("text",)

    def compose_body(self) -> ComposeResult:
        """One long text."""
        below = [screen for screen in self.app.screen_stack if isinstance(screen, ShellScreen) and screen is not self]
        first = below[-1].key_scopes() if below else ("app",)
        routes: tuple[Route, ...] = getattr(self.app, "routes", ROUTES)
        yield TextView(help_lines(self.words, first, routes))
