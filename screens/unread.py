"""What could not be read, and why: the RBAC rule that is missing, the pod that is gone, the file that is none."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.model.snapshot import Missing, Snapshot
from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.table import Cell
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.textview import TextView


class UnreadScreen(FactsScreen[tuple[str, ...]]):
    """One reason after another, each whole."""

    SCOPES = ("text", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("views")

    def compose_body(self) -> ComposeResult:
        """The text."""
        yield TextView([f" {self.words('document.reading')}"])

    def gather(self) -> tuple[str, ...]:
        """A line for each answer that is missing, and for each that was read only in part."""
        with self.session.mesh() as mesh:
            missing = {str(fact) if not fact.file else f"{fact.file}: {fact}" for fact in self._missing(mesh.snapshot)}
            return (*sorted(missing), *mesh.snapshot.problems())

    @staticmethod
    def _missing(snapshot: Snapshot) -> list[Missing]:
        # A recording is not expected to hold every file; a cluster is expected to answer.
        return [fact for fact in snapshot.missing().values() if fact.reason != "not recorded"]

    def show_facts(self, facts: tuple[str, ...]) -> None:
        """The lines, folded."""
        width = max(20, self.app.size.width - 2)
        words = self.words("unread.title", count=len(facts)) if facts else self.words("unread.nothing")
        lines: list[Cell] = [Text(f" {words}", style="title")]
        for fact in facts:
            lines += ["", *wrap(fact, "   ", " ", width=width)]
        self.query_one(TextView).show(lines)
