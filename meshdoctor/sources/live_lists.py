"""Objects of a live cluster: decoded a page at a time, and what rights allow when the whole cluster is forbidden."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from urllib.parse import quote

import msgspec

from meshdoctor.kube.client import KubeClient, list_path
from meshdoctor.kube.discovery import Discovery
from meshdoctor.kube.errors import ClusterError, Forbidden, NotFound
from meshdoctor.kube.fanout import reason_of
from meshdoctor.model.decode import UnreadableError, decode_json, decode_raw
from meshdoctor.model.istiod import MeshConfig
from meshdoctor.model.kinds import BY_NAME, Kind
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.labels import ISTIOD, selects
from meshdoctor.model.meta import Object
from meshdoctor.model.snapshot import Fact, Missing, Origin, Part
from meshdoctor.sources.scope import CONTROL_PLANE, mesh_config_maps

_PODS = BY_NAME["Pod"]
Capture = Callable[[str, bytes], None]
"""Is given the name in a recording and the bytes of everything that is read."""


class _RawPage(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw] | None = None


def missing(error: ClusterError, file: str) -> Missing:
    """The missing fact that *error* means."""
    reason = reason_of(error)
    return Missing("failed" if reason in ("busy", "node") else reason, str(error), file)


def decode_page(body: bytes, kind: Kind, problems: list[str]) -> list[Object]:
    """The objects of one page; one that cannot be decoded goes to *problems* and leaves the others."""
    page: Any = msgspec.defstruct("Page", [("items", list[kind.struct] | None, None)])  # type: ignore[name-defined]
    try:
        return list(decode_json(body, page).items or ())
    except UnreadableError:
        found: list[Object] = []
        for number, raw in enumerate(decode_json(body, _RawPage).items or ()):
            try:
                found.append(decode_raw(raw, kind.struct))
            except UnreadableError as error:
                problems.append(f"item {number}: {error}")
        return found


def _pods(body: bytes) -> list[Pod]:
    return cast("list[Pod]", decode_page(body, _PODS, []))


class LiveLists:
    """Reads every object of a kind; *namespaces* are read one by one where the whole cluster is forbidden.

    `limit` leaves out all others even where it is not.
    """

    def __init__(
        self, client: KubeClient, namespaces: tuple[str, ...], now: Callable[[], float], capture: Capture | None
    ) -> None:
        self._client = client
        self._namespaces = namespaces
        self._now = now
        self._capture = capture
        self._only: tuple[str, ...] = ()
        self._why = ""
        self.discovery = Discovery(client)
        self.versions: dict[str, str] = {}
        """The resourceVersion of each kind's last whole list, from which it can be watched."""

    def limit(self, namespaces: tuple[str, ...], why: str) -> None:
        """Read only objects of *namespaces* from now on; every fact says so, with *why*."""
        self._only, self._why = namespaces, why

    async def control_plane(self) -> tuple[Pod, ...]:
        """The pods of the control plane; of its usual namespace only where the cluster's may not be listed.

        Empty when neither may be. Raises ClusterError.
        """
        found: list[Pod] = []
        for app in CONTROL_PLANE:
            for namespace in ("", MeshConfig().root_namespace):
                path = list_path(_PODS, namespace)
                try:
                    listing = await self._client.list_all(path, _pods, params={"labelSelector": f"app={app}"})
                except Forbidden:
                    continue
                found += listing.items
                break
        return tuple(found)

    async def objects(self, kind: Kind) -> Fact[tuple[Object, ...]] | Missing:
        """The objects of *kind*; a kind that the cluster does not serve has none."""
        file = kind.file
        try:
            served = await self.discovery.serving(kind)
            if served is None:
                return Fact((), Origin(file, self._now()))
            file = served.file
            if kind.name == "ConfigMap":
                return await self._config_maps(served, file)
            return await self._everywhere(served, file)
        except ClusterError as error:
            return missing(error, file)
        except UnreadableError as error:
            return Missing("unreadable", str(error), file)

    async def one(self, kind: Kind, namespace: str, name: str) -> Fact[bytes] | Missing:
        """One object as the cluster gives it, by one GET; `not recorded` when the cluster has none of this name."""
        file = kind.file
        try:
            served = await self.discovery.serving(kind)
            if served is None:
                return Missing("not recorded", f"the cluster serves no {kind.name}", file)
            file = served.file
            # A name that a person typed must not become a query or another path: what is quoted is refused.
            path = f"{list_path(served, quote(namespace, safe=''))}/{quote(name, safe='')}"
            return Fact(await self._client.get(path), Origin(file, self._now()))
        except NotFound as error:
            return Missing("not recorded", str(error), file)
        except ClusterError as error:
            return missing(error, file)

    async def body(self, kind: Kind) -> bytes | Missing:
        """The objects of *kind* as the cluster lists them, for a person to read."""
        read: list[bytes] = []
        lists = LiveLists(self._client, self._namespaces, self._now, lambda _, body: read.append(body))
        lists.discovery = self.discovery
        lists.limit(self._only, self._why)
        found = await lists.objects(kind)
        if isinstance(found, Missing):
            return found
        return read[0] if read else b'{"kind":"List","apiVersion":"v1","items":[]}'

    async def _everywhere(self, kind: Kind, file: str) -> Fact[tuple[Object, ...]] | Missing:
        problems: list[str] = []
        self.versions.pop(kind.name, None)
        try:
            if self._only and kind.namespaced:
                return await self._of_namespaces(kind, file, self._only, self._why)
            found = await self._list(kind, list_path(kind), file, problems)
        except Forbidden as error:
            if not kind.namespaced or not self._namespaces or self._only:
                return missing(error, file)
            return await self._of_namespaces(kind, file, self._namespaces, error.next_step)
        except NotFound:
            found = []  # the CRD went away between discovery and the list
        return Fact(tuple(found), Origin(file, self._now()), tuple(problems))

    async def _of_namespaces(
        self, kind: Kind, file: str, namespaces: tuple[str, ...], why: str
    ) -> Fact[tuple[Object, ...]] | Missing:
        """The objects of those *namespaces* that could be read. Raises NotFound when the kind is not served."""
        found: list[Object] = []
        problems: list[str] = []
        bodies: list[bytes] = []
        unread: dict[str, ClusterError] = {}
        for namespace in namespaces:
            try:
                found += await self._list(kind, list_path(kind, namespace), "", problems, bodies)
            except NotFound:
                raise
            except ClusterError as error:
                unread[namespace] = error
        if len(unread) == len(namespaces):
            return missing(next(iter(unread.values())), file)
        if self._capture is not None:
            self._capture(file, _joined(bodies))
        reasons = (why, *(f"{namespace}: {error}" for namespace, error in unread.items()))
        part = Part(tuple(name for name in namespaces if name not in unread), "; ".join(filter(None, reasons)))
        return Fact(tuple(found), Origin(file, self._now()), tuple(problems), part)

    async def _list(
        self, kind: Kind, path: str, file: str, problems: list[str], into: list[bytes] | None = None
    ) -> list[Object]:
        bodies: list[bytes] = []
        found: list[Object] = []
        async for page in self._client.pages(path):
            if file:
                self.versions[kind.name] = page.resource_version
            if page.first:  # also when the list had to begin again
                bodies.clear()
                found.clear()
            found += decode_page(page.body, kind, problems)
            if self._capture is not None:
                bodies.append(page.body)
        if self._capture is not None and file:
            self._capture(file, _joined(bodies))
        if into is not None:
            into += bodies
        return found

    async def _config_maps(self, kind: Kind, file: str) -> Fact[tuple[Object, ...]] | Missing:
        """Istio's own ConfigMaps by name: others may hold anything and are never asked for."""
        found: list[Object] = []
        bodies: list[bytes] = []
        istiods = [pod for pod in await self.control_plane() if selects(ISTIOD, pod.metadata.labels)]
        for namespace, name in mesh_config_maps(istiods):
            try:
                body = await self._client.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
            except NotFound:
                continue
            bodies.append(body)
            found.append(decode_json(body, kind.struct))
        if self._capture is not None:
            self._capture(file, b'{"kind":"ConfigMapList","apiVersion":"v1","items":[' + b",".join(bodies) + b"]}")
        return Fact(tuple(found), Origin(file, self._now()))


def _joined(bodies: list[bytes]) -> bytes:
    """The pages of a list as one list."""
    if len(bodies) == 1:
        return bodies[0]
    items = [bytes(raw) for body in bodies for raw in decode_json(body, _RawPage).items or ()]
    return b'{"kind":"List","apiVersion":"v1","items":[' + b",".join(items) + b"]}"
