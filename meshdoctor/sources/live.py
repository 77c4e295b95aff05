"""A live cluster as a source: the same wants as a recording, answered through the API server, read-only.

Every answer is read as the bytes of a recording's file and decoded by the recording's own code, so that live and
recorded facts cannot differ. Files have the names that they have in a recording.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
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
from meshdoctor.sources.live_decode import LiveDecoder
from meshdoctor.sources.live_lists import Capture, LiveLists, missing
from meshdoctor.sources.live_logs import ALL_BYTES, LiveEvidence, LiveLogs
from meshdoctor.sources.live_mesh_config import LiveMeshConfig
from meshdoctor.sources.live_pods import KnownPods, MeshPods, inventory, mesh_pods
from meshdoctor.sources.live_visits import Answers, PodVisits, place
from meshdoctor.sources.live_watch import Watched, watch_kind
from meshdoctor.sources.scope import scope

_PODS = ask.Objects("Pod")


class LiveSource:
    """The facts of a cluster now. `read` may be called from any thread but the one of its own loop; `close` it.

    *since_seconds*: how far back logs are read, of each the newest *log_bytes*, of many at once the newest
    *all_log_bytes* and only the last *log_lines* together. *namespaces*: what to read where the whole cluster is
    forbidden. *capture*: is given each file that was read (name in a recording,
    bytes). *clock* gives Unix seconds.
    """

    def __init__(
        self,
        target: Target,
        settings: Settings | None = None,
        *,
        namespaces: tuple[str, ...] = (),
        since_seconds: int = 900,
        log_bytes: int = 16 << 20,
        all_log_bytes: int = ALL_BYTES,
        log_lines: int | None = None,
        allow_exec: bool = False,
        terminal: bool = False,
        capture: Capture | None = None,
        clock: Callable[[], float] = time.time,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.target = target
        self.settings = settings or Settings()
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
        self._pods = KnownPods(clock, self.settings.refresh)
        self._decoder = LiveDecoder(target.address, capture, clock)
        self._visits = PodVisits(self._connection, allow_exec=allow_exec, decode=self._decoder.decode)
        self._mesh_config = LiveMeshConfig(self._client, self._visits)
        self._logs = LiveLogs(
            self._client,
            self._decoder,
            self._mesh_config,
            since_seconds=since_seconds,
            log_bytes=log_bytes,
            all_bytes=all_log_bytes,
            all_lines=log_lines,
        )
        self._evidence = LiveEvidence(self._decoder, self._lists, self._logs, self._visits, clock)
        self._reading: tuple[Answers, int] | None = None
        self._started = clock()
        self._loop = LoopThread()

    @property
    def info(self) -> SourceInfo:
        """The cluster, from when it was first read until now."""
        name = f"{self.target.context or self.target.origin} ({self.target.address})"
        return SourceInfo("cluster", name, self._started, self._clock())

    @property
    def answered(self) -> tuple[int, int]:
        """How many questions of the `read` under way are answered, of how many; (0, 0) between two reads."""
        answers, asked = self._reading or ({}, 0)
        return len(answers), asked

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

        pods = kind == "Pod"

        def heard(state: Watched) -> None:
            if pods:  # who asks a pod next need not list them all again
                self._pods.hear(cast("tuple[Pod, ...]", state.objects), lost=bool(state.lost))
            tell(state)

        stop_work = self._loop.start(
            watch_kind(
                self._client,
                self._lists.discovery,
                BY_NAME[kind],
                heard,
                self._clock,
                start=self._pods.listing if pods else None,
            )
        )

        def stop() -> None:
            if pods:
                self._pods.hear_no_more()
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
            mesh = decode_json(await self._mesh_config.read(mesh_pods(pods)), MeshConfig)
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
        self._reading = answers, len(lacking)
        try:
            await self._answer(lacking, snapshot, answers)
        finally:
            self._reading = None
        return snapshot.updated({want: answers[want] for want in lacking})

    async def _answer(self, lacking: list[Want[Any]], snapshot: Snapshot, answers: Answers) -> None:
        self._mesh_config.forget(failed_only=ask.Mesh() not in lacking)
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
                    group.start_soon(self._evidence.answer, want, cast(MeshPods, pods), answers)
                else:
                    by_pod.setdefault(place(want, cast(MeshPods, pods)), []).append(want)
            if by_log:
                group.start_soon(self._logs.answer, by_log, snapshot, cast(MeshPods, pods), answers)
            if by_pod:
                group.start_soon(self._visits.read, by_pod, cast(MeshPods, pods), answers)

    # ---- objects and the list of pods ------------------------------------------------------------------------------

    async def _objects(self, want: ask.Objects, answers: Answers) -> None:
        answers[want] = await (self._list_pods() if want.kind == "Pod" else self._lists.objects(BY_NAME[want.kind]))

    async def _list_pods(self) -> Fact[Any] | Missing:
        begun = self._clock()
        found = await self._lists.objects(BY_NAME["Pod"])
        self._pods.remember(found, self._lists.versions.get("Pod", ""), self._clock() - begun)
        return found

    async def _object_body(self, want: ask.ObjectBody, answers: Answers) -> None:
        answers[want] = await self._lists.one(BY_NAME[want.kind], want.namespace, want.name)

    async def _mesh_pods(self) -> MeshPods | Missing:
        if self._pods.is_old:
            await self._list_pods()
        return self._pods.sorted

    async def _contents(self, want: ask.Contents, pods: MeshPods, answers: Answers) -> None:
        kinds = []
        for kind in KINDS:
            try:
                if await self._lists.discovery.serving(kind) is not None:
                    kinds.append(kind.name)
            except ClusterError:
                kinds.append(kind.name)  # unknown: asking for it will tell why
        answers[want] = Fact(inventory(pods, tuple(kinds)), Origin("manifest.json", self._clock()))

    async def _ask_mesh(self, want: ask.Mesh, pods: MeshPods, answers: Answers) -> None:
        first = next(iter(pods.istiods), "istiod")
        file = f"istiod/{first}/mesh.json"
        try:
            answers[want] = self._decoder.decode(want, file, await self._mesh_config.read(pods))
        except ClusterError as error:
            answers[want] = missing(error, file)
