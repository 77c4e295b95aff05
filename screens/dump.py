"""One object of a proxy's configuration as JSON: `dump NS/POD KIND NAME`."""

from __future__ import annotations

from typing import Any

import msgspec

from meshdoctor.errors import NothingMatches, SourceError
from meshdoctor.mesh.places import Place
from meshdoctor.mesh.proxy.object_json import certificates_with, chain_json, endpoint_json, host_json, resource_json
from meshdoctor.mesh.ztunnel.object_json import KINDS, ztunnel_json
from meshdoctor.model import wants as ask
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.present.document_lines import document_lines
from meshdoctor.present.table import Cell
from meshdoctor.screens.document import DocumentScreen

_WHOLE = ("listener", "cluster", "secret")
"""Kinds of which no part is asked for."""


class DumpScreen(DocumentScreen):
    """A listener, route configuration (or one virtual host), cluster, endpoint assignment, secret or certificate."""

    def _parts(self) -> tuple[str, str, str]:
        pod, _, rest = self.location.argument.partition(" ")
        kind, _, name = rest.partition(" ")
        return pod, kind, name

    def gather(self) -> tuple[Cell, ...]:
        """Its JSON as it stood in the dump."""
        pod, kind, name = self._parts()
        if kind in KINDS:
            return tuple(self._of_ztunnel(pod, kind, name))
        ref = self.session.pod(pod)
        if kind == "certificate":
            return tuple(self._certificate(str(ref), name))
        config = self.fact(ask.ProxyConfig(ref))
        name, _, part = (name, "", "") if kind in _WHOLE else name.partition(" ")
        places = [Place("", value) for value in self._values(config, kind, name, part)]
        if kind == "endpoint":
            places += [Place(self.words("dump.host"), host) for host in self._hosts(str(ref), name, part)]
        if not places:
            raise NothingMatches(f"{pod} has no {kind} {name} {part}".rstrip(), ())
        return tuple(document_lines(f"{pod}  {kind} {name} {part}".rstrip(), places, self.words))

    def _values(self, config: ConfigDump, kind: str, name: str, part: str) -> list[Any]:
        """The object, or the *part* of it that was asked for."""
        if kind == "chain":
            return list(chain_json(config, name, part))
        if kind == "endpoint" and part:
            return list(endpoint_json(config, name, part))
        values = [msgspec.json.decode(raw) for raw in resource_json(config, kind, name)]
        hosts = [
            each for value in values for each in value.get("virtual_hosts", ()) if part and each.get("name") == part
        ]
        return hosts or values

    def _hosts(self, pod: str, cluster: str, address: str) -> list[dict[str, Any]]:
        """The endpoint as Envoy itself sees it, with its counters; none where that was not read."""
        want = ask.RecordedFile(f"envoy/{pod}/clusters.json")
        with self.session.mesh([want]) as mesh:
            body = mesh.snapshot.value(want)
        try:
            return host_json(body, cluster, address) if body else []
        except UnreadableError:
            return []

    def _of_ztunnel(self, pod: str, kind: str, name: str) -> list[Cell]:
        """One object of a ztunnel's own configuration, which is not Envoy's."""
        want = ask.RecordedFile(f"ztunnel/{pod}/config_dump.json")
        body = self.fact(want, where=want.file)
        try:
            found = list(ztunnel_json(body, kind, name))
        except UnreadableError as error:
            raise SourceError(f"{want.file}: {error}") from None
        if not found:
            raise NothingMatches(f"{pod} has no {kind} {name}", ())
        return document_lines(f"{pod}  {kind} {name}", [Place("", value) for value in found], self.words)

    def _certificate(self, pod: str, serial: str) -> list[Cell]:
        """The certificate with this serial number, as Envoy's `/certs` gives it."""
        want = ask.RecordedFile(f"envoy/{pod}/certs.json")
        body = self.fact(want, where=want.file)
        try:
            found = certificates_with(body, serial)
        except UnreadableError as error:
            raise SourceError(f"{want.file}: {error}") from None
        if not found:
            raise NothingMatches(f"{pod} has no certificate {serial}", ())
        return document_lines(f"{pod}  certificate {serial}", [Place("", value) for value in found], self.words)

    def crumb(self) -> str:
        """Kind and name."""
        _, kind, name = self._parts()
        return f"{kind} {name}"
