"""The contexts of the kubeconfig: `contexts`. Enter looks at the cluster of one; kubectl's own choice stays."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.errors import UsageError
from meshdoctor.present.context_rows import COLUMNS, context_rows
from meshdoctor.present.table import Row
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.livesession import LiveSession


class ContextsScreen(FactsScreen[tuple[Row, ...]]):
    """A table of what `kubectl config get-contexts` lists."""

    SCOPES = ("table", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("views")

    def compose_body(self) -> ComposeResult:
        """The contexts."""
        yield LineTable(COLUMNS, words=self.words, empty=self.words("kubeconfig.reading"))

    def gather(self) -> tuple[Row, ...]:
        """As the kubeconfig is now."""
        session = self.session
        if not isinstance(session, LiveSession):
            raise UsageError(self.words("live.not_live"))
        found = session.contexts()
        return context_rows(found.entries, found.current, session.context)

    def show_facts(self, facts: tuple[Row, ...]) -> None:
        """A row each; the cursor begins on the one that is shown."""
        table = self.query_one(LineTable)
        table.say_when_empty(self.words("kubeconfig.none"))
        first = not table.rows.by_key
        table.show(facts)
        if first and isinstance(self.session, LiveSession):
            table.move_to(self.session.context)
