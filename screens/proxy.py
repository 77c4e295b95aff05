"""A proxy: listeners, routes, clusters, endpoints and certificates; Enter leads from each to the next."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.errors import SourceError
from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import Missing, PodRef
from meshdoctor.present.proxy_rows import COLUMNS, TABLES, ProxyTables, json_command, only, proxy_tables
from meshdoctor.tui.chrome import ChromeLine
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import Navigator


class ProxyScreen(FactsScreen[ProxyTables]):
    """`proxy NS/POD [TABLE [NAME]]`: the tables of one proxy; with a name only what belongs to it."""

    SCOPES = ("table", "proxy", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("proxy", "views")
    AUTO_FOCUS = ""

    def compose_body(self) -> ComposeResult:
        """The line of tables, and the tables, one of them in sight."""
        yield ChromeLine("-tabs")
        for name in TABLES:
            table = LineTable(COLUMNS[name], words=self.words, empty=self.words("proxy.reading"), id=name)
            table.display = name == self.shown
            yield table

    def on_mount(self) -> None:
        """The table in sight has the keys; Textual would give them to the first one, which may be hidden."""
        self.set_focus(self.query_one(f"#{self.shown}", LineTable))

    def _parts(self) -> tuple[str, str, str]:
        pod, _, rest = self.location.argument.partition(" ")
        table, _, name = rest.partition(" ")
        return pod, next((each for each in TABLES if table and each.startswith(table)), TABLES[0]), name

    @property
    def shown(self) -> str:
        """Which table is in sight."""
        tables = [table for table in self.query(LineTable) if table.display]
        return str(tables[0].id) if tables else self._parts()[1]

    def gather(self) -> ProxyTables:
        """Every table."""
        pod = self.session.pod(self._parts()[0])
        wants = (ask.ProxyConfig(pod), ask.ProxyClusters(pod), ask.ProxyCertificates(pod))
        with self.session.mesh(wants) as mesh:
            config = mesh.snapshot.get(ask.ProxyConfig(pod))
            if isinstance(config, Missing):
                raise SourceError(f"{config.file}: {config}")
            return proxy_tables(mesh, pod, config.value, self.session.now)

    def show_facts(self, facts: ProxyTables) -> None:
        """The rows of each."""
        _, chosen, name = self._parts()
        for table in self.query(LineTable):
            key = str(table.id)
            rows = only(key, facts.rows[key], name) if name and key == chosen else facts.rows[key]
            missing = self.words("proxy.no_such", name=name) if name and key == chosen else self.words("proxy.none")
            table.say_when_empty(missing)
            table.show(rows)
        self._write_tabs()
        if facts.problems:
            self.say(self.words("proxy.problems", count=len(facts.problems), first=facts.problems[0]), "warning")

    def _write_tabs(self) -> None:
        line = Text(" ")
        for number, name in enumerate(TABLES, start=1):
            count = len(self.facts.rows[name]) if self.facts else 0
            style = "title reverse" if name == self.shown else ""
            line.append(f"{number}", "key").append(" ").append(f"{name} {count}", style).append("  ")
        self.query_one(".-tabs", ChromeLine).write(line)

    def action_table(self, name: str) -> None:
        """Bring a table in sight; the next key acts on it."""
        for table in self.query(LineTable):
            table.display = table.id == name
        self.set_focus(self.query_one(f"#{name}", LineTable))
        self._write_tabs()
        self.refresh_crumbs()

    async def action_json(self) -> None:
        """The JSON of just this object."""
        row = self.query_one(f"#{self.shown}", LineTable).cursor_row
        if row and isinstance(self.app, Navigator):
            namespace, _, name = self._parts()[0].partition("/")
            await self.app.go(json_command(PodRef(namespace, name), self.shown, row))

    async def action_log(self) -> None:
        """The proxy's log."""
        if isinstance(self.app, Navigator):
            await self.app.go(f"log {self._parts()[0]} istio-proxy")

    def crumb(self) -> str:
        """The pod, or what of it is shown."""
        pod, table, name = self._parts()
        return f"{table} {name}" if name else f"proxy {pod}"
