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
import msgspec

from meshdoctor.kube.access import AccessReviewer
from meshdoctor.kube.client import KubeClient
from meshdoctor.kube.connection import Connection
from meshdoctor.kube.envoy_admin import read_config_dump
from meshdoctor.kube.errors import ClusterError, Forbidden, NotFound
from meshdoctor.kube.exec_fallback import exec_get
from meshdoctor.kube.fanout import Job, Unread, fan_out
from meshdoctor.kube.loop import LoopThread
from meshdoctor.kube.podhttp import PodHttp, PodVisit
from meshdoctor.kube.reads import AdminRead, admin_read
from meshdoctor.kube.settings import Settings
from meshdoctor.kube.target import Target
from meshdoctor.model import wants as ask
from meshdoctor.model.kinds import BY_NAME, KINDS
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.snapshot import Fact, Missing, Origin, PodRef, Snapshot, SourceInfo, Want
from meshdoctor.recording.archive import Files
from meshdoctor.recording.raw import Manifest, RawRecording
from meshdoctor.sources.live_lists import Capture, LiveLists, missing
from meshdoctor.sources.live_pods import MeshPods, inventory, memory_limit, mesh_pods, monitoring_port
from meshdoctor.sources.recording import RecordingSource

Answers = dict[Want[Any], Fact[Any] | Missing]

