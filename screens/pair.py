"""Why one client and one service do or do not agree on mTLS: `pair NS/WORKLOAD HOST[:PORT]`."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.mesh.mtls.survey import survey_of_pair
from meshdoctor.mesh.mtls.view import object_wants, proxy_wants
from meshdoctor.present.mtls_why import COLUMNS, why_rows
from meshdoctor.present.table import Row
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable


class PairScreen(FactsScreen[tuple[Row, ...]]):
    """What is declared, configured and observed; Enter opens the object that decides."""

    SCOPES = ("table", "views")
    COUNTED = False
    BINDINGS: ClassVar[list[BindingType]] = bindings("views")

    def compose_body(self) -> ComposeResult:
        """One outline of rows."""
        yield LineTable(COLUMNS, words=self.words, empty=self.words("mtls.reading"))

    def gather(self) -> tuple[Row, ...]:
        """The whole answer, wrapped to the width that the view has now."""
        client, _, target = self.location.argument.partition(" ")
        with self.session.mesh(object_wants()) as mesh:
            wants = self.session.spared(mesh, proxy_wants(mesh, counters=True), client, target.strip())
        with self.session.mesh(wants) as mesh:
            return tuple(why_rows(survey_of_pair(mesh, client, target.strip()), self.words, self.app.size.width))

    def show_facts(self, facts: tuple[Row, ...]) -> None:
        """The rows."""
        self.query_one(LineTable).show(facts)

    def on_resize(self) -> None:
        """Another width wraps the lines anew."""
        if self.facts is not None:
            self.start()

    def crumb(self) -> str:
        """The two sides."""
        return " -> ".join(self.location.argument.split(" ", 1))
