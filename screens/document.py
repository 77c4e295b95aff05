"""A file of the source, or the objects in it that a piece of evidence names: `file PATH [PLACE]`."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import BindingType

from meshdoctor.errors import SourceError
from meshdoctor.mesh.places import Place, find_places
from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import Missing
from meshdoctor.model.text import visible
from meshdoctor.present.document_lines import capped, comment, document_lines, folded
from meshdoctor.present.table import Cell
from meshdoctor.tui.factsscreen import FactsScreen
from meshdoctor.tui.keys import bindings
from meshdoctor.tui.textview import TextView


class DocumentScreen(FactsScreen[tuple[Cell, ...]]):
    """A text of objects."""

    SCOPES = ("text", "views")
    BINDINGS: ClassVar[list[BindingType]] = bindings("views")

    def compose_body(self) -> ComposeResult:
        """The text."""
        yield TextView([comment(self.words("document.reading"))])

    def gather(self) -> tuple[Cell, ...]:
        """The file's objects that the place names; the whole file when it names none."""
        file, _, at = self.location.argument.partition(" ")
        return tuple(self.of_file(file, at))

    def of_file(self, file: str, at: str) -> list[Cell]:
        """The lines of *file* at the place *at*; in a thread.

        Raises:
            SourceError: the file was not recorded or cannot be read.
        """
        want = ask.RecordedFile(file)
        with self.session.mesh([want]) as mesh:
            found = mesh.snapshot.get(want)
        if isinstance(found, Missing):
            raise SourceError(f"{file}: {found}")
        try:
            document = msgspec.json.decode(found.value)
        except msgspec.DecodeError:
            return capped([comment(file), *visible(found.value.decode(errors="replace")).splitlines()], self.words)
        places = find_places(document, at) if at else ()
        if places:
            return document_lines(f"{file}  {at}", places, self.words)
        lines = document_lines(file, [Place("", document)], self.words)
        return [comment(self.words("document.absent", place=at)), *lines] if at else lines

    def show_facts(self, facts: tuple[Cell, ...]) -> None:
        """The lines, the long ones folded."""
        self.query_one(TextView).show(folded(facts, self.app.size.width))

    def on_facts_screen_failed(self, message: FactsScreen.Failed) -> None:
        """The reason stands where the text would."""
        self.query_one(TextView).show([comment(self.words.said(str(message.error)))])

    def crumb(self) -> str:
        """The file's last part and the place."""
        file, _, at = self.location.argument.partition(" ")
        return f"{file.rpartition('/')[2]} {at}".rstrip()
