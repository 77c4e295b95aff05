"""A live cluster as a source: the same wants as a recording, answered through the API server, read-only.

Every answer is read as the bytes of a recording's file and decoded by the recording's own code, so that live and
recorded facts cannot differ. Files have the names that they have in a recording.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio

from meshdoctor.kube.access import AccessReviewer
from meshdoctor.kube.client import KubeClient
from meshdoctor.kube.connection import Connection
from meshdoctor.kube.errors import ClusterError, Forbidden, NotFound
from meshdoctor.kube.loop import LoopThread
from meshdoctor.kube.settings import Settings
from meshdoctor.kube.target import Target
from meshdoctor.model import wants as ask
from meshdoctor.model.kinds import BY_NAME, KINDS
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.snapshot import Fact, Missing, Origin, PodRef, Snapshot, SourceInfo, Want
from meshdoctor.recording.archive import Files
from meshdoctor.recording.raw import Manifest, RawRecording
from meshdoctor.sources.live_lists import Capture, LiveLists, missing
from meshdoctor.sources.live_pods import MeshPods, inventory, mesh_pods
from meshdoctor.sources.live_visits import Answers, PodVisits, config_map_mesh, place
from meshdoctor.sources.live_watch import Watched, watch_kind
from meshdoctor.sources.recording import RecordingSource

_PODS = ask.Objects("Pod")


class LiveSource:
    """The facts of a cluster now. `read` may be called from any thread but the one of its own loop; `close` it.

    *since_seconds*: how far back logs are read. *namespaces*: what to read where the whole cluster is forbidden.
    *capture*: is given each file that was read (name in a recording, bytes). *clock* gives Unix seconds.
    """

    def __init__(
        self,
        target: Target,
        settings: Settings | None = None,
        *,
        namespaces: tuple[str, ...] = (),
        since_seconds: int = 900,
        log_bytes: int = 16 << 20,
        allow_exec: bool = False,
        terminal: bool = False,
        capture: Capture | None = None,
        clock: Callable[[], float] = time.time,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.target = target
        self.settings = settings or Settings()
        self._since = since_seconds
        self._log_bytes = log_bytes
        self._capture = capture
        self._clock = clock
        self._connection = Connection(
            target,
            self.settings,
            environment=os.environ if environment is None else environment,
            allow_exec=allow_exec,
            terminal=terminal,
        )
        self._client = KubeClient(self._connection)
        self._lists = LiveLists(self._client, namespaces or (target.namespace,), clock, capture)
        self._known_pods: tuple[float, MeshPods | Missing] | None = None
        self._mesh: bytes | ClusterError | None = None
        self._mesh_lock = anyio.Lock()
        self._visits = PodVisits(self._connection, allow_exec=allow_exec, decode=self._decode)
        self._started = clock()
        self._loop = LoopThread()

    @property
    def info(self) -> SourceInfo:
        """The cluster, from when it was first read until now."""
        name = f"{self.target.context or self.target.origin} ({self.target.server})"
        return SourceInfo("cluster", name, self._started, self._clock())

    def open(self) -> LiveSource:
        """Make sure that the cluster answers, as the user that was asked for. Raises ClusterError."""
        self._loop.run(self._check())
        return self

    def read(self, wants: Iterable[Want[Any]], known: Snapshot | None = None) -> Snapshot:
        """As every source; blocks until everything is read or given up."""
        return self._loop.run(self.read_async(wants, known))

    def authenticate(self, *, terminal: bool) -> None:
        """Get a new credential; an exec plugin may ask at the terminal. Raises CredentialError."""
        self._loop.run(self._connection.credentials.authenticate(terminal=terminal))

    def whoami(self) -> tuple[str, tuple[str, ...]]:
        """The user name and groups that the cluster sees, for a header. Raises ClusterError."""
        return self._loop.run(AccessReviewer(self._client).whoami())

    def watch(self, kind: str, tell: Callable[[Watched], None]) -> Callable[[], None]:
        """Keep *kind* up to date: *tell* is called on the source's thread. Returns a function that stops it."""
        work = watch_kind(self._client, self._lists.discovery, BY_NAME[kind], tell, self._clock)
        return self._loop.start(work)

    def close(self) -> None:
        """Close every connection."""
        self._loop.run(self._connection.aclose())
        self._loop.close()

    def __enter__(self) -> LiveSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _check(self) -> None:
        try:
            await self._client.get("/version")
        except Forbidden:
            return  # it answers; what may be read is told fact by fact
        wanted = self.target.user.impersonate
        if wanted and self.target.secure:
            try:
                name, _ = await AccessReviewer(self._client).whoami()
            except (Forbidden, NotFound):
                return
            if name != wanted:
                raise ClusterError(
                    f"the cluster sees user {name!r}, not {wanted!r}", "a proxy drops impersonation headers"
                )

    async def read_async(self, wants: Iterable[Want[Any]], known: Snapshot | None = None) -> Snapshot:
        """`read` on the source's own loop."""
        snapshot = known or Snapshot(self.info, {})
        lacking = snapshot.lacks(wants)
        answers: Answers = {}
        if isinstance(self._mesh, ClusterError):
            self._mesh = None  # asked again at the next read
        by_pod: dict[PodRef, list[Want[Any]]] = {}
        pods: MeshPods | Missing | None = None
        if any(not isinstance(want, ask.Objects) for want in lacking):
            if _PODS in lacking:
                await self._objects(_PODS, answers)  # first and once: everything else needs the pods as well
            pods = await self._mesh_pods()
        async with anyio.create_task_group() as group:
            for want in lacking:
                if want in answers:
                    continue
                if isinstance(want, ask.Objects):
                    group.start_soon(self._objects, want, answers)
                elif isinstance(pods, Missing):
                    answers[want] = pods
                elif isinstance(want, ask.Contents):
                    group.start_soon(self._contents, want, cast(MeshPods, pods), answers)
                elif isinstance(want, ask.Mesh):
                    group.start_soon(self._ask_mesh, want, cast(MeshPods, pods), answers)
                elif isinstance(want, ask.AccessLog | ask.ApplicationLog | ask.LogText | ask.ZtunnelAccessLog):
                    group.start_soon(self._log, want, cast(MeshPods, pods), answers)
                else:
                    by_pod.setdefault(place(want, cast(MeshPods, pods)), []).append(want)
            if by_pod:
                group.start_soon(self._visits.read, by_pod, cast(MeshPods, pods), answers)
        return snapshot.updated({want: answers[want] for want in lacking})

    # ---- objects and the list of pods ------------------------------------------------------------------------------

    async def _objects(self, want: ask.Objects, answers: Answers) -> None:
        answers[want] = await self._lists.objects(BY_NAME[want.kind])
        if want.kind == "Pod":
            self._remember(answers[want])

    async def _mesh_pods(self) -> MeshPods | Missing:
        known = self._known_pods
        if known is None or isinstance(known[1], Missing) or self._clock() - known[0] > self.settings.refresh:
            self._remember(await self._lists.objects(BY_NAME["Pod"]))
        assert self._known_pods is not None
        return self._known_pods[1]

    def _remember(self, fact: Fact[Any] | Missing) -> None:
        pods = fact if isinstance(fact, Missing) else mesh_pods(cast("tuple[Pod, ...]", fact.value))
        self._known_pods = (self._clock(), pods)

    async def _contents(self, want: ask.Contents, pods: MeshPods, answers: Answers) -> None:
        kinds = []
        for kind in KINDS:
            try:
                if await self._lists.discovery.serving(kind) is not None:
                    kinds.append(kind.name)
            except ClusterError:
                kinds.append(kind.name)  # unknown: asking for it will tell why
        answers[want] = Fact(inventory(pods, tuple(kinds)), Origin("manifest.json", self._clock()))

    # ---- logs ------------------------------------------------------------------------------------------------------

    async def _log(self, want: Any, pods: MeshPods, answers: Answers) -> None:
        log: ask.LogRef = want.log
        file = f"logs/{log.pod.namespace}/{log.pod.name}/{log.container}.log{'.previous' if log.previous else ''}"
        extra: dict[str, bytes] = {}
        try:
            if isinstance(want, ask.AccessLog):
                extra = await self._log_format(pods)
            body = await self._client.log(
                log.pod.namespace,
                log.pod.name,
                log.container,
                since_seconds=None if log.previous else self._since,
                previous=log.previous,
                limit_bytes=self._log_bytes,
            )
        except ClusterError as error:
            answers[want] = missing(error, file)
            return
        answers[want] = self._decode(want, file, body, extra)

    async def _log_format(self, pods: MeshPods) -> dict[str, bytes]:
        """istiod's mesh config as a file beside a log, which is read by the format that it sets."""
        try:
            return {"istiod/any/mesh.json": await self._mesh_config(pods)}
        except ClusterError:
            return {}  # the known formats are tried; whoever wants the mesh config itself is told why

    async def _mesh_config(self, pods: MeshPods) -> bytes:
        """The mesh config of istiod's `/debug/mesh`, else of the ConfigMap. Raises ClusterError without either."""
        async with self._mesh_lock:
            known = self._mesh
            if known is None:
                known = await self._visits.mesh_config(pods)
                if isinstance(known, ClusterError):
                    why = known
                    try:
                        known = await config_map_mesh(self._client)
                    except ClusterError as error:
                        known = ClusterError(f"{why.what}; {error.what}", why.next_step)
                self._mesh = known
            if isinstance(known, ClusterError):
                raise known
            return known

    async def _ask_mesh(self, want: ask.Mesh, pods: MeshPods, answers: Answers) -> None:
        first = next(iter(pods.istiods), "istiod")
        file = f"istiod/{first}/mesh.json"
        try:
            answers[want] = self._decode(want, file, await self._mesh_config(pods))
        except ClusterError as error:
            answers[want] = missing(error, file)

    def _decode(
        self, want: Want[Any], file: str, body: bytes, extra: Mapping[str, bytes] | None = None
    ) -> Fact[Any] | Missing:
        """What a recording with this file would answer."""
        if self._capture is not None:
            self._capture(file, body)
        now = self._clock()
        files: Files = {name: partial(bytes, held) for name, held in {**(extra or {}), file: body}.items()}
        raw = RawRecording(Path(self.target.server), files, Manifest(started_at=now, finished_at=now))
        return RecordingSource(raw).read([want]).get(want)
