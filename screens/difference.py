"""Why a proxy does not run what it should: `difference NS/POD [istiod|NS/OTHER]`; `D`: against the next.

Against istiod it shows what the command `proxy-status POD` does: what Envoy refused, what differs from what istiod
would send, old endpoints, and what cannot be told. Against another pod of the workload: what the two hold differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.errors import NothingMatches, SourceError
from meshdoctor.mesh.connections import UNKNOWN
from meshdoctor.mesh.proxies import PROXY_OBJECTS, istiod_wants, proxies
from meshdoctor.mesh.proxy.difference import differences_of_pods
from meshdoctor.mesh.proxy.inspection import Inspection, inspect, inspection_wants
from meshdoctor.mesh.sync import ProxySync
from meshdoctor.model import wants as ask
from meshdoctor.model.decode import UnreadableError
from meshdoctor.present.document_lines import folded
from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.inspection_rows import COLUMNS, Shown, difference_rows, inspection_rows
from meshdoctor.present.table import Cell, Row
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.textview import TextView

ISTIOD = "istiod"


class Compared(NamedTuple):
    """A pod, *other* (ISTIOD or a pod) and what differs; *others* is all that it can be compared with."""

    pod: str
    other: str
    others: tuple[str, ...]
    found: tuple[Shown, ...]
    word: str = ""
    """The proxy's state, when it is compared with istiod."""


class DifferenceScreen(FactsScreen[Compared]):
    """A row for each thing that is not the same, and the whole of it in lines."""

    SCOPES = ("table", "difference", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("difference", "views")
    DEFAULT_CSS = "DifferenceScreen TextView { height: 50%; background: $panel; }"

    _chosen = ""
    """What `D` chose to compare with; "" for what the command names."""

    def compose_body(self) -> ComposeResult:
        """The resources, and one of them."""
        reading = self.words("proxy.reading")
        yield LineTable(COLUMNS, words=self.words, empty=reading, highlighted=self._show_lines)
        yield TextView()

    def gather(self) -> Compared:
        """The proxy under inspection, or the differences of two pods' dumps."""
        first, _, named = self.location.argument.partition(" ")
        second = self._chosen or named
        sync = self._sync(first)
        pod = sync.pod
        with self.session.mesh() as mesh:
            siblings = mesh.workloads.get(mesh.workload(pod), ())
            others = [str(each) for each in siblings if each != pod and each in mesh.inventory.proxies]
        if second in ("", ISTIOD):
            inspected = self._inspected(sync)
            # A proxy in sync of which no more is known is best compared with one that should hold the same.
            if second or not others or inspected.finds or inspected.sent is not None:
                found = inspection_rows(inspected, self.words)
                return Compared(str(pod), ISTIOD, (ISTIOD, *others), found, sync.word)
        other = second or others[0]
        try:
            configs = self.fact(ask.ProxyConfig(pod)), self.fact(ask.ProxyConfig(self.session.pod(other)))
            differences = list(differences_of_pods(*configs, with_lines=False))
        except UnreadableError as error:
            raise SourceError(str(error)) from None
        return Compared(
            str(pod), other, (ISTIOD, *others), tuple(difference_rows(str(pod), other, differences, self.words))
        )

    def _sync(self, name: str) -> ProxySync:
        """The proxy that *name* means, also one that only istiod or the cluster knows."""
        with self.session.mesh(PROXY_OBJECTS) as mesh:
            wants = istiod_wants(mesh.inventory)
        with self.session.mesh(wants) as mesh:
            known = {str(sync.pod): sync for sync in proxies(mesh, self.session.now)}
        try:
            pod = self.session.pod(name)
        except NothingMatches:
            if name in known:
                return known[name]
            raise
        return known.get(str(pod)) or ProxySync(pod, "proxy", UNKNOWN)

    def _inspected(self, sync: ProxySync) -> Inspection:
        recorded = not self.session.live
        with self.session.mesh(inspection_wants(sync, recorded=recorded)) as mesh:
            return inspect(mesh, sync, recorded=recorded)

    def show_facts(self, facts: Compared) -> None:
        """A row each."""
        table = self.query_one(LineTable)
        if facts.other == ISTIOD:
            table.say_when_empty(self.words("inspection.none", pod=facts.pod, word=facts.word))
        else:
            table.say_when_empty(self.words("difference.none", pod=facts.pod, other=facts.other))
        table.show([each.row for each in facts.found])
        self._show_lines(table.cursor_row)
        self.say(self.words("difference.with", other=facts.other, count=len(facts.others)))

    def _show_lines(self, row: Row | None) -> None:
        if self.facts is None:
            return
        lines = next((each.lines for each in self.facts.found if row and each.row.key == row.key), ())
        view = self.query_one(TextView)
        view.show(_fitting(lines, max(20, self.app.size.width)))
        view.action_top()

    def action_difference(self) -> None:
        """Compare with the next pod of the workload; it is the same view, so that one `q` leaves it."""
        if self.facts is None:
            return
        others = self.facts.others
        if len(others) < 2:
            self.say(self.words("difference.only_one"))
            return
        at = others.index(self.facts.other) if self.facts.other in others else -1
        self._chosen = others[(at + 1) % len(others)]
        self.start()

    def crumb(self) -> str:
        """The pods."""
        if self.facts is None:
            return f"difference {self.location.argument}"
        return f"difference {self.facts.pod} {self.facts.other}"


def _fitting(lines: Iterable[Cell], width: int) -> Iterator[Cell]:
    """Sentences wrapped between words, other lines (values, Envoy's text of a resource) folded; none is cut off."""
    for line in lines:
        if isinstance(line, str) and " " in line and not line.startswith(" "):
            yield from wrap(line, width=width)
        else:
            yield from folded([line], width)
