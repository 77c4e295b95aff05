"""A container's log, with the cursor on the line that a piece of evidence names; the line is shown whole, explained."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.errors import NothingMatches, SourceError
from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import Missing
from meshdoctor.present.log_rows import COLUMNS, Read, line_detail, log_rows
from meshdoctor.present.table import Row
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.textview import TextView

CONTEXT = 3
"""Lines below the one that is looked for."""


class Log(NamedTuple):
    """A log's rows, and what its lines mean by number."""

    rows: tuple[Row, ...]
    read: Mapping[int, Read]


class LogScreen(FactsScreen[Log]):
    """`log NS/POD CONTAINER [LINE] [previous]`."""

    SCOPES = ("table", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("views")
    DEFAULT_CSS = "LogScreen TextView { height: 50%; max-height: 14; background: $panel; }"

    def compose_body(self) -> ComposeResult:
        """The lines, and the chosen one in full."""
        yield LineTable(COLUMNS, words=self.words, empty=self.words("log.reading"), highlighted=self._explain)
        yield TextView()

    def _parts(self) -> tuple[str, str, str, bool]:
        pod, _, rest = self.location.argument.partition(" ")
        words = rest.split()
        previous = "previous" in words
        number = next((word for word in words if word.isdigit()), "")
        container = next((word for word in words if not word.isdigit() and word != "previous"), "istio-proxy")
        return pod, container, number, previous

    def gather(self) -> Log:
        """The log as text, and as what its lines mean."""
        pod, container, _, previous = self._parts()
        with self.session.mesh([ask.Contents()]) as mesh:
            known = {(str(log.pod), log.container, log.previous): log for log in mesh.inventory.logs}
        log = known.get((pod, container, previous))
        if log is None:
            near = get_close_matches(f"{pod} {container}", [f"{each[0]} {each[1]}" for each in known], n=1, cutoff=0.4)
            raise NothingMatches(f"no log of {pod} {container} was recorded", tuple(near))
        with self.session.mesh([ask.LogText(log), ask.AccessLog(log), ask.ApplicationLog(log)]) as mesh:
            text = mesh.snapshot.get(ask.LogText(log))
            access = mesh.snapshot.value(ask.AccessLog(log))
            calls = mesh.snapshot.value(ask.ApplicationLog(log))
            tunnel = mesh.snapshot.value(ask.ZtunnelAccessLog(log))
        if isinstance(text, Missing):
            raise SourceError(f"{text.file}: {text}")
        lines: tuple[Read, ...] = (
            *(calls.calls if calls else ()),
            *(access.lines if access else ()),
            *(tunnel.lines if tunnel else ()),
        )
        read = {line.line: line for line in lines}
        return Log(tuple(log_rows(text.value, read)), read)

    def show_facts(self, facts: Log) -> None:
        """The lines; the cursor goes to the one named when they come first."""
        table = self.query_one(LineTable)
        table.say_when_empty(self.words("log.empty"))
        first = not table.rows.by_key
        table.show(facts.rows)
        if first and (number := self._parts()[2]):
            self._go_to(int(number))
        self._explain(table.cursor_row)

    def _go_to(self, number: int) -> None:
        """Put the cursor on a line, with some of what follows in sight."""
        table = self.query_one(LineTable)
        table.move_to(str(min(number + CONTEXT, len(table.rows.by_key))))
        table.move_to(str(number))

    def crumb(self) -> str:
        """The pod and container."""
        pod, container, _, _ = self._parts()
        return f"log {pod} {container}"

    def _explain(self, row: Row | None) -> None:
        read = self.facts.read if self.facts else {}
        view = self.query_one(TextView)
        view.show(line_detail(row, read, self.words, self.app.size.width - 1))
        view.action_top()
