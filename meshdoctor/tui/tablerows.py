"""The rows of a table and their order on the screen: state without a terminal, to be tested and timed alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from meshdoctor.present.table import Column, Row, arrange
from meshdoctor.present.words import Words


class TableRows:
    """Rows by key; which of them are shown, in which order.

    Between two refreshes a row keeps its key, so updates are differences: only what changed is painted, and the cursor
    stays on the row it was on.
    """

    def __init__(self, columns: Sequence[Column], rows: Iterable[Row] = ()) -> None:
        self.columns = tuple(columns)
        self.by_key: dict[str, Row] = {row.key: row for row in rows}
        self.query = ""
        self.sort: int | None = None
        self.reverse = False
        self.problems_only = False
        self.shown: list[Row] = []
        self.position: dict[str, int] = {}
        self.rearrange()

    @property
    def narrowed(self) -> bool:
        """Whether a filter hides rows."""
        return bool(self.query.strip()) or self.problems_only

    def why_empty(self, empty: str, words: Words) -> list[str]:
        """What to say where no row is shown: *empty*, or what hides the rows that there are."""
        total = f"{len(self.by_key):,}"
        if not self.by_key or not self.narrowed:
            return empty.splitlines()
        if query := self.query.strip():
            return [words("table.filtered_out", query=query), words("table.hidden", total=total)]
        return [words("table.no_problems", total=total)]

    def rearrange(self) -> None:
        """Filter and sort anew."""
        self.shown = arrange(
            self.by_key.values(),
            self.columns,
            query=self.query,
            sort=self.sort,
            reverse=self.reverse,
            problems_only=self.problems_only,
        )
        self.position = {row.key: index for index, row in enumerate(self.shown)}

    def replace(self, rows: Iterable[Row]) -> set[str] | None:
        """Take a whole new set of rows. The keys that changed in place, or None when the order may be another."""
        fresh = {row.key: row for row in rows}
        if list(fresh) == list(self.by_key):
            return self.patch(fresh.values())
        # An equal row keeps its identity, and with it the line that was painted for it.
        old = self.by_key
        self.by_key = {key: kept_row(old.get(key), row) for key, row in fresh.items()}
        self.rearrange()
        return None

    def patch(self, rows: Iterable[Row], removed: Iterable[str] = ()) -> set[str] | None:
        """Take the rows that may have changed. Returns the keys that changed in place, or None for another order."""
        changed: set[str] = set()
        membership = False
        for key in removed:
            membership |= self.by_key.pop(key, None) is not None
        for row in rows:
            old = self.by_key.get(row.key)
            if old is row or old == row:
                continue
            membership |= old is None
            self.by_key[row.key] = row
            changed.add(row.key)
        if membership or (changed and (self.narrowed or self.sort is not None)):
            self.rearrange()
            return None
        for key in changed:
            self.shown[self.position[key]] = self.by_key[key]
        return changed

    def sort_by(self, column: int) -> None:
        """Sort by the column at this index; the same again reverses."""
        self.reverse = not self.reverse if self.sort == column else False
        self.sort = column
        self.rearrange()


def kept_row(old: Row | None, row: Row) -> Row:
    """The *old* row when it is equal: with its identity it keeps the line that was painted for it."""
    return old if old is not None and (old is row or old == row) else row
