"""Kubernetes objects from `kubectl get`, must-gather and bug-report files: any mix of kinds, as one list per kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from meshdoctor.model.decode import decode_json
from meshdoctor.model.kinds import KINDS, Kind
from meshdoctor.recording.importing.yaml_guard import as_json, load_documents

_BY_KIND = {(kind.group, "Gateway" if kind.name == "K8sGateway" else kind.name): kind for kind in KINDS}


class _Named(msgspec.Struct, frozen=True):
    name: str = ""
    namespace: str = ""


class _Object(msgspec.Struct, frozen=True):
    """The head of an object or of a list of them."""

    api_version: str = msgspec.field(name="apiVersion", default="")
    kind: str = ""
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    items: list[msgspec.Raw] | None = None


class KubeObjects:
    """Collects objects of the kinds that are read; the same object twice counts once, the later one."""

    def __init__(self) -> None:
        self._found: dict[Kind, dict[tuple[str, str], bytes]] = {}
        self._listed: dict[Kind, set[str] | None] = {}
        """Of which namespaces all objects of a kind were listed; None: of every namespace."""
        self.other_kinds: dict[str, int] = {}
        """Objects that no question is asked of, by kind (Secrets among them: they are dropped here)."""

    def add_json(self, body: bytes) -> None:
        """An object or a list of objects; raises `UnreadableError`."""
        self._add_document(body)

    def add_yaml(self, body: bytes) -> None:
        """Documents of an object or a list each; raises `UnreadableError`."""
        for document in load_documents(body):
            if isinstance(document, dict):
                self._add_document(as_json(document))

    def _add_document(self, body: bytes) -> None:
        head = decode_json(body, _Object)
        places: dict[Kind, set[str]] = {}
        if head.items is None:
            self._add(body, head, "", places)
        for raw in head.items or ():
            self._add(bytes(raw), decode_json(bytes(raw), _Object), head.kind.removesuffix("List"), places)
        # `kubectl get` lists one namespace, or with -A all of them: whoever lists two has listed every one.
        everywhere = {namespace for found in places.values() for namespace in found}
        for kind in places:
            if len(everywhere) > 1:
                self._listed[kind] = None
            elif (listed := self._listed.setdefault(kind, set())) is not None and head.items is not None:
                listed |= everywhere

    def listed(self, kind: Kind) -> tuple[str, ...] | None:
        """The namespaces of which all objects of *kind* are there, None: of all; none for single objects."""
        found = self._listed.get(kind)
        return None if found is None or not kind.namespaced else tuple(sorted(found))

    def _add(self, body: bytes, head: _Object, list_kind: str, places: dict[Kind, set[str]]) -> None:
        kind = head.kind or list_kind
        if head.items is not None:
            for raw in head.items:
                self._add(bytes(raw), decode_json(bytes(raw), _Object), kind.removesuffix("List"), places)
            return
        group = head.api_version.rpartition("/")[0]
        known = _BY_KIND.get((group, kind))
        if known is None and not head.api_version:  # an item of a typed list says neither its kind nor its group
            known = next((found for (_, name), found in _BY_KIND.items() if name == kind), None)
        if known is None:
            self.other_kinds[kind or "unknown"] = self.other_kinds.get(kind or "unknown", 0) + 1
            return
        named = decode_json(bytes(head.metadata), _Named)
        if known.namespaced:
            places.setdefault(known, set()).add(named.namespace)
        self._found.setdefault(known, {})[named.namespace, named.name] = body

    def names(self, kind: str) -> set[tuple[str, str]]:
        """Namespace and name of every object of a kind of KINDS."""
        return next((set(found) for known, found in self._found.items() if known.name == kind), set())

    def bodies(self, kind: str) -> Iterable[bytes]:
        """The JSON of every object of a kind of KINDS."""
        return next((found.values() for known, found in self._found.items() if known.name == kind), ())

    def drop(self, kind: str) -> None:
        """Forgets the objects of a kind."""
        self._found = {known: found for known, found in self._found.items() if known.name != kind}

    def lists(self) -> Iterator[tuple[Kind, str, bytes]]:
        """Each kind, its file of a recording, and the list of its objects as JSON."""
        for kind, found in self._found.items():
            body = b'{"kind":"List","apiVersion":"v1","items":[' + b",".join(found.values()) + b"]}"
            yield kind, kind.file, body
