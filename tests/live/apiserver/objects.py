"""What the server holds: Kubernetes objects by list path, with versions, pages, selectors and a log of changes."""

from __future__ import annotations

import bisect
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


_OPEN_LISTS = 64
"""How many lists may be on their way page by page; a real server compacts after five minutes."""


class Objects:
    """Objects by the path of their list without a namespace, such as `/api/v1/pods`.

    *kept_changes*: how many changes watches can look back to; whoever asks for older ones is answered with 410.
    """

    def __init__(self, kept_changes: int = 1 << 30) -> None:
        self.lists: dict[str, dict[tuple[str, str], Stored]] = {}
        self.kinds: dict[str, Kind] = {}
        self.version = 1000
        self.oldest = 0
        """Versions before this one are forgotten: watches and pages that begin there are answered with 410."""
        self.changes: list[Change] = []
        self._kept_changes = kept_changes
        self._open: dict[int, tuple[int, list[Stored]]] = {}
        self._opened = 0

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
        self.lists[path] = {(item.namespace, item.name): item for item in stored}
        if namespaced is None:
            namespaced = any(item.namespace for item in stored) or path.rsplit("/", 1)[1] not in ("nodes", "namespaces")
        self.kinds[path] = Kind(kind, namespaced)

    def change(self, type: str, path: str, item: dict[str, Any]) -> None:
        """ADDED, MODIFIED or DELETED *item*; watches hear of it."""
        version = self.version + 1
        item = {**item, "metadata": {**item["metadata"], "resourceVersion": str(version)}}
        new = _stored(item, self.kinds[path].kind, path)
        if type == "DELETED":
            self.lists[path].pop((new.namespace, new.name), None)
        else:
            self.lists[path][new.namespace, new.name] = new
        if len(self.changes) > 2 * self._kept_changes:
            self.changes = self.changes[-self._kept_changes :]
            self.oldest = self.changes[0].version
        self.changes.append(Change(version, path, type, new.alone, new.namespace))
        self.version = version  # last: a watch on the server's thread must not see the version without the change

    def changes_after(self, version: int, path: str) -> list[Change]:
        """What a watch of *path* at *version* has not heard yet."""
        changes = self.changes
        start = bisect.bisect_right(changes, version, key=lambda change: change.version)
        return [change for change in changes[start:] if change.path == path]

    def forget(self) -> None:
        """Compact: everything before now is too old."""
        self.oldest = self.version + 1
        self.version = self.oldest
        self.changes.clear()

    def select(self, path: str, namespace: str, labels: str, fields: str) -> list[Stored]:
        """The objects of a list that match; selectors are `a=b,c!=d`."""
        found = list(self.lists[path].values())
        if namespace:
            found = [item for item in found if item.namespace == namespace]
        if labels:
            found = [item for item in found if _matches(labels, item.labels)]
        if fields:
            found = [item for item in found if _matches(fields, item.fields)]
        return found

    def open_list(self, items: list[Stored]) -> int:
        """Keep *items* as they are now, for a list that is read page by page: all its pages are of one version."""
        self._opened += 1
        self._open[self._opened] = (self.version, items)
        while len(self._open) > _OPEN_LISTS:
            self._open.pop(next(iter(self._open)))
        return self._opened

    def opened(self, number: int) -> tuple[int, list[Stored]] | None:
        """The version and the items of an open list; None when it is too old."""
        found = self._open.get(number)
        return found if found is not None and found[0] >= self.oldest else None

    def list_body(self, path: str, items: list[Stored], continued: str, version: int | None = None) -> bytes:
        """A List of *items*."""
        api_version = path.removeprefix("/apis/").removeprefix("/api/").rsplit("/", 1)[0]
        told = str(self.version if version is None else version)
        head = {
            "kind": f"{self.kinds[path].kind}List",
            "apiVersion": api_version,
            "metadata": {"resourceVersion": told, **({"continue": continued} if continued else {})},
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
