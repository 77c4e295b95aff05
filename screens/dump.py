"""One object of a proxy's configuration as JSON: `dump NS/POD KIND NAME`."""

from __future__ import annotations

import msgspec

from meshdoctor.errors import NothingMatches, SourceError
from meshdoctor.mesh.places import Place
from meshdoctor.mesh.proxy.joined import ROUTE, resource_json
from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import Missing
from meshdoctor.present.document_lines import document_lines
from meshdoctor.present.table import Cell
from meshdoctor.screens.document import DocumentScreen


class DumpScreen(DocumentScreen):
    """A listener, route configuration (or one virtual host of it), cluster, endpoint assignment or secret."""

    def _parts(self) -> tuple[str, str, str]:
        pod, _, rest = self.location.argument.partition(" ")
        kind, _, name = rest.partition(" ")
        return pod, kind, name

    def gather(self) -> tuple[Cell, ...]:
        """Its JSON as it stood in the dump."""
        pod, kind, name = self._parts()
        ref = self.session.pod(pod)
        with self.session.mesh([ask.ProxyConfig(ref)]) as mesh:
            config = mesh.snapshot.get(ask.ProxyConfig(ref))
        if isinstance(config, Missing):
            raise SourceError(f"{config.file}: {config}")
        name, _, host = name.partition(" ") if kind == ROUTE else (name, "", "")
        found = resource_json(config.value, kind, name)
        if kind == "endpoint" and not found:
            return tuple(self.of_file(f"envoy/{pod}/clusters.json", name))
        if not found:
            raise NothingMatches(f"{pod} has no {kind} {name}", ())
        values = [msgspec.json.decode(raw) for raw in found]
        hosts = [
            each for value in values for each in value.get("virtual_hosts", ()) if host and each.get("name") == host
        ]
        places = [Place("", value) for value in hosts or values]
        return tuple(document_lines(f"{pod}  {kind} {name} {host}".rstrip(), places, self.words))

    def crumb(self) -> str:
        """Kind and name."""
        _, kind, name = self._parts()
        return f"{kind} {name}"
