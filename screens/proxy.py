"""A proxy: listeners, routes, clusters, endpoints and certificates; Enter leads from each to the next."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.errors import SourceError
from meshdoctor.mesh.proxy.first_clusters import first_clusters
from meshdoctor.model import wants as ask
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.snapshot import Missing, PodRef
from meshdoctor.present.proxy_rows import COLUMNS, TABLES, ProxyTables, json_command, only, table_rows, table_wants
from meshdoctor.present.table import Row
from meshdoctor.present.users_rows import object_of, users_command
from meshdoctor.present.words import Words
from meshdoctor.tui.chrome import ChromeLine, tab_line
from meshdoctor.tui.examined import ExaminedSession
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import Location, Navigator

PARTIAL = "clusters"
"""The table of which there may be just the first rows."""
FIRST_ROWS = 100
"""How many clusters are shown before all are decoded: more than a screen has lines."""


class ProxyScreen(FactsScreen[ProxyTables]):
    """`proxy NS/POD [TABLE [NAME]]`: the tables of one proxy; with a name only what belongs to it."""

    SCOPES = ("table", "proxy", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("proxy", "views")
    AUTO_FOCUS = ""

    def __init__(self, session: ExaminedSession, location: Location, words: Words) -> None:
        super().__init__(session, location, words)
        self._given: dict[str, tuple[Row, ...]] = {}
        self._pods: tuple[PodRef, ...] = ()
        """What the location names: the first one is shown."""

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

    @property
    def pod_name(self) -> str:
        """The pod in sight, `namespace/name`; as it was typed until it was looked up."""
        return str(self._pods[0]) if self._pods else self._parts()[0]

    def work(self) -> None:
        """The table in sight first, and of a large one its first rows at once; then the others."""
        pod_name, chosen, name = self._parts()
        self._pods = self.session.pods(pod_name)
        pod = self._pods[0]
        with self.session.mesh([ask.ProxyConfig(pod)]) as mesh:
            config = mesh.snapshot.get(ask.ProxyConfig(pod))
        if isinstance(config, Missing) and config.reason != "not recorded":
            raise SourceError(f"{config.file}: {config}")  # the proxy does not answer: neither does it tell the rest
        rows: dict[str, tuple[Row, ...]] = {}
        unread: dict[str, str] = {}
        problems: tuple[str, ...] = ()
        for table in (chosen, *(each for each in TABLES if each != chosen)):
            if self.is_left:
                return
            whole = isinstance(config, Missing) or name or self.session.has_made((pod, table))
            if table == PARTIAL and not whole:
                self._tell_first_clusters(pod, rows)
            own, problems, why = self.session.once((pod, table), partial(self._table, pod, table))
            if why and not own:
                unread = {**unread, table: why}
            rows = {**rows, table: only(table, own, name) if name and table == chosen else own}
            self.tell(ProxyTables(rows, problems, unread=unread))

    def _table(self, pod: PodRef, table: str) -> tuple[tuple[Row, ...], tuple[str, ...], str]:
        """Its rows, what of the dump cannot be read, and which answers are lacking."""
        wants = table_wants(pod, table)
        with self.session.mesh(wants) as mesh:
            # Which clusters there are, the configuration alone says.
            facts = [mesh.snapshot.get(want) for want in (wants[:1] if table == "clusters" else wants)]
            why = "; ".join(f"{fact.file}: {fact}" for fact in facts if isinstance(fact, Missing))
            config = mesh.snapshot.value(ask.ProxyConfig(pod)) or ConfigDump({})
            return table_rows(table, mesh, pod, config, self.session.now), tuple(config.problems), why

    def _tell_first_clusters(self, pod: PodRef, rows: dict[str, tuple[Row, ...]]) -> None:
        first = first_clusters(self.fact(ask.ProxyConfig(pod)), FIRST_ROWS)
        if first is not None:
            with self.session.mesh() as mesh:
                early = table_rows("clusters", mesh, pod, first, self.session.now)
            self.tell(ProxyTables({**rows, PARTIAL: early}, (), partial=True))

    def show_facts(self, facts: ProxyTables) -> None:
        """The rows of the table in sight; the others get theirs when they come in sight."""
        self._give(self.shown)
        self._write_tabs()
        if len(self._pods) > 1:
            others = ", ".join(str(ref) for ref in self._pods[1:3])
            self.say(self.words("proxy.others", pod=self._pods[0], count=len(self._pods) - 1, others=others))
        if facts.problems:
            self.say(self.words("proxy.problems", count=len(facts.problems), first=facts.problems[0]), "warning")

    def _give(self, key: str) -> None:
        if self.facts is None or key not in self.facts.rows:
            return
        _, chosen, name = self._parts()
        table = self.query_one(f"#{key}", LineTable)
        lacking = "proxy.no_endpoints" if key == "endpoints" else "proxy.no_such"
        empty = self.words(lacking, name=name) if name and key == chosen else self.words("proxy.none")
        if key in self.facts.unread:
            empty = self.words("proxy.unread", why=self.facts.unread[key])
        table.say_when_empty(empty)
        if self._given.get(key) is not self.facts.rows[key]:
            self._given[key] = self.facts.rows[key]
            table.show(self.facts.rows[key])

    def on_resize(self) -> None:
        """More or fewer counts fit now."""
        self._write_tabs()

    def _write_tabs(self) -> None:
        tabs = []
        for name in TABLES:
            known = self.facts is not None and name in self.facts.rows
            count = f"{len(self.facts.rows[name]):,}" if self.facts and known else ""
            if self.facts is None or not known or (self.facts.partial and name == PARTIAL):
                count += ".."
            elif name in self.facts.unread:
                count = "?"
            tabs.append((name, count))
        line = tab_line(tabs, TABLES.index(self.shown), self.app.size.width)
        self.query_one(".-tabs", ChromeLine).write(line)

    def action_table(self, name: str) -> None:
        """Bring a table in sight; the next key acts on it."""
        self._give(name)
        self.bring(name)
        self._write_tabs()

    async def action_json(self) -> None:
        """The JSON of just this object."""
        row = self.query_one(f"#{self.shown}", LineTable).cursor_row
        if row and isinstance(self.app, Navigator):
            await self.app.go(json_command(PodRef(*self.pod_name.split("/", 1)), self.shown, row))

    async def action_users(self) -> None:
        """Who uses this object; of a cluster without endpoints, and of what is not there, who names it."""
        row = self.query_one(f"#{self.shown}", LineTable).cursor_row
        _, chosen, name = self._parts()
        kind = {"endpoints": "cluster", "clusters": "cluster", "routes": "route"}.get(self.shown, "")
        if not isinstance(self.app, Navigator):
            return
        if row:
            await self.app.go(users_command(self.pod_name, *object_of(self.shown, row)))
        elif name and chosen == self.shown and kind:
            await self.app.go(users_command(self.pod_name, kind, name))

    async def action_difference(self) -> None:
        """What another pod of the workload holds differently."""
        if isinstance(self.app, Navigator):
            await self.app.go(f"difference {self.pod_name}")

    async def action_log(self) -> None:
        """The proxy's log."""
        if isinstance(self.app, Navigator):
            await self.app.go(f"log {self.pod_name} istio-proxy")

    def crumb(self) -> str:
        """The pod, or what of it is shown: just one of the tables is of the name that was asked for."""
        _, table, name = self._parts()
        return f"{table} {name}" if name and table == self.shown else f"proxy {self.pod_name}"
