"""What the server holds: Kubernetes objects by list path, with versions, pages, selectors and a log of changes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple


class Change(NamedTuple):
    """One entry of the log that watches read."""

    version: int
    path: str
    type: str
    body: bytes
    namespace: str


class Stored(NamedTuple):
    """One object, serialised once."""

    namespace: str
    name: str
    labels: dict[str, str]
    fields: dict[str, str]
    body: bytes
    """As an item of a list, where a real server leaves apiVersion and kind out."""
    alone: bytes


class Kind(NamedTuple):
    """How discovery names a list."""

    kind: str
    namespaced: bool


class Objects:
    """Objects by the path of their list without a namespace, such as `/api/v1/pods`."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Stored]] = {}
        self.kinds: dict[str, Kind] = {}
        self.version = 1000
        self.oldest = 0
        """Versions before this one are forgotten: watches and pages that begin there are answered with 410."""
        self.changes: list[Change] = []

    @classmethod
    def of_recording(cls, folder: Path) -> Objects:
        """The `kube/` part of an unpacked recording."""
        made = cls()
        for file in sorted((folder / "kube").glob("*/*/*.json")):
            group, version, resource = file.parts[-3], file.parts[-2], file.stem
            start = "/api" if group == "core" else f"/apis/{group}"
            document = json.loads(file.read_text())
            items = document.get("items") or []
            made.add(f"{start}/{version}/{resource}", document.get("kind", "List").removesuffix("List"), items)
        return made

    def add(self, path: str, kind: str, items: Iterable[dict[str, Any]], *, namespaced: bool | None = None) -> None:
        """Add a whole list."""
        stored = [_stored(item, kind, path) for item in items]
        self.lists[path] = stored
        if namespaced is None:
            namespaced = any(item.namespace for item in stored) or path.rsplit("/", 1)[1] not in ("nodes", "namespaces")
        self.kinds[path] = Kind(kind, namespaced)

    def change(self, type: str, path: str, item: dict[str, Any]) -> None:
        """ADDED, MODIFIED or DELETED *item*; watches hear of it."""
        version = self.version + 1
        item = {**item, "metadata": {**item["metadata"], "resourceVersion": str(version)}}
        new = _stored(item, self.kinds[path].kind, path)
        kept = [old for old in self.lists[path] if (old.namespace, old.name) != (new.namespace, new.name)]
        self.lists[path] = kept if type == "DELETED" else [*kept, new]
        self.changes.append(Change(version, path, type, new.alone, new.namespace))
        self.version = version  # last: a watch on the server's thread must not see the version without the change

    def forget(self) -> None:
        """Compact: everything before now is too old."""
        self.oldest = self.version + 1
        self.version = self.oldest
        self.changes.clear()

    def select(self, path: str, namespace: str, labels: str, fields: str) -> list[Stored]:
        """The objects of a list that match; selectors are `a=b,c!=d`."""
        found = self.lists[path]
        if namespace:
            found = [item for item in found if item.namespace == namespace]
        if labels:
            found = [item for item in found if _matches(labels, item.labels)]
        if fields:
            found = [item for item in found if _matches(fields, item.fields)]
        return found

    def list_body(self, path: str, items: list[Stored], continued: str) -> bytes:
        """A List of *items*."""
        api_version = path.removeprefix("/apis/").removeprefix("/api/").rsplit("/", 1)[0]
        head = {
            "kind": f"{self.kinds[path].kind}List",
            "apiVersion": api_version,
            "metadata": {"resourceVersion": str(self.version), **({"continue": continued} if continued else {})},
        }
        return json.dumps(head).encode()[:-1] + b',"items":[' + b",".join(item.body for item in items) + b"]}"


def _stored(item: dict[str, Any], kind: str, path: str) -> Stored:
    metadata = item["metadata"]
    api_version = path.removeprefix("/apis/").removeprefix("/api/").rsplit("/", 1)[0]
    body = json.dumps(item).encode()
    alone = json.dumps({"apiVersion": api_version, "kind": kind, **item}).encode()
    fields = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata.get("namespace", ""),
        "spec.nodeName": item.get("spec", {}).get("nodeName", ""),
        "status.phase": item.get("status", {}).get("phase", ""),
    }
    return Stored(metadata.get("namespace", ""), metadata["name"], metadata.get("labels") or {}, fields, body, alone)


def _matches(selector: str, values: dict[str, str]) -> bool:
    for part in selector.split(","):
        if "!=" in part:
            key, _, value = part.partition("!=")
            if values.get(key) == value:
                return False
        elif "=" in part:
            key, _, value = part.replace("==", "=").partition("=")
            if values.get(key) != value:
                return False
        elif part not in values:
            return False
    return True
