"""The whole diagnosis as text, as `meshdoctor diagnose` prints it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.guide.diagnosis import Diagnosis
from meshdoctor.present.diagnosis import diagnosis_lines
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.textview import TextView


class ReportScreen(FactsScreen[Diagnosis]):
    """`report [FROM TO]`: of all that was asked, or of one flow."""

    SCOPES = ("text", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("views")

    def compose_body(self) -> ComposeResult:
        """The text."""
        yield TextView([f" {self.words('guide.reading')}"])

    def gather(self) -> Diagnosis:
        """The diagnosis after the last step."""
        examination = self.session.of_case(self.location.argument)
        for _ in self.session.steps(examination):
            if self.is_left:
                break
        found = self.session.with_earlier(examination.diagnosis())
        self.session.note(found, self.words, whole=not self.location.argument)
        return found

    def show_facts(self, facts: Diagnosis) -> None:
        """Its lines."""
        width = min(self.app.size.width - 2, 100)
        self.query_one(TextView).show(f" {line}" for line in diagnosis_lines(facts, width, self.words.language))
