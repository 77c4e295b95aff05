"""Logs of a live cluster, and whatever else evidence points at by the name of its file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio

from meshdoctor.kube.client import KubeClient
from meshdoctor.kube.errors import ClusterError
from meshdoctor.model import wants as ask
from meshdoctor.model.kinds import kind_of_file
from meshdoctor.model.snapshot import Fact, Missing, Origin, Snapshot, Want
from meshdoctor.sources.live_decode import LiveDecoder
from meshdoctor.sources.live_files import Kept, body_want, log_file, log_of, log_wants
from meshdoctor.sources.live_lists import LiveLists, missing
from meshdoctor.sources.live_mesh_config import LiveMeshConfig
from meshdoctor.sources.live_pods import MeshPods
from meshdoctor.sources.live_visits import Answers, PodVisits

LEAST_LINES = 500
"""Of each log, however many there are."""
ALL_BYTES = 64 << 20
"""Of all logs that are read at once: what is decoded of them takes several times as much memory."""
LEAST_BYTES = 256 << 10
"""Of each log, however many there are."""
_FILLED = 0.9
"""How much of the limit the newest lines are to fill: they may be longer than the oldest, by which they are counted."""


class LiveLogs:
    """Reads what a container wrote in the last *since_seconds*: at most *log_bytes*, of a longer log the newest lines.

    *all_bytes*: of many logs that are read at once, so much together. *all_lines*: as well only the last lines of each,
    so many together; None for no limit.
    """

    def __init__(
        self,
        client: KubeClient,
        decoder: LiveDecoder,
        mesh_config: LiveMeshConfig,
        *,
        since_seconds: int,
        log_bytes: int,
        all_bytes: int = ALL_BYTES,
        all_lines: int | None = None,
    ) -> None:
        self._client = client
        self._decoder = decoder
        self._mesh_config = mesh_config
        self._since = since_seconds
        self._log_bytes = log_bytes
        self._all_bytes = all_bytes
        self._all_lines = all_lines

    async def answer(
        self, by_log: dict[ask.LogRef, list[Want[Any]]], known: Snapshot, pods: MeshPods, answers: Answers
    ) -> None:
        """Everything that is wanted of logs, of the same bytes as what is *known* of each: lines have numbers."""
        if not by_log:
            return
        lines = None if self._all_lines is None else max(LEAST_LINES, self._all_lines // len(by_log))
        share = min(self._log_bytes, max(LEAST_BYTES, self._all_bytes // len(by_log)))
        longer: dict[ask.LogRef, int] = {}
        left = self._all_bytes

        async def read(log: ask.LogRef) -> None:
            nonlocal left
            kept = self._kept(log, known)
            if kept is None:
                body = await self._get(log, lines, share)
                if len(body) >= share:
                    longer[log] = _average(body)
                    return
                left -= len(body)
                kept = self._decoder.keep(log_file(log), body, _cut_by_lines(body, lines))
            await self._decoded(log, by_log[log], kept, pods, answers)

        async def read_longer(log: ask.LogRef) -> None:
            body, cut = await self._newest(log, lines, more, longer[log] if more == share else 0)
            await self._decoded(log, by_log[log], self._decoder.keep(log_file(log), body, cut), pods, answers)

        await self._each(by_log, read, by_log, answers)
        if longer:  # what the short ones did not need is theirs
            more = min(self._log_bytes, max(share, left // len(longer)))
            await self._each(longer, read_longer, by_log, answers)

    async def read(self, log: ask.LogRef) -> Kept:
        """The log as it is now. Raises ClusterError."""
        body, cut = await self._newest(log, self._all_lines, self._log_bytes)
        return self._decoder.keep(log_file(log), body, cut)

    async def _each(
        self,
        logs: Iterable[ask.LogRef],
        read: Callable[[ask.LogRef], Awaitable[None]],
        by_log: dict[ask.LogRef, list[Want[Any]]],
        answers: Answers,
    ) -> None:
        async def one(log: ask.LogRef) -> None:
            try:
                await read(log)
            except ClusterError as error:
                answers.update({want: missing(error, log_file(log)) for want in by_log[log]})

        async with anyio.create_task_group() as group:
            for log in logs:
                group.start_soon(one, log)

    def _kept(self, log: ask.LogRef, known: Snapshot) -> Kept | None:
        """What was read of a log before, where something that is *known* was made of it."""
        kept = self._decoder.kept.get(log_file(log))
        facts = [known.get(want) for want in log_wants(log)]
        made_of_it = kept and any(isinstance(fact, Fact) and fact.origin.read_at == kept.read_at for fact in facts)
        return kept if made_of_it else None

    async def _decoded(
        self, log: ask.LogRef, wants: list[Want[Any]], kept: Kept, pods: MeshPods, answers: Answers
    ) -> None:
        extra = await self._format(pods) if any(isinstance(want, ask.AccessLog) for want in wants) else {}
        for want in wants:
            answers[want] = self._decoder.recorded(want, log_file(log), kept, extra)

    async def _newest(self, log: ask.LogRef, lines: int | None, limit: int, average: int = 0) -> tuple[bytes, str]:
        """The newest lines of a log in less than *limit* bytes, and why there are older ones. Raises ClusterError.

        *average*: of a log that is known to be longer, the length of a line.

        Of a log that is longer than `limitBytes`, kubelet sends the begin, the oldest lines, cut off anywhere (1.24 to
        1.34, pkg/kubelet/kuberuntime/logs); only `tailLines` sends the end, so lines are counted that fit.
        """
        if not average:
            body = await self._get(log, lines, limit)
            if len(body) < limit:
                return body, _cut_by_lines(body, lines)
            average = _average(body)
            del body  # the next one may be as large
        while True:
            fit = int(_FILLED * limit) // average
            lines = max(1, min(fit, lines // 2) if lines else fit)
            body = await self._get(log, lines, limit)
            if len(body) < limit or lines == 1:
                whole = body if len(body) < limit else body[: body.rfind(b"\n") + 1]
                return whole, f"longer than {_size(limit)}"
            average = _average(body)

    async def _get(self, log: ask.LogRef, lines: int | None, limit: int) -> bytes:
        return await self._client.log(
            log.pod.namespace,
            log.pod.name,
            log.container,
            since_seconds=None if log.previous else self._since,
            previous=log.previous,
            tail_lines=lines,
            limit_bytes=limit,
        )

    async def _format(self, pods: MeshPods) -> dict[str, bytes]:
        """istiod's mesh config as a file beside a log, which is read by the format that it sets."""
        try:
            return {"istiod/any/mesh.json": await self._mesh_config.read(pods)}
        except ClusterError:
            return {}  # the known formats are tried; whoever wants the mesh config itself is told why


def _cut_by_lines(body: bytes, lines: int | None) -> str:
    """Why there are older lines than those of *body*, of which so many were asked for; "" where there are none."""
    return f"more than {lines:,} lines" if lines is not None and body.count(b"\n") >= lines else ""


def _average(body: bytes) -> int:
    """Bytes of a line."""
    return len(body) // max(1, body.count(b"\n"))


def _size(limit: int) -> str:
    return f"{limit / 2**20:.1f} MiB" if limit >= 2**20 else f"{limit / 2**10:.0f} KiB"


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
        kind, log, admin = kind_of_file(file), log_of(file), body_want(file)
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