_PROXY_FILES: dict[type[Want[Any]], str] = {
    ask.ProxyConfig: "config_dump.json",
    ask.ProxyClusters: "clusters.json",
    ask.ProxyCertificates: "certs.json",
    ask.ProxyListeners: "listeners.json",
    ask.ProxyServerInfo: "server_info.json",
    ask.ProxyInitDump: "init_dump.json",
    ask.ProxyReady: "ready.txt",
    ask.ProxyMetrics: "stats.prom",
    ask.ZtunnelConfig: "config_dump.json",
}
_MESH_FILE = "mesh.json"
_DUMP_DEADLINE = 60.0


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
        self._allow_exec = allow_exec
        self._capture = capture
        self._clock = clock
        self._loop = LoopThread()
        self._connection = Connection(
            target,
            self.settings,
            environment=os.environ if environment is None else environment,
            allow_exec=allow_exec,
            terminal=terminal,
        )
        self._client = KubeClient(self._connection)
        self._pods = PodHttp(self._connection)
        self._lists = LiveLists(self._client, namespaces or (target.namespace,), clock, capture)
        self._known_pods: tuple[float, MeshPods | Missing] | None = None
        self._mesh_body: bytes | None = None
        self._started = clock()

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
        by_pod: dict[PodRef, list[Want[Any]]] = {}
        pods: MeshPods | Missing | None = None
        if any(not isinstance(want, ask.Objects) for want in lacking):
            pods = await self._mesh_pods()
        async with anyio.create_task_group() as group:
            for want in lacking:
                if isinstance(want, ask.Objects):
                    group.start_soon(self._objects, want, answers)
                elif isinstance(pods, Missing):
                    answers[want] = pods
                elif isinstance(want, ask.Contents):
                    group.start_soon(self._contents, want, cast(MeshPods, pods), answers)
                elif isinstance(want, ask.AccessLog | ask.ApplicationLog | ask.LogText | ask.ZtunnelAccessLog):
                    group.start_soon(self._log, want, cast(MeshPods, pods), answers)
                else:
                    by_pod.setdefault(self._place(want, cast(MeshPods, pods)), []).append(want)
            if by_pod:
                group.start_soon(self._visits, by_pod, cast(MeshPods, pods), answers)
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
                extra = await self._mesh_config(pods)
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

    async def _mesh_config(self, pods: MeshPods) -> dict[str, bytes]:
        """istiod's mesh config as a file: access logs are read by the format that it sets."""
        if self._mesh_body is None:
            for pod in pods.istiods.values():
                try:
                    self._mesh_body = await self._pods.get(
                        PodRef(pod.namespace, pod.name),
                        "istiod",
                        "/debug/mesh",
                        deadline=self.settings.fan_out.deadline,
                        port=monitoring_port(pod),
                    )
                    break
                except ClusterError:
                    continue  # the next istiod has the same mesh config; without any the known formats are tried
        return {f"istiod/any/{_MESH_FILE}": self._mesh_body} if self._mesh_body else {}

    # ---- pods' admin ports -----------------------------------------------------------------------------------------

    def _place(self, want: Any, pods: MeshPods) -> PodRef:
        """The pod that answers *want*."""
        if isinstance(want, ask.SyncStatus | ask.Registry):
            pod = pods.istiods.get(want.istiod)
            return PodRef(pod.namespace, pod.name) if pod else PodRef("", want.istiod)
        if isinstance(want, ask.Mesh):
            first = next(iter(pods.istiods.values()), None)
            return PodRef(first.namespace, first.name) if first else PodRef("", "istiod")
        return cast(PodRef, want.pod)

    async def _visits(self, by_pod: dict[PodRef, list[Want[Any]]], pods: MeshPods, answers: Answers) -> None:
        jobs = []
        small = True
        for ref, wants in by_pod.items():
            pod = pods.all.get(ref)
            if pod is None:
                answers.update({want: Missing("no such pod", f"{ref} is not in the cluster") for want in wants})
                continue
            jobs.append(Job(ref, pod.spec.node_name))
            small = small and all(self._is_small(want, pods) for want in wants)

        async def visit(ref: PodRef) -> None:
            async with self._pods.visit(ref) as opened:
                for want in by_pod[ref]:
                    await self._ask(want, opened, pods, answers)

        limits = self.settings.fan_out
        if not small:
            limits = msgspec.structs.replace(limits, deadline=max(limits.deadline, 2 * _DUMP_DEADLINE))
        for result in await fan_out(jobs, visit, limits, cut_stragglers=small):
            if isinstance(result, Unread):
                reason = "failed" if result.reason in ("busy", "node") else result.reason
                for want in by_pod[result.pod]:
                    answers.setdefault(want, Missing(reason, result.detail))

    def _is_small(self, want: Want[Any], pods: MeshPods) -> bool:
        read = self._admin_read(want, pods)
        return read is not None and read.small

    def _admin_read(self, want: Any, pods: MeshPods) -> AdminRead | None:
        file = want.file if isinstance(want, ask.ProxyBody) else _PROXY_FILES.get(type(want), "")
        pod = getattr(want, "pod", None)
        return admin_read("ztunnel" if pod in pods.ztunnels else "envoy", file)

    async def _ask(self, want: Any, visit: PodVisit, pods: MeshPods, answers: Answers) -> None:
        """One want of one pod. Raises ClusterError when nothing else of the pod can be read either."""
        pod = visit.pod
        if isinstance(want, ask.SyncStatus | ask.Registry | ask.Mesh):
            await self._ask_istiod(want, visit, pods, answers)
            return
        read = self._admin_read(want, pods)
        if read is None:
            answers[want] = Missing("not recorded", "this file is not read of a live proxy")
            return
        file = f"{'ztunnel' if read.role == 'ztunnel' else 'envoy'}/{pod.namespace}/{pod.name}/{read.file}"
        deadline = self.settings.fan_out.deadline if read.small else _DUMP_DEADLINE

        async def get(target: str) -> bytes:
            try:
                return await visit.get(read.role, target, deadline=deadline, statuses=read.statuses)
            except Forbidden:
                if not self._allow_exec or read.role != "envoy":
                    raise
                return await exec_get(self._connection, pod, target, deadline=deadline)

        try:
            if read.parts:
                body = await read_config_dump(get, memory_limit(pods.all[pod]))
            else:
                body = await get(read.target)
        except ClusterError as error:
            answers[want] = missing(error, file)
            if answers[want].reason in ("forbidden", "timeout", "no such pod"):  # type: ignore[union-attr]
                raise
            return
        answers[want] = self._decode(want, file, body)

    async def _ask_istiod(self, want: Any, visit: PodVisit, pods: MeshPods, answers: Answers) -> None:
        path = "syncz" if isinstance(want, ask.SyncStatus) else "mesh" if isinstance(want, ask.Mesh) else "registryz"
        pod = pods.istiods.get(visit.pod.name)
        file = f"istiod/{visit.pod.name}/{path}.json"
        if pod is None:
            answers[want] = Missing("no such pod", f"{visit.pod} is no running istiod", file)
            return
        deadline = self.settings.fan_out.deadline
        try:
            body = await visit.get("istiod", f"/debug/{path}", deadline=deadline, port=monitoring_port(pod))
        except ClusterError as error:
            answers[want] = missing(error, file)
            return
        answers[want] = self._decode(want, file, body)

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
