"""Who uses an object of a proxy's configuration: `users NS/POD KIND NAME`; `u` again goes further up."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.errors import SourceError
from meshdoctor.mesh.proxy.users import users
from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import Missing
from meshdoctor.present.table import Row
from meshdoctor.present.users_rows import COLUMNS, use_of, users_command, users_rows
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import Navigator


class UsersScreen(FactsScreen[tuple[Row, ...]]):
    """A row for each use; Enter opens the user in its table."""

    SCOPES = ("table", "users", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("users", "views")

    def compose_body(self) -> ComposeResult:
        """The users."""
        yield LineTable(COLUMNS, words=self.words, empty=self.words("proxy.reading"))

    def _parts(self) -> tuple[str, str, str]:
        pod, _, rest = self.location.argument.partition(" ")
        kind, _, name = rest.partition(" ")
        return pod, kind, name

    def gather(self) -> tuple[Row, ...]:
        """Every use."""
        pod, kind, name = self._parts()
        ref = self.session.pod(pod)
        with self.session.mesh((ask.ProxyConfig(ref), ask.ProxyClusters(ref))) as mesh:
            config = mesh.snapshot.get(ask.ProxyConfig(ref))
            if isinstance(config, Missing):
                raise SourceError(f"{config.file}: {config}")
            found = users(mesh, ref, config.value, kind, name)
            return users_rows(ref, found, self.words, name if kind == "cluster" else "")

    def show_facts(self, facts: tuple[Row, ...]) -> None:
        """A row each, or why there is none."""
        table = self.query_one(LineTable)
        _, kind, name = self._parts()
        table.say_when_empty(self.words("users.listener" if kind == "listener" else "users.nobody", name=name))
        table.show(facts)

    def _chosen(self) -> tuple[str, str] | None:
        row = self.query_one(LineTable).cursor_row
        return use_of(row) if row else None

    async def action_users(self) -> None:
        """Who uses the user."""
        if (found := self._chosen()) and isinstance(self.app, Navigator):
            await self.app.go(users_command(self._parts()[0], *found))

    async def action_json(self) -> None:
        """The JSON of just this object."""
        if (found := self._chosen()) and isinstance(self.app, Navigator):
            await self.app.go(f"dump {self._parts()[0]} {' '.join(found)}")

    def crumb(self) -> str:
        """What is used."""
        _, kind, name = self._parts()
        return self.words("users.of", kind=kind, name=name)
