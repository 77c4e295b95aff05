"""What another pod of the same workload holds differently: `difference NS/POD [NS/OTHER]`; `D` again: the next pod."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.errors import NothingMatches, SourceError
from meshdoctor.mesh.proxy.difference import ResourceDifference, differences_of_pods
from meshdoctor.model import wants as ask
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.snapshot import Missing, PodRef
from meshdoctor.present.difference_rows import COLUMNS, difference_lines, difference_rows
from meshdoctor.present.table import Row
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import Navigator
from meshdoctor.tui.textview import TextView


class Compared(NamedTuple):
    """Two pods and what differs; *others* are all pods that the first can be compared with."""

    pod: PodRef
    other: PodRef
    others: tuple[PodRef, ...]
    found: tuple[ResourceDifference, ...]


class DifferenceScreen(FactsScreen[Compared]):
    """A row for each resource that is not the same, and the lines that differ."""

    SCOPES = ("table", "difference", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("difference", "views")
    DEFAULT_CSS = "DifferenceScreen TextView { height: 60%; background: $panel; }"

    def compose_body(self) -> ComposeResult:
        """The resources, and one of them."""
        reading = self.words("proxy.reading")
        yield LineTable(COLUMNS, words=self.words, empty=reading, highlighted=self._show_lines)
        yield TextView()

    def gather(self) -> Compared:
        """The differences of the two dumps."""
        first, _, second = self.location.argument.partition(" ")
        pod = self.session.pod(first)
        with self.session.mesh() as mesh:
            siblings = mesh.workloads.get(mesh.workload(pod), ())
            others = tuple(each for each in siblings if each != pod and each in mesh.inventory.proxies)
        if not second and not others:
            raise NothingMatches(f"no other pod of the workload of {pod} was recorded", ())
        other = self.session.pod(second) if second else others[0]
        try:
            found = tuple(differences_of_pods(self._config(pod), self._config(other)))
        except UnreadableError as error:
            raise SourceError(str(error)) from None
        return Compared(pod, other, others, found)

    def _config(self, pod: PodRef) -> ConfigDump:
        with self.session.mesh((ask.ProxyConfig(pod),)) as mesh:
            config = mesh.snapshot.get(ask.ProxyConfig(pod))
        if isinstance(config, Missing):
            raise SourceError(f"{config.file}: {config}")
        return config.value

    def show_facts(self, facts: Compared) -> None:
        """A row each."""
        table = self.query_one(LineTable)
        table.say_when_empty(self.words("difference.none", pod=facts.pod, other=facts.other))
        table.show(difference_rows(facts.pod, facts.other, facts.found))
        self._show_lines(table.cursor_row)
        self.say(self.words("difference.with", other=facts.other, count=len(facts.others)))

    def _show_lines(self, row: Row | None) -> None:
        if self.facts is None:
            return
        found = next((each for each in self.facts.found if row and each.name == row.copies), None)
        view = self.query_one(TextView)
        view.show(difference_lines(found, self.facts.pod, self.facts.other, self.words) if found else ())
        view.action_top()

    async def action_difference(self) -> None:
        """Compare with the next pod of the workload."""
        if self.facts is None or not isinstance(self.app, Navigator):
            return
        others = self.facts.others
        if len(others) < 2:
            self.say(self.words("difference.only_one"))
            return
        at = others.index(self.facts.other) if self.facts.other in others else -1
        await self.app.go(f"difference {self.facts.pod} {others[(at + 1) % len(others)]}")

    def crumb(self) -> str:
        """The pods."""
        return f"difference {self.location.argument}"
