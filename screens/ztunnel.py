"""A ztunnel: the workloads, services, policies, certificates and connections that it knows."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.errors import NothingMatches
from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import PodRef
from meshdoctor.present.ztunnel_rows import COLUMNS, TABLES, ZtunnelTables, json_command, ztunnel_tables
from meshdoctor.tui.chrome import ChromeLine, tab_line
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import Navigator


class ZtunnelScreen(FactsScreen[ZtunnelTables]):
    """`ztunnel NS/POD [TABLE]`: the tables of one ztunnel."""

    SCOPES = ("table", "ztunnel", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("ztunnel", "views")
    AUTO_FOCUS = ""

    def compose_body(self) -> ComposeResult:
        """The line of tables, and the tables, one of them in sight."""
        yield ChromeLine("-tabs")
        for name in TABLES:
            table = LineTable(COLUMNS[name], words=self.words, empty=self.words("ztunnel.reading"), id=name)
            table.display = name == self._parts()[1]
            yield table

    def on_mount(self) -> None:
        """The table in sight has the keys."""
        self.set_focus(self._table)

    def _parts(self) -> tuple[str, str]:
        pod, _, table = self.location.argument.partition(" ")
        return pod, next((each for each in TABLES if table and each.startswith(table)), TABLES[0])

    @property
    def _table(self) -> LineTable:
        return next(table for table in self.query(LineTable) if table.display)

    def gather(self) -> ZtunnelTables:
        """All tables, of one answer."""
        name = self._parts()[0]
        pod = PodRef(*name.split("/", 1)) if "/" in name else PodRef("", name)
        with self.session.mesh([ask.Contents()]) as mesh:
            known = mesh.inventory.ztunnels
        if pod not in known:
            raise NothingMatches(f"nothing is known of a ztunnel {name}", tuple(map(str, known[:1])))
        return ztunnel_tables(pod, self.fact(ask.ZtunnelConfig(pod)), self.session.now)

    def show_facts(self, facts: ZtunnelTables) -> None:
        """A row each."""
        for name in TABLES:
            table = self.query_one(f"#{name}", LineTable)
            table.say_when_empty(self.words("ztunnel.none"))
            table.show(facts.rows[name])
        self._write_tabs()
        if facts.problems:
            self.say(self.words("proxy.problems", count=len(facts.problems), first=facts.problems[0]), "warning")

    def on_resize(self) -> None:
        """More or fewer counts fit now."""
        self._write_tabs()

    def _write_tabs(self) -> None:
        tabs = [(name, f"{len(self.facts.rows[name]):,}" if self.facts else "..") for name in TABLES]
        line = tab_line(tabs, TABLES.index(str(self._table.id)), self.app.size.width)
        self.query_one(".-tabs", ChromeLine).write(line)

    def action_table(self, name: str) -> None:
        """Bring a table in sight; the next key acts on it."""
        self.bring(name)
        self._write_tabs()

    async def action_json(self) -> None:
        """The JSON of just this object."""
        row, shown = self._table.cursor_row, self._table.id
        if row and shown and self.facts and isinstance(self.app, Navigator):
            await self.app.go(json_command(self.facts.pod, shown, row))

    async def action_log(self) -> None:
        """The ztunnel's log; its container is called istio-proxy."""
        if isinstance(self.app, Navigator):
            await self.app.go(f"log {self._parts()[0]} istio-proxy")

    def crumb(self) -> str:
        """The pod."""
        return f"ztunnel {self._parts()[0]}"
