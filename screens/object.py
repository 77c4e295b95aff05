"""One Kubernetes or Istio object as YAML: `object KIND NS/NAME`."""

from __future__ import annotations

from difflib import get_close_matches

import msgspec

from meshdoctor.errors import NothingMatches, SourceError
from meshdoctor.mesh.places import Place
from meshdoctor.model import wants as ask
from meshdoctor.model.kind_names import kind_called
from meshdoctor.model.kinds import BY_NAME
from meshdoctor.model.snapshot import Missing
from meshdoctor.present.document_lines import document_lines
from meshdoctor.present.table import Cell
from meshdoctor.screens.document import DocumentScreen


class ObjectScreen(DocumentScreen):
    """The object as it is."""

    def gather(self) -> tuple[Cell, ...]:
        """The object's YAML. Of a cluster only this object is asked; the list where a role may list but not get."""
        typed, _, name = self.location.argument.partition(" ")
        called = kind_called(typed)
        if called is None:
            raise NothingMatches(f"no kind {typed} is read", tuple(get_close_matches(typed, BY_NAME, n=1)))
        kind = called.name
        namespace, _, own = name.rpartition("/")
        found = self.session.answer(ask.ObjectBody(kind, namespace, own))
        if isinstance(found, Missing):
            if found.reason == "forbidden":
                return tuple(self._of_list(kind, name))
            known = [each.partition(" ")[2] for each in self.session.names("object") if each.startswith(f"{kind} ")]
            if found.reason == "not recorded" and found.detail:
                raise NothingMatches(f"no {kind} {name}", tuple(get_close_matches(name, known, n=1, cutoff=0.4)))
            raise SourceError(f"{found.file}: {found}")
        try:
            body = msgspec.json.decode(found.value)
        except msgspec.DecodeError as error:
            raise SourceError(f"{found.origin.file}: {error}") from None
        return tuple(document_lines(f"{found.origin.file}  {name}", [Place("", body)], self.words))

    def _of_list(self, kind: str, name: str) -> list[Cell]:
        with self.session.mesh([ask.Objects(kind)]) as mesh:
            found = mesh.snapshot.get(ask.Objects(kind))
        if isinstance(found, Missing):
            raise SourceError(f"{found.file or kind}: {found}")
        return self.of_file(found.origin.file, name)

    def crumb(self) -> str:
        """Kind and name."""
        return self.location.argument
