"""One thing as it was and as it is: `change TIME TIME WHAT`, from a row of `compare`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from meshdoctor.errors import NothingMatches
from meshdoctor.guide.comparison import compare_readings
from meshdoctor.present.change_rows import change_key, change_lines
from meshdoctor.present.table import Cell
from meshdoctor.screens.document import DocumentScreen


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

    def freshness(self) -> Cell:
        """Nothing of the moment in sight: the first line has both."""
        return ""

    def counts(self) -> Sequence[Text]:
        """Nor of its proxies."""
        return ()

    def crumb(self) -> str:
        """What changed; when stands in its first line."""
        return self.location.argument.split(" ", 2)[-1]
