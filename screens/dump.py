"""One object of a proxy's configuration as JSON: `dump NS/POD KIND NAME`."""

from __future__ import annotations

import msgspec

from meshdoctor.errors import NothingMatches, SourceError
from meshdoctor.mesh.places import Place
from meshdoctor.mesh.proxy.joined_routing import ROUTE
from meshdoctor.mesh.proxy.object_json import certificates_with, resource_json
from meshdoctor.model import wants as ask
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.snapshot import Missing
from meshdoctor.present.document_lines import document_lines
from meshdoctor.present.table import Cell
from meshdoctor.screens.document import DocumentScreen


class DumpScreen(DocumentScreen):
    """A listener, route configuration (or one virtual host), cluster, endpoint assignment, secret or certificate."""

    def _parts(self) -> tuple[str, str, str]:
        pod, _, rest = self.location.argument.partition(" ")
        kind, _, name = rest.partition(" ")
        return pod, kind, name

    def gather(self) -> tuple[Cell, ...]:
        """Its JSON as it stood in the dump."""
        pod, kind, name = self._parts()
        ref = self.session.pod(pod)
        if kind == "certificate":
            return tuple(self._certificate(str(ref), name))
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

    def _certificate(self, pod: str, serial: str) -> list[Cell]:
        """The certificate with this serial number, as Envoy's `/certs` gives it."""
        want = ask.RecordedFile(f"envoy/{pod}/certs.json")
        with self.session.mesh([want]) as mesh:
            body = mesh.snapshot.get(want)
        if isinstance(body, Missing):
            raise SourceError(f"{body.file or want.file}: {body}")
        try:
            found = certificates_with(body.value, serial)
        except UnreadableError as error:
            raise SourceError(f"{want.file}: {error}") from None
        if not found:
            raise NothingMatches(f"{pod} has no certificate {serial}", ())
        return document_lines(f"{pod}  certificate {serial}", [Place("", value) for value in found], self.words)

    def crumb(self) -> str:
        """Kind and name."""
        _, kind, name = self._parts()
        return f"{kind} {name}"
