"""The mTLS in force: clients against services, one word a cell; Enter on a cell says why."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.mesh.mtls.matrix import Column as Port
from meshdoctor.mesh.mtls.survey import survey
from meshdoctor.mesh.mtls.view import object_wants, proxy_wants
from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.mtls_rows import COLUMNS, TABLES, MtlsTables, cell_lines, mtls_tables
from meshdoctor.present.table import Column, Row
from meshdoctor.tui.celltable import CellTable
from meshdoctor.tui.chrome import ChromeLine
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.textview import TextView

MATRIX = TABLES[0]


class MtlsScreen(FactsScreen[MtlsTables]):
    """`mtls [NS[/WORKLOAD]]`: the matrix, the disagreements by name, and what each server takes."""

    SCOPES = ("matrix", "table", "mtls", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("mtls", "views")
    DEFAULT_CSS = "MtlsScreen TextView { height: 6; background: $panel; }"

    def compose_body(self) -> ComposeResult:
        """The line of tables, the tables, and the cell under the cursor in words."""
        yield ChromeLine("-tabs")
        reading = self.words("mtls.reading")
        yield CellTable("pair {row} {column}", words=self.words, empty=reading, chosen=self._describe, id=MATRIX)
        for name in TABLES[1:]:
            table = LineTable(COLUMNS[name], words=self.words, empty=reading, id=name, highlighted=self._describe_row)
            table.display = False
            yield table
        yield TextView()

    def gather(self) -> MtlsTables:
        """Everything that the objects declare, the proxies hold and the logs show."""
        with self.session.mesh(object_wants()) as mesh:
            wants = self.session.spared(mesh, proxy_wants(mesh), self.location.argument)
        with self.session.mesh(wants) as mesh:
            return mtls_tables(survey(mesh, self.location.argument), self.words)

    def show_facts(self, facts: MtlsTables) -> None:
        """The rows of each table."""
        matrix = self.query_one(CellTable)
        matrix.say_when_empty(self.words("mtls.none"))
        matrix.show_matrix(facts.columns, facts.rows[MATRIX])
        for name in TABLES[1:]:
            table = self.query_one(f"#{name}", LineTable)
            agree = "mtls.undecided" if facts.survey.view.undecided else "mtls.agree"
            table.say_when_empty(self.words(agree if name == "disagreements" else "mtls.none"))
            table.show(facts.rows[name])
        if self.filter and self.shown == MATRIX:
            matrix.set_filter(self.filter)
        self._describe(matrix.cursor_row, matrix.cursor_column)
        if facts.missing:
            first = self.words.said(facts.missing[0])
            self.say(self.words("mtls.missing", count=len(facts.missing), first=first), "warning")

    @property
    def shown(self) -> str:
        """Which table is in sight."""
        return next(str(table.id) for table in self.query(LineTable) if table.display)

    def _write_tabs(self) -> None:
        line = Text(" ")
        for number, name in enumerate(TABLES, start=1):
            count = len(self.facts.rows[name]) if self.facts else 0
            style = "title reverse" if name == self.shown else ""
            line.append(f"{number}", "key").append(" ").append(f"{self.words(f'mtls.{name}')}[{count:,}]", style)
            line.append("  ")
        first, last, total = self.query_one(CellTable).columns_in_sight
        right = self.words("mtls.columns", first=first, last=last, total=total) if self.shown == MATRIX else ""
        self.query_one(".-tabs", ChromeLine).write(line, right)

    def _describe(self, row: Row | None, column: Column | None) -> None:
        if not self.is_mounted or self.shown != MATRIX:
            return
        self._write_tabs()
        if row is None or column is None or self.facts is None:
            self.query_one(TextView).show(())
            return
        host, _, port = column.key.rpartition(":")
        place = (row.key, Port(host, int(port)))
        if place in self.facts.survey.matrix.cells:
            view = self.query_one(TextView)
            view.show(cell_lines(self.facts.survey, place, self.words, self.app.size.width - 1))
            view.action_top()

    def _describe_row(self, row: Row | None) -> None:
        if self.is_mounted and self.shown != MATRIX:
            lines = [f" {cell}" for cell in row.cells[-1:]] if row else []
            self.query_one(TextView).show(self._folded(lines))

    def _folded(self, lines: list[str]) -> list[str]:
        return [part for line in lines for part in wrap(line, "   ", " ", width=self.app.size.width - 1)]

    def action_table(self, name: str) -> None:
        """Bring a table in sight; the next key acts on it."""
        table = self.bring(name)
        if isinstance(table, CellTable):
            self._describe(table.cursor_row, table.cursor_column)
        else:
            self._describe_row(table.cursor_row)
        self._write_tabs()
