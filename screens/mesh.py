"""The mesh: every proxy with its sync state per xDS type, versions and age; problems first."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.mesh.overview import ProxyState
from meshdoctor.present.mesh_rows import COLUMNS, detail, mesh_rows
from meshdoctor.present.table import Row
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import Navigator
from meshdoctor.tui.textview import TextView


class MeshScreen(FactsScreen[tuple[ProxyState, ...]]):
    """A table of proxies, and the one under the cursor in words."""

    SCOPES = ("table", "mesh", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("mesh", "views")
    DEFAULT_CSS = "MeshScreen TextView { height: 3; background: $panel; }"

    def compose_body(self) -> ComposeResult:
        """The proxies."""
        yield LineTable(
            COLUMNS, words=self.words, empty=self.words("mesh.reading"), frozen=3, highlighted=self._describe
        )
        yield TextView()

    def gather(self) -> tuple[ProxyState, ...]:
        """Every proxy."""
        return self.session.overview(self.words)

    def show_facts(self, facts: tuple[ProxyState, ...]) -> None:
        """A row each."""
        table = self.query_one(LineTable)
        table.say_when_empty(self.words("mesh.no_proxies"))
        table.show(mesh_rows(facts))

    def _describe(self, row: Row | None) -> None:
        found = next((each for each in self.facts or () if row and str(each.pod) == row.key), None)
        self.query_one(TextView).show(detail(found, self.words) if found else ())

    async def _go(self, command: str) -> None:
        row = self.query_one(LineTable).cursor_row
        if row and isinstance(self.app, Navigator):
            await self.app.go(command.format(row.key))

    async def action_object(self) -> None:
        """The pod's object."""
        await self._go("object Pod {}")

    async def action_log(self) -> None:
        """The proxy's log."""
        await self._go("log {} istio-proxy")
