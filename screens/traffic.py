"""Failing traffic: who called what, how it failed, how often, since when; Enter asks the guide about the flow."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.mesh.failing_flows import FailingFlow, failing_flows
from meshdoctor.present.table import Row
from meshdoctor.present.trace_rows import flow_command
from meshdoctor.present.traffic_rows import COLUMNS, flow_lines, traffic_rows
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import Navigator
from meshdoctor.tui.textview import TextView


class TrafficScreen(FactsScreen[tuple[FailingFlow, ...]]):
    """A table of failures, and what the one under the cursor means."""

    SCOPES = ("table", "flow", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("flow", "views")
    DEFAULT_CSS = "TrafficScreen TextView { height: 50%; max-height: 14; background: $panel; }"

    def compose_body(self) -> ComposeResult:
        """The failures."""
        yield LineTable(COLUMNS, words=self.words, empty=self.words("traffic.reading"), highlighted=self._explain)
        yield TextView()

    def gather(self) -> tuple[FailingFlow, ...]:
        """Every kind of failure of every flow."""
        return failing_flows(self.session.examination().traffic.cases)

    def show_facts(self, facts: tuple[FailingFlow, ...]) -> None:
        """A row each."""
        table = self.query_one(LineTable)
        table.say_when_empty(self.words("traffic.nothing_fails"))
        table.show(traffic_rows(facts, self.words))
        self._explain(table.cursor_row)

    def _flow(self, row: Row | None) -> FailingFlow | None:
        return self.facts[int(row.key.partition(" ")[0])] if row and self.facts else None

    async def action_trace(self) -> None:
        """The way of the request that fails."""
        flow = self._flow(self.query_one(LineTable).cursor_row)
        command = flow_command(flow) if flow else ""
        if not command:
            self.say(self.words("trace.nobody"), "warning")
        elif isinstance(self.app, Navigator):
            await self.app.go(command)

    def _explain(self, row: Row | None) -> None:
        flow = self._flow(row)
        view = self.query_one(TextView)
        view.show(flow_lines(flow, self.words, self.app.size.width - 1) if flow else ())
        view.action_top()
