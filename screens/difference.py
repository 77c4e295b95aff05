"""What istiod or another pod of the workload has differently: `difference NS/POD [istiod|NS/OTHER]`; `D`: the next."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.errors import NothingMatches, SourceError
from meshdoctor.mesh.proxy.difference import (
    ResourceDifference,
    differences_of_pods,
    resource_differences,
    sections_of,
)
from meshdoctor.model import wants as ask
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.sections import find_sections
from meshdoctor.model.snapshot import Missing, PodRef
from meshdoctor.present.difference_rows import COLUMNS, difference_lines, difference_rows
from meshdoctor.present.table import Row
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import Navigator
from meshdoctor.tui.textview import TextView

ISTIOD = "istiod"


class Compared(NamedTuple):
    """A pod, *other* (ISTIOD or a pod) and what differs; *others* is all that it can be compared with."""

    pod: str
    other: str
    others: tuple[str, ...]
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
        mine = self._config(pod)
        with self.session.mesh() as mesh:
            siblings = mesh.workloads.get(mesh.workload(pod), ())
            others = [str(each) for each in siblings if each != pod and each in mesh.inventory.proxies]
        sent = self._sent(pod) if second in ("", ISTIOD) or not others else None
        if sent is not None:
            others.insert(0, ISTIOD)
        if not others:
            raise NothingMatches(f"what istiod would send {pod}, or another pod of its workload, was not read", ())
        other = second or others[0]
        try:
            if other == ISTIOD:
                if sent is None:
                    raise SourceError(f"what istiod would send {pod} was not read")
                found = tuple(resource_differences(find_sections(sent), sections_of(mine)))
            else:
                found = tuple(differences_of_pods(mine, self._config(self.session.pod(other))))
        except UnreadableError as error:
            raise SourceError(str(error)) from None
        return Compared(str(pod), other, tuple(others), found)

    def _sent(self, pod: PodRef) -> bytes | None:
        """What an istiod would send the pod now; None when none was, or can be, asked."""
        with self.session.mesh() as mesh:
            wants = [ask.SentConfig(istiod, pod) for istiod in mesh.inventory.istiods]
        with self.session.mesh(wants) as mesh:
            return next((sent for want in wants if (sent := mesh.snapshot.value(want)) is not None), None)

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
