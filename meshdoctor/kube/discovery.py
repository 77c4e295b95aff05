"""Which kinds a cluster serves, and in which version: an older Istio has no `v1`, many clusters no Gateway API."""

from __future__ import annotations

from typing import TypeVar

import anyio
import msgspec

from meshdoctor.kube.answers import no_api_server
from meshdoctor.kube.client import KubeClient, list_path
from meshdoctor.kube.errors import NotFound
from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.model.kinds import Kind

T = TypeVar("T")
_BUILT_IN = ("", "apps", "discovery.k8s.io", "networking.k8s.io", "admissionregistration.k8s.io")


class _GroupVersion(msgspec.Struct, frozen=True):
    version: str = ""


class _Group(msgspec.Struct, frozen=True):
    name: str = ""
    versions: tuple[_GroupVersion, ...] = ()


class _Groups(msgspec.Struct, frozen=True):
    groups: tuple[_Group, ...]


class _Resource(msgspec.Struct, frozen=True):
    name: str = ""


class _Resources(msgspec.Struct, frozen=True):
    resources: tuple[_Resource, ...]


class Discovery:
    """What one cluster serves; asked once and remembered (`forget` when a CRD may have come)."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._lock = anyio.Lock()
        self._groups: dict[str, tuple[str, ...]] | None = None
        self._resources: dict[tuple[str, str], frozenset[str]] = {}

    def forget(self) -> None:
        """Ask again the next time."""
        self._groups = None
        self._resources.clear()

    async def serving(self, kind: Kind) -> Kind | None:
        """*kind* in the version that the cluster serves, None when it serves none.

        The built-in groups have these kinds as v1 since Kubernetes 1.21 and are not asked. Raises ClusterError.
        """
        if kind.group in _BUILT_IN:
            return kind
        async with self._lock:  # a dozen kinds at once ask the server once
            versions = (await self._versions()).get(kind.group, ())
            for version in sorted(versions, key=lambda version: version != kind.version):
                if kind.resource in await self._served(kind.group, version):
                    return kind._replace(version=version)
        return None

    async def path(self, kind: Kind, namespace: str = "") -> str | None:
        """Where *kind* is listed, None when it is not served. Raises ClusterError."""
        served = await self.serving(kind)
        return None if served is None else list_path(served, namespace)

    async def _versions(self) -> dict[str, tuple[str, ...]]:
        if self._groups is None:
            found = await self._listed("/apis", _Groups)
            self._groups = {each.name: tuple(version.version for version in each.versions) for each in found.groups}
        return self._groups

    async def _served(self, group: str, version: str) -> frozenset[str]:
        if (group, version) not in self._resources:
            try:
                listed = await self._listed(f"/apis/{group}/{version}", _Resources)
            except NotFound:
                listed = _Resources(())
            self._resources[group, version] = frozenset(resource.name for resource in listed.resources)
        return self._resources[group, version]

    async def _listed(self, path: str, struct: type[T]) -> T:
        """What is served at *path*; an answer that lists nothing is none, and must clear no suspect."""
        try:
            return decode_json(await self._client.get(path), struct)
        except UnreadableError:
            raise no_api_server(path, "a list of APIs") from None
