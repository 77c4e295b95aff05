"""The mesh: every proxy with its sync state per xDS type, versions and age; problems first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.mesh.overview import ProxyState, lacks_version
from meshdoctor.model.snapshot import PodRef
from meshdoctor.present.mesh_rows import COLUMNS, detail, mesh_rows
from meshdoctor.present.table import Row
from meshdoctor.present.words import Words
from meshdoctor.tui.examined import ExaminedSession
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import Location, Navigator
from meshdoctor.tui.tablerows import kept_row
from meshdoctor.tui.textview import TextView

FIRST_SIGHT = 60
"""Proxies that are taken for those in sight while there are no rows yet: more than a screen has lines."""


class Proxies(NamedTuple):
    """Every proxy, as a row and by the key of its row."""

    rows: tuple[Row, ...]
    states: Mapping[str, ProxyState]


class MeshScreen(FactsScreen[Proxies]):
    """A table of proxies, and the one under the cursor in words."""

    SCOPES = ("table", "mesh", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("mesh", "views")
    DEFAULT_CSS = "MeshScreen TextView { height: 4; background: $panel; }"

    def __init__(self, session: ExaminedSession, location: Location, words: Words) -> None:
        super().__init__(session, location, words)
        self._in_sight: tuple[PodRef, ...] = ()
        self._asked: set[PodRef] = set()
        """Those that were in sight when they were read."""
        self._told: Mapping[str, Row] = {}
        self._table = LineTable(COLUMNS, words=words, empty=words("mesh.reading"), frozen=3, highlighted=self._describe)

    def compose_body(self) -> ComposeResult:
        """The proxies."""
        yield self._table
        yield TextView()

    def start(self, *, renew: bool = False, by_itself: bool = False) -> None:
        """As every view; more is read of the proxies in sight than of the others."""
        self._in_sight = self._rows_in_sight()
        super().start(renew=renew, by_itself=by_itself)

    def beat(self) -> None:
        """Proxies that came in sight are read as well."""
        if not self.is_reading and self.session.live and not self._asked.issuperset(self._rows_in_sight()):
            self.start()
        super().beat()

    def _rows_in_sight(self) -> tuple[PodRef, ...]:
        return tuple(PodRef(*row.key.split("/", 1)) for row in self._table.in_sight)

    def work(self) -> None:
        """What the istiods know of all proxies first: proxies that do not answer must not keep it waiting."""
        in_sight: tuple[PodRef, ...] | None = None if self.session.live else ()
        found = self._tell(self.session.overview(self.words, in_sight))
        wanted = self._in_sight or tuple(state.pod for state in found[:FIRST_SIGHT])
        if self.session.live and lacks_version(found, wanted):
            found = self._tell(self.session.overview(self.words, wanted))
        self._asked = {state.pod for state in found}.intersection((*self._asked, *wanted))

    def _tell(self, found: tuple[ProxyState, ...]) -> tuple[ProxyState, ...]:
        # Compared here, in the thread: thousands of rows would keep the next key waiting.
        before = self._told
        rows = tuple(kept_row(before.get(row.key), row) for row in mesh_rows(found, self.words))
        self._told = {row.key: row for row in rows}
        self.tell(Proxies(rows, {str(state.pod): state for state in found}))
        return found

    def show_facts(self, facts: Proxies) -> None:
        """A row each."""
        self._table.say_when_empty(self.words("mesh.no_proxies"))
        self._table.show(facts.rows)

    def _describe(self, row: Row | None) -> None:
        found = self.facts.states.get(row.key) if self.facts and row else None
        self.query_one(TextView).show(detail(found, self.words, self.app.size.width) if found else ())

    async def _go(self, command: str) -> None:
        row = self._table.cursor_row
        if row and isinstance(self.app, Navigator):
            await self.app.go(command.format(row.key))

    async def action_object(self) -> None:
        """The pod's object."""
        await self._go("object Pod {}")

    async def action_log(self) -> None:
        """The proxy's log."""
        await self._go("log {} istio-proxy")

    async def action_inspect(self) -> None:
        """What differs between what istiod would send the proxy and what it runs."""
        await self._go("difference {} istiod")
