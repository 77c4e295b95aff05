"""What went wrong in this session: `errors`. A line that the next key took from the message row can be read again."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.present.journal_rows import COLUMNS, journal_lines, journal_rows
from meshdoctor.present.table import Row
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.shellscreen import ShellScreen
from meshdoctor.tui.textview import TextView


class ErrorsScreen(ShellScreen):
    """The newest first, the one under the cursor whole."""

    SCOPES = ("table", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("views")
    DEFAULT_CSS = "ErrorsScreen TextView { height: 7; max-height: 35%; background: $panel; }"

    def compose_body(self) -> ComposeResult:
        """The lines that were said."""
        yield LineTable(COLUMNS, words=self.words, empty=self.words("errors.none"), highlighted=self._whole)
        yield TextView()

    def on_mount(self) -> None:
        """All of them."""
        self._seen = -1
        self._show()

    def on_screen_resume(self) -> None:
        """More may have gone wrong."""
        self._show()

    def beat(self) -> None:
        """More may have gone wrong by itself."""
        self._show()
        super().beat()

    def _show(self) -> None:
        journal = self.session.journal
        if self._seen != journal.changes:
            self._seen = journal.changes
            self.query_one(LineTable).show(journal_rows(journal.entries(), self.words))
            self.refresh_crumbs()

    def _whole(self, row: Row | None) -> None:
        found = next((one for one in self.session.journal.entries() if row and f"{one[0]} {one[1]}" == row.key), None)
        view = self.query_one(TextView)
        view.show(journal_lines(found, self.words, max(20, self.app.size.width - 2)) if found else ())
        view.action_top()
