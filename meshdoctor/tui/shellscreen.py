"""The base of every view: two header lines, a body, the message line and the key line.

    class MeshScreen(ShellScreen):
        SCOPES = ("table", "mesh")           # whose keys the key line and ? show, besides "app"
        BINDINGS = bindings("mesh")          # rows of the key registry with scope "mesh", if it has keys of its own

        def compose_body(self) -> ComposeResult:
            yield LineTable(COLUMNS, rows_of(self.session), words=self.words)

Enter on a table row opens `Row.target` without any code here. Data that comes later is given to the widgets by the
screen (`table.show(rows)`, `table.patch(...)`), then `refresh_chrome()` renews the header.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.message import Message
from textual.screen import Screen

from meshdoctor.present.short_names import ends
from meshdoctor.present.table import ELISION, Cell, plain
from meshdoctor.present.words import Words
from meshdoctor.tui.chrome import ChromeLine, key_line
from meshdoctor.tui.journal import SAID
from meshdoctor.tui.keys import footer
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.mistakes import Survivor, begins
from meshdoctor.tui.prompt import Prompt
from meshdoctor.tui.router import Location
from meshdoctor.tui.session import Session

TROUBLES = ("warning", "error")
"""Styles of lines that are kept."""

LEAST = (60, 15)
"""Columns and lines below which a view says that it is cramped."""


@runtime_checkable
class Filterable(Protocol):
    """A widget that `/` works on: LineTable, TextView, or a screen's own."""

    def set_filter(self, query: str) -> None:
        """Keep or find what *query* names; empty ends it."""


