"""One Kubernetes or Istio object as YAML: `object KIND NS/NAME`."""

from __future__ import annotations

from difflib import get_close_matches

from meshdoctor.errors import NothingMatches, SourceError
from meshdoctor.model import wants as ask
from meshdoctor.model.kinds import BY_NAME
from meshdoctor.model.snapshot import Missing
from meshdoctor.present.table import Cell
from meshdoctor.screens.document import DocumentScreen


class ObjectScreen(DocumentScreen):
    """The object as it was read."""

    def gather(self) -> tuple[Cell, ...]:
        """The object's YAML."""
        kind, _, name = self.location.argument.partition(" ")
        if kind not in BY_NAME:
            raise NothingMatches(f"no kind {kind} is read", tuple(get_close_matches(kind, BY_NAME, n=1)))
        with self.session.mesh([ask.Objects(kind)]) as mesh:
            found = mesh.snapshot.get(ask.Objects(kind))
            names = [f"{one.namespace}/{one.name}".lstrip("/") for one in mesh.objects(kind, BY_NAME[kind].struct)]
        if isinstance(found, Missing):
            raise SourceError(f"{found.file or kind}: {found}")
        if name and name not in names:
            raise NothingMatches(f"no {kind} {name}", tuple(get_close_matches(name, names, n=1, cutoff=0.4)))
        return tuple(self.of_file(found.origin.file, name))

    def crumb(self) -> str:
        """Kind and name."""
        return self.location.argument
