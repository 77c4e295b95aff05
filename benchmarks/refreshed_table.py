"""The program that `benchmarks.large_tables` types into: 10,000 clusters, 1,000 of them changing each second."""

from __future__ import annotations

import random
import sys
from typing import ClassVar

from textual.app import ComposeResult

from meshdoctor.errors import SourceError
from meshdoctor.present.proxy_rows import COLUMNS
from meshdoctor.present.table import Row
from meshdoctor.sources.source import Source
from meshdoctor.tui.examined import ExaminedSession
from meshdoctor.tui.launch import launch
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import Route
from meshdoctor.tui.shellscreen import ShellScreen

ROWS, CHANGES_A_SECOND, SLICE = 10_000, 1_000, 100


def row(number: int, version: int) -> Row:
    """A cluster as a row; what is usable of it changes with the version."""
    host = f"service-{number:05d}.team-{number % 180:03d}"
    usable = f"{version % 5}/{4 + number % 9}"
    return Row(f"{number}", (host, "8080", "-", "outbound", "EDS", "auto", usable, "OK", "-"))


class RefreshedScreen(ShellScreen):
    """A table that is refreshed in slices; the message line says which row the cursor is on, in the same frame."""

    SCOPES: ClassVar[tuple[str, ...]] = ("table",)
    version = 0

    def compose_body(self) -> ComposeResult:
        """The clusters."""
        rows = (row(number, 0) for number in range(ROWS))
        yield LineTable(COLUMNS["clusters"], rows, words=self.words, highlighted=self._say_row)

    def _say_row(self, found: Row | None) -> None:
        self.say(f"row={found.key if found else ''};")

    def on_mount(self) -> None:
        """Begin to change."""
        self.set_interval(SLICE / CHANGES_A_SECOND, self._change)

    def _change(self) -> None:
        self.version += 1
        chosen = random.sample(range(ROWS), SLICE)
        self.query_one(LineTable).patch(row(number, self.version) for number in chosen)


def no_source() -> Source:
    """Never asked: the view has its own rows."""
    raise SourceError("the benchmark has no source")


if __name__ == "__main__":
    sys.exit(
        launch(
            ExaminedSession("benchmark", no_source, home="refreshed"),
            routes=(Route("refreshed", "benchmarks.refreshed_table:RefreshedScreen"),),
        )
    )
