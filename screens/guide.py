"""The guide: the verdicts as they are reached, and each step of the flowchart with what it found and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.present.guide_columns import COLUMNS, RUNNING
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import Navigator

if TYPE_CHECKING:
    from meshdoctor.present.guide_rows import Progress


class GuideScreen(FactsScreen["Progress"]):
    """The flowchart, walked for the question, for all failing flows, or for the one that the command names."""

    SCOPES = ("table", "flow", "guide", "views")
    COUNTED = False
    BINDINGS: ClassVar[list[BindingType]] = bindings("flow", "guide", "views")

    def compose_body(self) -> ComposeResult:
        """One outline of rows."""
        yield LineTable(COLUMNS, words=self.words, empty=self.words("guide.reading"))

    def work(self) -> None:
        """Each step as it is taken."""
        from meshdoctor.present.guide_rows import Progress  # brings all probes: after the first paint

        examination = self.session.of_case(self.location.argument)
        progress = Progress(examination.cases, (), None, True, self.location.argument)
        self.tell(progress)
        for step in self.session.steps(examination):
            if self.is_left:
                return
            diagnosis = examination.diagnosis() if step.finding.verdicts else progress.diagnosis
            progress = progress._replace(steps=(*progress.steps, step), diagnosis=diagnosis)
            self.tell(progress)
        self.session.overview(self.words)
        found = self.session.with_earlier(examination.diagnosis())
        self.session.note(found, self.words, whole=not self.location.argument)
        self.tell(progress._replace(diagnosis=found, running=False))

    def show_facts(self, facts: Progress) -> None:
        """The outline, wrapped to the width."""
        from meshdoctor.present.guide_rows import guide_rows

        table = self.query_one(LineTable)
        untouched = table.cursor_row is None or table.cursor_row.key in (RUNNING, table.rows.shown[0].key)
        table.show(guide_rows(facts, self.words, self.app.size.width))
        if untouched:
            table.action_top()  # verdicts are added on top, and are what a person wants to see first

    def counts(self) -> Sequence[Text]:
        """Whether requests fail now, and how far the guide is."""
        if self.facts is None:
            return ()
        from meshdoctor.present.guide_rows import headline

        return tuple(headline(self.facts, self.words))

    def crumb(self) -> str:
        """The flow, when it is just one."""
        return " -> ".join(self.location.argument.split(" ", 1)) or self.location.name

    async def on_facts_screen_gathered(self, message: FactsScreen.Gathered) -> None:
        """Where nothing fails and nobody asked, the mesh is the better first view."""
        done: Progress = message.facts
        untouched = len(self.app.screen_stack) == 1 and not self.location.argument and not self.session.asked
        if untouched and not done.running and not done.cases and isinstance(self.app, Navigator):
            await self.app.go("mesh")
            self.app.say(self.words("guide.nothing_fails"))

    async def action_trace(self) -> None:
        """The way of the request that the row is about."""
        from meshdoctor.present.trace_rows import guide_command

        row = self.query_one(LineTable).cursor_row
        command = guide_command(self.facts, row.key if row else "") if self.facts else ""
        if not command:
            self.say(self.words("trace.nobody"), "warning")
        elif isinstance(self.app, Navigator):
            await self.app.go(command)