class ShellScreen(Screen[None]):
    """A view: made with the session and the location that opened it; `compose_body` is what a screen adds."""

    SCOPES: ClassVar[tuple[str, ...]] = ()
    COUNTED: ClassVar[bool] = True
    """Whether the number of rows says something."""
    DEFAULT_CSS = """
    ShellScreen { layout: vertical; overflow: hidden; }
    ShellScreen.-bare > .-header { display: none; }
    """

    def __init__(self, session: Session, location: Location, words: Words) -> None:
        super().__init__()
        self.session = session
        self.location = location
        self.words = words
        self.filter = location.filter
        """Of what is in sight."""
        self._table_filters: dict[str, str] = {}
        """Of each table that was in sight, by its id, where a view has several."""
        self._context_line = ChromeLine("-header -context")
        self._crumbs_line = ChromeLine("-header -crumbs")
        self._message_line = ChromeLine("-message")
        self._keys_line = ChromeLine("-keys")
        self._trail: Sequence[str] = (str(location),)

    async def _dispatch_message(self, message: Message) -> None:
        """What a view does with a message may fail; it stays on the screen all the same."""
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            if begins(message) or not (isinstance(self.app, Survivor) and self.app.survive(error)):
                raise

    def compose(self) -> ComposeResult:
        """The frame around the body."""
        yield self._context_line
        yield self._crumbs_line
        yield from self.compose_body()
        yield self._message_line
        yield self._keys_line

    def compose_body(self) -> ComposeResult:
        """The widgets of the view, between the header and the message line."""
        raise NotImplementedError

    # What a screen may say about itself.

    def crumb(self) -> str:
        """What this view is called in the crumbs; a table's counts are added."""
        return " ".join(part for part in (self.location.name, self.location.argument) if part)

    def counts(self) -> Sequence[Text]:
        """What stands at the right of the second line."""
        return self.session.counts

    def key_scopes(self) -> tuple[str, ...]:
        """Whose keys work here."""
        return (*self.SCOPES, "app")

    # What the shell asks of it.

    @property
    def filtered_widget(self) -> Filterable | None:
        """What `/` works on: the focused widget if it can, else the first that can."""
        if isinstance(self.focused, Filterable):
            return self.focused
        return next((widget for widget in self.query("*") if isinstance(widget, Filterable)), None)

    def set_filter(self, query: str) -> None:
        """Filter, or find in, what the view shows."""
        self.filter = query
        if widget := self.filtered_widget:
            widget.set_filter(query)
        self.refresh_crumbs()

    def bring(self, name: str) -> LineTable:
        """Put one of several tables in sight, with its own filter; the next key acts on it."""
        for table in self.query(LineTable):
            if table.display:
                self._table_filters[str(table.id)] = self.filter
            table.display = table.id == name
        self.filter = self._table_filters.get(name, "")
        brought = self.query_one(f"#{name}", LineTable)
        self.set_focus(brought)
        self.refresh_crumbs()
        return brought

    def set_trail(self, trail: Sequence[str]) -> None:
        """The names of the views below this one."""
        self._trail = trail
        self.refresh_crumbs()

    def say(self, text: str, style: str = "") -> None:
        """Show one line on the message row, until the next key; what is wrong stays in `:errors`."""
        if text and style in TROUBLES:
            self.session.journal.note(SAID, text)
        self._message_line.write(Text(f" {text}", style=style) if text else "")

    def show_prompt(self, prompt: Prompt | None) -> int:
        """Show the prompt in place of the message and key lines; returns the caret's column in cells."""
        if prompt is None:
            self.say("")
            self.refresh_keys()
            return 0
        line = Text.assemble(prompt.mark, prompt.text, (prompt.hint() or " ", "quiet"))
        caret = 1 + prompt.editor.caret
        line.stylize("reverse", caret, caret + 1)
        self._message_line.write(line)
        keys = footer(("prompt", "command") if prompt.kind == "command" else ("prompt",), self.words)
        self._keys_line.write(key_line(keys, self.app.size.width))
        return 1 + prompt.editor.caret_cells

    # The chrome.

    def refresh_chrome(self) -> None:
        """Renew all that is said about the session and the view; a message stays."""
        self.refresh_context()
        self.refresh_crumbs()
        self.refresh_keys()

    def refresh_context(self) -> None:
        """Renew the first line: what is looked at, and when it was read."""
        session, words = self.session, self.words
        width, height = self.app.size
        right = self.freshness()
        if width < LEAST[0] or height < LEAST[1]:
            right = words("shell.too_small", columns=LEAST[0], lines=LEAST[1], width=width, height=height)
        rest = f"  {session.source}  {words('shell.read_only')}"
        told = "  kubectl: " if session.elsewhere else ""
        room = width - cell_len(f" {rest}{told}  {plain(right)} ")
        title, elsewhere = ends([session.title, session.elsewhere], room)
        left = Text.assemble(f" {title}{rest}", (f"{told}{elsewhere}", "state.stale"))
        self._context_line.write(left, Text.assemble(right, " "))

    def freshness(self) -> Cell:
        """How old the facts are that the view shows."""
        return self.session.freshness(self.words)

    def start(self, *, renew: bool = False) -> None:
        """Gather what the view shows, if it gathers anything; *renew*: from the source, not from what is known."""

    def beat(self) -> None:
        """Once a second while the view is in sight and its source is live."""
        self.refresh_context()

    def refresh_crumbs(self) -> None:
        """Renew the second line: where we are, how much of it is shown, and the counts."""
        table = next((each for each in self.query(LineTable) if each.display), None)
        here = self.crumb()
        if table is not None and self.COUNTED:
            shown, total = len(table.rows.shown), len(table.rows.by_key)
            here += f"[{total:,}]" if shown == total else f"[{shown:,} of {total:,}]"
        counts = Text("  ").join(self.counts())
        trail = [*self._trail[:-1], here]
        room = self.app.size.width - cell_len(counts.plain) - len(self.filter) - 6
        while len(trail) > 2 and cell_len(" > ".join(trail)) > room:
            trail = [ELISION, *trail[2:]]  # where we are is worth more than how we came
        crumbs = Text(f" {' > '.join(trail)}", no_wrap=True)
        if self.filter:
            crumbs.append(f"  /{self.filter}", style="command")
        self._crumbs_line.write(crumbs, Text.assemble(counts, " "))

    def refresh_keys(self) -> None:
        """Renew the key line."""
        self._keys_line.write(key_line(footer(self.key_scopes(), self.words), self.app.size.width))

    def on_mount(self) -> None:
        """Everything is on the first frame, filtered as the location says."""
        if self.filter:
            self.set_filter(self.filter)
        self.refresh_chrome()

    def on_resize(self) -> None:
        """Other keys fit now."""
        self.refresh_chrome()

    def on_line_table_arranged(self) -> None:
        """Another number of rows is shown."""
        self.refresh_crumbs()
