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
from meshdoctor.model.decode import UnreadableError, decode_json
from meshdoctor.model.istiod import MeshConfig
from meshdoctor.model.kinds import BY_NAME, KINDS
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.snapshot import Fact, Missing, Origin, PodRef, Snapshot, SourceInfo, Want
from meshdoctor.recording.archive import Files
from meshdoctor.recording.raw import Manifest, RawRecording
from meshdoctor.sources.live_files import Kept, KeptFiles, body_want, kind_of, log_file, log_of, log_wants
from meshdoctor.sources.live_lists import Capture, LiveLists, missing
from meshdoctor.sources.live_pods import MeshPods, inventory, mesh_pods
from meshdoctor.sources.live_visits import Answers, PodVisits, config_map_mesh, place
from meshdoctor.sources.live_watch import Watched, watch_kind
from meshdoctor.sources.recording import RecordingSource
from meshdoctor.sources.scope import scope

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
        self._kept = KeptFiles()
        self._pods_watched = False
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

    def limit(self, named: tuple[str, ...], why: str) -> tuple[str, ...]:
        """From now on, list objects of these namespaces and the control plane's only; returns all of them.

        Facts say *why* they are a part. Raises ClusterError.
        """
        return self._loop.run(self._limit(named, why))

    def authenticate(self, *, terminal: bool) -> None:
        """Get a new credential; an exec plugin may ask at the terminal, now and only now. Raises CredentialError."""
        credentials = self._connection.credentials
        before = credentials.terminal
        try:
            self._loop.run(credentials.authenticate(terminal=terminal))
        finally:
            credentials.terminal = before

    def whoami(self) -> tuple[str, tuple[str, ...]]:
        """The user name and groups that the cluster sees, for a header. Raises ClusterError."""
        return self._loop.run(AccessReviewer(self._client).whoami())

    def watch(self, kind: str, tell: Callable[[Watched], None]) -> Callable[[], None]:
        """Keep *kind* up to date: *tell* is called on the source's thread. Returns a function that stops it."""

        def heard(state: Watched) -> None:
            if kind == "Pod":
                self._pods_watched = not state.lost
                if not state.lost:  # who asks a pod next need not list them all again
                    self._remember(Fact(state.objects, Origin("", state.heard_at)))
            tell(state)

        work = watch_kind(self._client, self._lists.discovery, BY_NAME[kind], heard, self._clock)
        stop_work = self._loop.start(work)

        def stop() -> None:
            if kind == "Pod":
                self._pods_watched = False
            stop_work()

        return stop

    def close(self) -> None:
        """Close every connection; whoever still reads gets CancelledError."""
        self._loop.close(self._connection.aclose())

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

    async def _limit(self, named: tuple[str, ...], why: str) -> tuple[str, ...]:
        pods = await self._lists.control_plane()
        try:
            mesh = decode_json(await self._mesh_config(mesh_pods(pods)), MeshConfig)
        except (ClusterError, UnreadableError):
            mesh = MeshConfig()  # Istio's own root namespace; whoever wants the mesh config is told why
        namespaces = scope(named, pods, mesh)
        self._lists.limit(namespaces, why)
        return namespaces

    async def read_async(self, wants: Iterable[Want[Any]], known: Snapshot | None = None) -> Snapshot:
        """`read` on the source's own loop."""
        snapshot = known or Snapshot(self.info, {})
        lacking = snapshot.lacks(wants)
        answers: Answers = {}
        if isinstance(self._mesh, ClusterError) or ask.Mesh() in lacking:
            self._mesh = None  # asked again, at the next read
        by_pod: dict[PodRef, list[Want[Any]]] = {}
        by_log: dict[ask.LogRef, list[Want[Any]]] = {}
        pods: MeshPods | Missing | None = None
        if any(not isinstance(want, ask.Objects | ask.ObjectBody) for want in lacking):
            if _PODS in lacking:
                await self._objects(_PODS, answers)  # first and once: everything else needs the pods as well
            pods = await self._mesh_pods()
        async with anyio.create_task_group() as group:
            for want in lacking:
                if want in answers:
                    continue
                if isinstance(want, ask.Objects):
                    group.start_soon(self._objects, want, answers)
                elif isinstance(want, ask.ObjectBody):
                    group.start_soon(self._object_body, want, answers)
                elif isinstance(pods, Missing):
                    answers[want] = pods
                elif isinstance(want, ask.Contents):
                    group.start_soon(self._contents, want, cast(MeshPods, pods), answers)
                elif isinstance(want, ask.Mesh):
                    group.start_soon(self._ask_mesh, want, cast(MeshPods, pods), answers)
                elif isinstance(want, ask.AccessLog | ask.ApplicationLog | ask.LogText | ask.ZtunnelAccessLog):
                    by_log.setdefault(want.log, []).append(want)
                elif isinstance(want, ask.RecordedFile):
                    group.start_soon(self._file, want, cast(MeshPods, pods), answers)
                else:
                    by_pod.setdefault(place(want, cast(MeshPods, pods)), []).append(want)
            for log, wanted in by_log.items():
                group.start_soon(self._log, log, wanted, snapshot, cast(MeshPods, pods), answers)
            if by_pod:
                group.start_soon(self._visits.read, by_pod, cast(MeshPods, pods), answers)
        return snapshot.updated({want: answers[want] for want in lacking})

    # ---- objects and the list of pods ------------------------------------------------------------------------------

    async def _objects(self, want: ask.Objects, answers: Answers) -> None:
        answers[want] = await self._lists.objects(BY_NAME[want.kind])
        if want.kind == "Pod":
            self._remember(answers[want])

    async def _object_body(self, want: ask.ObjectBody, answers: Answers) -> None:
        answers[want] = await self._lists.one(BY_NAME[want.kind], want.namespace, want.name)

    async def _mesh_pods(self) -> MeshPods | Missing:
        known = self._known_pods
        old = known is not None and not self._pods_watched and self._clock() - known[0] > self.settings.refresh
        if known is None or isinstance(known[1], Missing) or old:
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

    async def _log(
        self, log: ask.LogRef, wants: list[Want[Any]], known: Snapshot, pods: MeshPods, answers: Answers
    ) -> None:
        """Everything that is wanted of one log, of the same bytes as what is *known* of it: lines have numbers."""
        file = log_file(log)
        extra: dict[str, bytes] = {}
        try:
            if any(isinstance(want, ask.AccessLog) for want in wants):
                extra = await self._log_format(pods)
            kept = self._kept.get(file)
            facts = [known.get(want) for want in log_wants(log)]
            if kept is None or not any(isinstance(f, Fact) and f.origin.read_at == kept.read_at for f in facts):
                kept = await self._read_log(log)
        except ClusterError as error:
            answers.update({want: missing(error, file) for want in wants})
            return
        for want in wants:
            answers[want] = self._recorded(want, file, kept, extra)

    async def _read_log(self, log: ask.LogRef) -> Kept:
        body = await self._client.log(
            log.pod.namespace,
            log.pod.name,
            log.container,
            since_seconds=None if log.previous else self._since,
            previous=log.previous,
            limit_bytes=self._log_bytes,
        )
        return self._keep(log_file(log), body)

    async def _file(self, want: ask.RecordedFile, pods: MeshPods, answers: Answers) -> None:
        """The answer that evidence points at: as it was read, else as it is now."""
        kept = self._kept.get(want.file)
        kind, log, admin = kind_of(want.file), log_of(want.file), body_want(want.file)
        try:
            if kind is not None:
                body = await self._lists.body(kind)
                answers[want] = body if isinstance(body, Missing) else Fact(body, Origin(want.file, self._clock()))
            elif kept is not None:
                answers[want] = Fact(kept.body, Origin(want.file, kept.read_at))
            elif log is not None:
                read = await self._read_log(log)
                answers[want] = Fact(read.body, Origin(want.file, read.read_at))
            elif admin is not None:
                visited: Answers = {}
                await self._visits.read({admin.pod: [admin]}, pods, visited)
                answers[want] = visited[admin]
            else:
                answers[want] = Missing("not recorded", "it is not kept; read its view again", want.file)
        except ClusterError as error:
            answers[want] = missing(error, want.file)

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
        """What a recording with this file, read just now, would answer."""
        return self._recorded(want, file, self._keep(file, body), extra)

    def _keep(self, file: str, body: bytes) -> Kept:
        if self._capture is not None:
            self._capture(file, body)
        kept = Kept(body, self._clock())
        self._kept.put(file, kept)
        return kept

    def _recorded(
        self, want: Want[Any], file: str, kept: Kept, extra: Mapping[str, bytes] | None = None
    ) -> Fact[Any] | Missing:
        files: Files = {name: partial(bytes, held) for name, held in {**(extra or {}), file: kept.body}.items()}
        manifest = Manifest(started_at=kept.read_at, finished_at=kept.read_at)
        return RecordingSource(RawRecording(Path(self.target.server), files, manifest)).read([want]).get(want)
