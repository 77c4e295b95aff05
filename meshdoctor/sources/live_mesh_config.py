"""The mesh config of a live cluster: what an istiod says it is, else what its ConfigMap says."""

from __future__ import annotations

import anyio

from meshdoctor.kube.client import KubeClient
from meshdoctor.kube.errors import ClusterError, Forbidden, PodError
from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.model.istiod import MeshConfig
from meshdoctor.model.kubernetes import ConfigMap
from meshdoctor.recording.importing.yaml_guard import as_json, load_documents
from meshdoctor.sources.live_pods import MeshPods
from meshdoctor.sources.live_visits import PodVisits


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
            return await config_map_mesh(self._client)
        except ClusterError as error:
            what = f"{told.what}; {error.what}"
            if isinstance(told, Forbidden) and isinstance(error, Forbidden):
                return Forbidden(403, told.reason, what, f"{told.next_step}, or {error.next_step}")
            return ClusterError(what, told.next_step)


async def config_map_mesh(client: KubeClient) -> bytes:
    """The mesh config of the ConfigMap `istio` as JSON. Raises ClusterError."""
    body = await client.get("/api/v1/namespaces/istio-system/configmaps/istio")
    try:
        text = (decode_json(body, ConfigMap).data or {})["mesh"]
        mesh = as_json(next(load_documents(text.encode()), None) or {})
        decode_json(mesh, MeshConfig)
        return mesh
    except (UnreadableError, KeyError):
        raise PodError("the ConfigMap istio holds no readable mesh config", "see its key `mesh`") from None
