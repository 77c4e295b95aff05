"""The mesh config of a live cluster: what an istiod says it is, else what its ConfigMap says."""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from meshdoctor.kube.client import KubeClient
from meshdoctor.kube.errors import ClusterError, Forbidden, PodError
from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.model.istiod import MeshConfig
from meshdoctor.model.kubernetes import ConfigMap
from meshdoctor.recording.importing.yaml_guard import as_json, load_documents
from meshdoctor.sources.live_pods import MeshPods
from meshdoctor.sources.live_visits import PodVisits
from meshdoctor.sources.scope import mesh_config_maps


class LiveMeshConfig:
    """Read once and remembered, by whoever asks first."""

    def __init__(self, client: KubeClient, visits: PodVisits) -> None:
        self._client = client
        self._visits = visits
        self._known: bytes | ClusterError | None = None
        self._lock = anyio.Lock()

    def forget(self, *, failed_only: bool) -> None:
        """Ask again the next time; *failed_only*: only if it could not be read."""
        if not failed_only or isinstance(self._known, ClusterError):
            self._known = None

    async def read(self, pods: MeshPods) -> bytes:
        """As JSON, of istiod's `/debug/mesh`, else of the ConfigMap. Raises ClusterError without either."""
        async with self._lock:
            known = self._known
            if known is None:
                known = self._known = await self._ask(pods)
            if isinstance(known, ClusterError):
                raise known
            return known

    async def _ask(self, pods: MeshPods) -> bytes | ClusterError:
        told = await self._visits.mesh_config(pods)
        if not isinstance(told, ClusterError):
            return told
        try:
            return await _config_map_mesh(self._client, mesh_config_maps(pods.istiods.values()))
        except ClusterError as error:
            what = f"{told.what}; {error.what}"
            if isinstance(told, Forbidden) and isinstance(error, Forbidden):
                return Forbidden(403, told.reason, what, f"{told.next_step}, or {error.next_step}")
            return ClusterError(what, told.next_step)


async def _config_map_mesh(client: KubeClient, places: Iterable[tuple[str, str]]) -> bytes:
    """The mesh config of the first ConfigMap of *places* that there is, as JSON. Raises ClusterError."""
    lacking: ClusterError | None = None
    for namespace, name in places:
        try:
            return _mesh_of(await client.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}"))
        except ClusterError as error:
            lacking = lacking or error
    raise lacking or PodError("no ConfigMap to read the mesh config from", "see `meshdoctor check-access`")


def _mesh_of(config_map: bytes) -> bytes:
    try:
        text = (decode_json(config_map, ConfigMap).data or {})["mesh"]
        mesh = as_json(next(load_documents(text.encode()), None) or {})
        decode_json(mesh, MeshConfig)
        return mesh
    except (UnreadableError, KeyError):
        raise PodError("the ConfigMap istio holds no readable mesh config", "see its key `mesh`") from None
