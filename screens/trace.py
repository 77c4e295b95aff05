"""What happens to a request, hop by hop: `trace NS/WORKLOAD HOST[:PORT][/PATH] [METHOD] [NAME:VALUE ...]`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from msgspec.structs import replace
from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.errors import UsageError
from meshdoctor.mesh.named import one_named
from meshdoctor.mesh.trace.journey import journey
from meshdoctor.mesh.trace.logged import log_wants, logged, with_logs
from meshdoctor.mesh.trace.outcome import Trace
from meshdoctor.mesh.trace.question import TraceQuestion, parse_words
from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import Want
from meshdoctor.present.table import Row
from meshdoctor.present.trace_rows import COLUMNS, config_command, first_failure, hop_lines, trace_rows
from meshdoctor.present.words import Words
from meshdoctor.tui.examined import ExaminedSession
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import Location, Navigator
from meshdoctor.tui.textview import TextView

ROUNDS = 12
"""Reading goes from proxy to proxy; a request passes fewer Envoys than this."""


class TraceScreen(FactsScreen[Trace]):
    """A row a hop; Enter opens the Istio object or the part of the dump that it comes from."""

    SCOPES = ("table", "trace", "views")
    COUNTED = False
    BINDINGS: ClassVar[list[BindingType]] = bindings("trace", "views")
    DEFAULT_CSS = "TraceScreen TextView { height: 7; background: $panel; }"

    def __init__(self, session: ExaminedSession, location: Location, words: Words) -> None:
        """The location is read at once, so that a mistake in it opens no view.

        Raises:
            UsageError: it names no client or no target.
        """
        super().__init__(session, location, words)
        try:
            self.question: TraceQuestion = parse_words(location.argument)
        except ValueError as error:
            raise UsageError(str(error), ":trace NS/WORKLOAD HOST[:PORT][/PATH]") from None

    def compose_body(self) -> ComposeResult:
        """The hops, and the one under the cursor in words."""
        reading = self.words("trace.reading")
        yield LineTable(COLUMNS, words=self.words, empty=reading, highlighted=self._explain)
        yield TextView()

    def gather(self) -> Trace:
        """The trace; what it needs is read from proxy to proxy."""
        question = self._whose()
        wants: Iterable[Want[Any]] = ()
        for _ in range(ROUNDS):
            with self.session.mesh(wants) as mesh:
                found, wants = journey(mesh.snapshot, question)
            if not wants:
                break
        with self.session.mesh(log_wants(mesh, found)) as mesh:
            return with_logs(found, logged(mesh, question))

    def _whose(self) -> TraceQuestion:
        """The question with its client as namespace and name; raises `NothingMatches`."""
        asked = self.question
        kinds = ("Pod", "ReplicaSet", "Service")
        with self.session.mesh([ask.Contents(), *(ask.Objects(kind) for kind in kinds)]) as mesh:
            found = one_named(mesh, f"{asked.namespace}/{asked.client}" if asked.namespace else asked.client)
        name = found.pods[0].name if len(found.pods) == 1 else found.workload.name
        return replace(asked, namespace=found.workload.namespace, client=name)

    def show_facts(self, facts: Trace) -> None:
        """The hops; the cursor goes to the failing one."""
        table = self.query_one(LineTable)
        first = not table.rows.by_key
        table.show(trace_rows(facts, self.words))
        if first:
            self.call_after_refresh(self._go_to_failure)
        self._explain(table.cursor_row)

    def _go_to_failure(self) -> None:
        """The failing hop, with what is said of the end in sight below it if both fit."""
        if self.facts is not None:
            table = self.query_one(LineTable)
            table.action_bottom()
            table.move_to(first_failure(self.facts))

    def _explain(self, row: Row | None) -> None:
        view = self.query_one(TextView)
        view.show(
            hop_lines(self.facts, row.key, self.words, self.app.size.width - 1)
            if row and self.facts is not None
            else ()
        )
        view.action_top()

    async def action_json(self) -> None:
        """What the proxy holds for this hop, whatever object it comes from."""
        row = self.query_one(LineTable).cursor_row
        if row and row.key.isdigit() and self.facts is not None and isinstance(self.app, Navigator):
            command = config_command(int(row.key), self.facts.hops)
            if command:
                await self.app.go(command)

    def crumb(self) -> str:
        """The two ends."""
        return f"trace {' -> '.join(self.location.argument.split(' ', 1))}"
