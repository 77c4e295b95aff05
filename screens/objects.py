"""The objects of one kind by name: `objects KIND`; Enter shows one as YAML."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.errors import NothingMatches
from meshdoctor.mesh.ages import human_duration
from meshdoctor.model import wants as ask
from meshdoctor.model.kind_names import kind_called
from meshdoctor.model.meta import Object
from meshdoctor.model.moment import unix
from meshdoctor.present.table import Column, Row
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable

COLUMNS = (
    Column("namespace", "NAMESPACE", 12, flex=1, widest=40, priority=0),
    Column("name", "NAME", 30, flex=3, priority=0, elide="middle"),
    Column("age", "AGE", 6, priority=1, align="right", order="duration"),
)


class ObjectsScreen(FactsScreen[tuple[Row, ...]]):
    """A row for each object of the kind."""

    SCOPES = ("table", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("views")

    def compose_body(self) -> ComposeResult:
        """The rows."""
        yield LineTable(COLUMNS, words=self.words, empty=self.words("document.reading"))

    def gather(self) -> tuple[Row, ...]:
        """Their names and ages, by namespace.

        Raises:
            NothingMatches: no kind that is read is called so.
            SourceError: the objects cannot be read.
        """
        kind = kind_called(self.location.argument)
        if kind is None:
            raise NothingMatches(f"no kind {self.location.argument} is read", ())
        found: tuple[Object, ...] = self.fact(ask.Objects(kind.name), where=kind.file)
        ordered = sorted(found, key=lambda each: (each.namespace, each.name))
        return tuple(self._row(kind.name, each) for each in ordered)

    def _row(self, kind: str, found: Object) -> Row:
        created = unix(found.metadata.creation_timestamp or "")
        age = human_duration(max(0.0, self.session.now - created)) if created is not None else "-"
        name = f"{found.namespace}/{found.name}" if found.namespace else found.name
        return Row(name, (found.namespace or "-", found.name, age), f"object {kind} {name}", copies=name)

    def show_facts(self, facts: tuple[Row, ...]) -> None:
        """The rows."""
        table = self.query_one(LineTable)
        table.say_when_empty(self.words("objects.none"))
        table.show(facts)

    def crumb(self) -> str:
        """The kind."""
        kind = kind_called(self.location.argument)
        return kind.name if kind else self.location.argument
