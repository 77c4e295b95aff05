"""What changed between two moments: `compare [TIME TIME]`. `{` `}` choose the first of them, `,` `.` the second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.guide.comparison import Reading, compare_readings
from meshdoctor.mesh.comparison import Change
from meshdoctor.present.change_rows import COLUMNS, change_key, change_rows, detail_lines
from meshdoctor.present.table import Cell, Row
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.readings import first_pair, stepped
from meshdoctor.tui.shell import Shell
from meshdoctor.tui.textview import TextView


class Compared(NamedTuple):
    """Two of the *moments*, and what changed from the first to the second."""

    moments: tuple[str, ...]
    before: str
    after: str
    changes: tuple[Change, ...]
    judged: bool = True
    """Whether both were diagnosed."""
    between: str = ""
    """Where nothing changed: a moment between the two that was different."""


class CompareScreen(FactsScreen[Compared]):
    """A table of changes, and the one under the cursor in full."""

    SCOPES = ("table", "compare", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("compare", "views")
    DEFAULT_CSS = "CompareScreen TextView { height: 7; max-height: 35%; background: $panel; }"

    _pair: tuple[str, ...] | None = None
    """What a key chose; None for what the command names."""
    _newest = False
    """Whether the second of them was the newest, and stays so when there is a newer one."""

    def compose_body(self) -> ComposeResult:
        """The changes."""
        yield LineTable(
            COLUMNS, words=self.words, empty=self.words("compare.reading"), frozen=1, highlighted=self._describe
        )
        yield TextView()

    def work(self) -> None:
        """What changed; where nothing did, whether it was otherwise between the two."""
        found = self._compared()
        self.tell(found)
        for moment in () if found.changes else reversed(found.moments):
            if self.is_left:
                return
            if found.before < moment < found.after:
                before, between = self._readings(found.before, moment)
                if compare_readings(before, between):
                    self.tell(found._replace(between=moment))
                    return

    def _compared(self) -> Compared:
        moments = self.session.comparable(now=self.facts is None)
        if self._pair is None or not set(self._pair) <= set(moments):  # a recording began, say
            named = self.location.argument.split() if self._pair is None else []
            first, second = first_pair(moments, self.session.moment)
            self._pair = (*named, *(first, second)[len(named) :])[:2]
        elif self._newest:
            self._pair = self._pair[0], moments[-1]
        wanted = self._pair
        before, after = self._readings(wanted[0], wanted[1])
        if self._pair is wanted:  # no key chose others meanwhile
            self._pair, self._newest = (before.name, after.name), after.name == moments[-1]
        judged = before.diagnosis is not None and after.diagnosis is not None
        return Compared(moments, before.name, after.name, compare_readings(before, after), judged)

    def _readings(self, first: str, second: str) -> tuple[Reading, Reading]:
        one, other = self.session.reading(first), self.session.reading(second)
        return (one, other) if one.name <= other.name else (other, one)  # RFC 3339 sorts by time

    def show_facts(self, facts: Compared) -> None:
        """A row for each change."""
        table = self.query_one(LineTable)
        between = self.words("compare.between", moment=facts.between) if facts.between else ""
        told = (self.words("compare.nothing"), between, self.words("compare.choose", first="{ }", second=", ."))
        table.say_when_empty("\n".join(filter(None, told)))
        table.show(change_rows(facts.before, facts.after, facts.changes, self.words))
        self._describe(table.cursor_row)
        if not facts.judged:
            self.say(self.words("compare.not_judged"))

    def _describe(self, row: Row | None) -> None:
        changes = self.facts.changes if self.facts else ()
        found = next((each for each in changes if row and change_key(each) == row.key), None)
        view = self.query_one(TextView)
        view.show(detail_lines(found, self.words, max(20, self.app.size.width - 2)) if found else ())
        view.action_top()

    def freshness(self) -> Cell:
        """Which two of the moments these are."""
        if self.facts is None or self.session.troubled:
            return super().freshness()
        places = [self.facts.moments.index(name) + 1 for name in (self.facts.before, self.facts.after)]
        return self.words("compare.moments", before=places[0], after=places[1], count=len(self.facts.moments))

    def counts(self) -> Sequence[Text]:
        """The header of a view tells of the moment in sight, which is none of these."""
        return ()

    def crumb(self) -> str:
        """The two moments."""
        if self.facts is None:
            return self.location.name
        return f"compare {self.facts.before} -> {self.facts.after}"

    def key_scopes(self) -> tuple[str, ...]:
        """The keys that go through time choose what is compared here."""
        return tuple(scope for scope in super().key_scopes() if scope != "moments")

    def action_first(self, step: int) -> None:
        """`{` and `}`: compare with an earlier, a later moment."""
        if self.facts is not None:
            before, after = self.facts.before, self.facts.after
            self._choose(stepped(self.facts.moments, before, step, lambda moment: moment >= after), after)

    def action_second(self, step: int) -> None:
        """`,` and `.`: look at an earlier, a later moment."""
        if self.facts is not None:
            before, after = self.facts.before, self.facts.after
            self._choose(before, stepped(self.facts.moments, after, step, lambda moment: moment <= before))

    def _choose(self, before: str, after: str) -> None:
        if self.facts is None or (before, after) == (self.facts.before, self.facts.after):
            self.say(self.words("compare.no_other"))
            return
        self._pair = before, after
        self._newest = after == self.facts.moments[-1]
        self.start()

    def action_ask_moments(self) -> None:
        """`T`: type the two times; Tab completes them."""
        if isinstance(self.app, Shell):
            self.app.ask_command("compare ")
