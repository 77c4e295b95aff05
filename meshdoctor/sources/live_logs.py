"""Logs of a live cluster, and whatever else evidence points at by the name of its file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meshdoctor.kube.client import KubeClient
from meshdoctor.kube.errors import ClusterError
from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import Fact, Missing, Origin, Snapshot, Want
from meshdoctor.sources.live_decode import LiveDecoder
from meshdoctor.sources.live_files import Kept, body_want, kind_of, log_file, log_of, log_wants
from meshdoctor.sources.live_lists import LiveLists, missing
from meshdoctor.sources.live_mesh_config import LiveMeshConfig
from meshdoctor.sources.live_pods import MeshPods
from meshdoctor.sources.live_visits import Answers, PodVisits

LEAST_LINES = 500
"""Of each log, however many there are."""


class LiveLogs:
    """Reads at most *log_bytes* of what a container wrote in the last *since_seconds*.

    *all_lines*: of many logs that are read at once only the last lines of each, so many together; None for no limit.
    """

    def __init__(
        self,
        client: KubeClient,
        decoder: LiveDecoder,
        mesh_config: LiveMeshConfig,
        *,
        since_seconds: int,
        log_bytes: int,
        all_lines: int | None = None,
    ) -> None:
        self._client = client
        self._decoder = decoder
        self._mesh_config = mesh_config
        self._since = since_seconds
        self._log_bytes = log_bytes
        self._all_lines = all_lines
        self._lines: int | None = None

    def expect(self, logs: int) -> None:
        """So many logs are about to be read at once."""
        self._lines = None if self._all_lines is None else max(LEAST_LINES, self._all_lines // max(1, logs))

    async def answer(
        self, log: ask.LogRef, wants: list[Want[Any]], known: Snapshot, pods: MeshPods, answers: Answers
    ) -> None:
        """Everything that is wanted of one log, of the same bytes as what is *known* of it: lines have numbers."""
        file = log_file(log)
        extra: dict[str, bytes] = {}
        try:
            if any(isinstance(want, ask.AccessLog) for want in wants):
                extra = await self._format(pods)
            kept = self._decoder.kept.get(file)
            facts = [known.get(want) for want in log_wants(log)]
            if kept is None or not any(isinstance(f, Fact) and f.origin.read_at == kept.read_at for f in facts):
                kept = await self.read(log)
        except ClusterError as error:
            answers.update({want: missing(error, file) for want in wants})
            return
        for want in wants:
            answers[want] = self._decoder.recorded(want, file, kept, extra)

    async def read(self, log: ask.LogRef) -> Kept:
        """The log as it is now. Raises ClusterError."""
        body = await self._client.log(
            log.pod.namespace,
            log.pod.name,
            log.container,
            since_seconds=None if log.previous else self._since,
            previous=log.previous,
            tail_lines=self._lines,
            limit_bytes=self._log_bytes,
        )
        return self._decoder.keep(log_file(log), body)

    async def _format(self, pods: MeshPods) -> dict[str, bytes]:
        """istiod's mesh config as a file beside a log, which is read by the format that it sets."""
        try:
            return {"istiod/any/mesh.json": await self._mesh_config.read(pods)}
        except ClusterError:
            return {}  # the known formats are tried; whoever wants the mesh config itself is told why


class LiveEvidence:
    """The answer that evidence points at: as it was read, else as it is now."""

    def __init__(
        self, decoder: LiveDecoder, lists: LiveLists, logs: LiveLogs, visits: PodVisits, clock: Callable[[], float]
    ) -> None:
        self._decoder = decoder
        self._lists = lists
        self._logs = logs
        self._visits = visits
        self._clock = clock

    async def answer(self, want: ask.RecordedFile, pods: MeshPods, answers: Answers) -> None:
        """One file."""
        try:
            answers[want] = await self._file(want.file, pods)
        except ClusterError as error:
            answers[want] = missing(error, want.file)

    async def _file(self, file: str, pods: MeshPods) -> Fact[Any] | Missing:
        kind, log, admin = kind_of(file), log_of(file), body_want(file)
        if kind is not None:
            body = await self._lists.body(kind)
            return body if isinstance(body, Missing) else Fact(body, Origin(file, self._clock()))
        kept = self._decoder.kept.get(file)
        if kept is None and log is not None:
            kept = await self._logs.read(log)
        if kept is not None:
            return Fact(kept.body, Origin(file, kept.read_at))
        if admin is None:
            return Missing("not recorded", "it is not kept; read its view again", file)
        visited: Answers = {}
        await self._visits.read({admin.pod: [admin]}, pods, visited)
        return visited[admin]
