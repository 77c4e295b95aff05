"""One thing as it was and as it is: `change TIME TIME WHAT`, from a row of `compare`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from meshdoctor.errors import NothingMatches
from meshdoctor.guide.comparison import compare_readings
from meshdoctor.present.change_rows import change_key, change_lines
from meshdoctor.present.document_lines import folded
from meshdoctor.present.table import Cell, plain
from meshdoctor.screens.document import DocumentScreen
from meshdoctor.tui.textview import TextView


class ChangeScreen(DocumentScreen):
    """The lines that went and came, with some around them."""

    def gather(self) -> tuple[Cell, ...]:
        """The change that the command names."""
        first, second, wanted = (*self.location.argument.split(" ", 2), "", "")[:3]
        before, after = self.session.reading(first), self.session.reading(second)
        found = next((each for each in compare_readings(before, after) if change_key(each) == wanted), None)
        if found is None:
            raise NothingMatches(f"{wanted or 'nothing'} did not change between these moments", ())
        return tuple(change_lines(before, after, found, self.words))

    def show_facts(self, facts: tuple[Cell, ...]) -> None:
        """The lines; a long one goes on in the next, with its colour."""
        lines: list[Cell] = []
        for fact in facts:
            style = fact.style if isinstance(fact, Text) else ""
            lines += (Text(str(line), style) if style else line for line in folded([plain(fact)], self.app.size.width))
        self.query_one(TextView).show(lines)

    def freshness(self) -> Cell:
        """Nothing of the moment in sight: the first line has both."""
        return ""

    def counts(self) -> Sequence[Text]:
        """Nor of its proxies."""
        return ()

    def key_scopes(self) -> tuple[str, ...]:
        """The moments stay the two that were compared."""
        return tuple(scope for scope in super().key_scopes() if scope != "moments")

    def crumb(self) -> str:
        """What changed; when stands in its first line."""
        return self.location.argument.split(" ", 2)[-1]
