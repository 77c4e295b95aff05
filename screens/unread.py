"""What could not be read, and why: the RBAC rule that is missing, the pod that is gone, the file that is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.model.snapshot import Missing
from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.table import Cell
from meshdoctor.present.words import Words
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.journal import missing_rule
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.textview import TextView

SHOWN_FILES = 4
"""Answers that are named where one reason keeps many from being read."""


def reasons(missing: Iterable[Missing], words: Words) -> list[str]:
    """Each reason once, with the answers that it keeps back; what is forbidden first, by the rule that is missing."""
    files: dict[tuple[bool, str], list[str]] = {}
    for fact in missing:
        rule = missing_rule(fact)
        reason = f"{fact.reason}: {rule}" if rule else str(fact)
        files.setdefault((fact.reason != "forbidden", reason), []).append(fact.file)
    lines = []
    for (_, reason), names in sorted(files.items()):
        known = sorted(filter(None, names))
        more = f" {words('unread.more', count=len(known) - SHOWN_FILES)}" if len(known) > SHOWN_FILES else ""
        lines.append(f"{words.said(reason)}  {', '.join(known[:SHOWN_FILES])}{more}".rstrip())
    return lines


class UnreadScreen(FactsScreen[tuple[str, ...]]):
    """One reason after another, each whole, with what could not be read for it."""

    SCOPES = ("text", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("views")

    def compose_body(self) -> ComposeResult:
        """The text."""
        yield TextView([f" {self.words('document.reading')}"])

    def gather(self) -> tuple[str, ...]:
        """A line for each reason, what is forbidden first; then what was read only in part."""
        with self.session.mesh() as mesh:
            # A recording is not expected to hold every file; a cluster is expected to answer.
            missing = [fact for fact in mesh.snapshot.missing().values() if fact.reason != "not recorded"]
            found = mesh.snapshot
            partly = map(self.words.said, (*found.parts(), *found.cut_logs(), *found.problems()))
            return (*reasons(missing, self.words), *partly)

    def show_facts(self, facts: tuple[str, ...]) -> None:
        """The lines, folded."""
        width = max(20, self.app.size.width - 2)
        words = self.words("unread.title", count=len(facts)) if facts else self.words("unread.nothing")
        lines: list[Cell] = [Text(f" {words}", style="title")]
        for fact in facts:
            lines += ["", *wrap(fact, "   ", " ", width=width)]
        self.query_one(TextView).show(lines)
