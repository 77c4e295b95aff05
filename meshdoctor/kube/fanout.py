"""Reading many pods at once: quickly, politely, and with nobody waiting for a dead one.

How many are read at once adapts between limits (more while answers come, half when the API server is busy), two for
each node, and new ones begin at a steady rate. A slow pod gives its place to the next after a moment and is waited for
on the side until its deadline; one that gives no answer at all, once others have, for ten times what they took for
their first. A node whose pods fail one after another is asked no more.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

import anyio

from meshdoctor.kube.errors import (
    SLOW,
    Busy,
    ClusterError,
    CredentialError,
    Forbidden,
    NotFound,
    Unauthorized,
    Unreachable,
)
from meshdoctor.kube.settings import FanOut
from meshdoctor.model.snapshot import PodRef

T = TypeVar("T")
Heard = Callable[[], None]
"""Is told that a pod has given its first answer, by a read of several: it is slow, not stuck."""


class Job(NamedTuple):
    """One pod to read and the node it is on ("" when unknown)."""

    pod: PodRef
    node: str = ""


class Read(NamedTuple, Generic[T]):
    """What a pod answered, after *seconds*."""

    pod: PodRef
    value: T
    seconds: float


class Unread(NamedTuple):
    """Why a pod was not read: `timeout`, `forbidden`, `no such pod`, `failed`, `node`; *detail* is one line."""

    pod: PodRef
    reason: str
    detail: str
    seconds: float


class _Pace:
    """The state of one fan-out."""

    def __init__(self, limits: FanOut, clock: Callable[[], float]) -> None:
        self.limits = limits
        self.clock = clock
        self.width = float(limits.start)
        self.running = 0
        self.parked = 0
        self.on_node: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.first_answers: list[float] = []
        self.next_start = clock()
        self.changed = anyio.Event()

    def may_start(self, node: str) -> bool:
        return self.running < int(self.width) and (not node or self.on_node[node] < self.limits.per_node)

    def wake(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    def good(self, node: str, seconds: float) -> None:
        self.failures[node] = 0
        # A parked pod's answer says nothing about how many at once are well.
        if seconds <= self.limits.patience:
            self.width = min(float(self.limits.most), self.width + 0.5)

    def bad(self, node: str, *, slow: bool) -> None:
        if node:
            self.failures[node] += 1
        if slow:
            self.width = max(float(self.limits.least), self.width / 2)

    def broken(self, node: str) -> bool:
        return bool(node) and self.failures[node] >= self.limits.node_breaker

    def first_deadline(self, total: int) -> float:
        """How long a pod's first answer may take as of now: the setting; less once enough others were quick."""
        limits = self.limits
        answered = len(self.first_answers)
        if answered < 3 or answered < total // 4:
            return limits.deadline
        usual = sorted(self.first_answers)[int(answered * 0.9)]
        # A few answers say less about what is usual.
        floor = limits.straggler_floor if answered >= 20 else 2 * limits.straggler_floor
        return min(limits.deadline, max(floor, 10 * usual))


async def fan_out(
    jobs: Iterable[Job],
    read: Callable[[PodRef, Heard], Awaitable[T]],
    limits: FanOut,
    *,
    on_result: Callable[[Read[T] | Unread], None] | None = None,
    clock: Callable[[], float] = anyio.current_time,
) -> list[Read[T] | Unread]:
    """Every pod's result, in the order of arrival; *on_result* hears of each at once. *read* raises ClusterError."""
    waiting = list(jobs)
    pace = _Pace(limits, clock)
    results: list[Read[T] | Unread] = []

    def deliver(result: Read[T] | Unread) -> None:
        results.append(result)
        if on_result is not None:
            on_result(result)

    await _start_all(waiting, read, pace, deliver)
    return results


async def _start_all(
    waiting: list[Job],
    read: Callable[[PodRef, Heard], Awaitable[T]],
    pace: _Pace,
    deliver: Callable[[Read[T] | Unread], None],
) -> None:
    limits = pace.limits
    queues: defaultdict[str, deque[Job]] = defaultdict(deque)
    for job in waiting:
        queues[job.node].append(job)
    async with anyio.create_task_group() as group:
        while queues:
            node = next((node for node in queues if pace.broken(node) or pace.may_start(node)), None)
            if node is None:
                await pace.changed.wait()
                continue
            queue = queues.pop(node)
            job = queue.popleft()
            if queue:
                queues[node] = queue  # to the end of the round: nodes take turns
            if pace.broken(node):
                detail = f"node {node} does not answer ({limits.node_breaker} of its pods failed in a row)"
                deliver(Unread(job.pod, "node", detail, 0.0))
                continue
            delay = pace.next_start - pace.clock()
            if delay > 0:
                await anyio.sleep(delay)
            # A burst of `most` is allowed, then the steady rate.
            begin = max(pace.next_start, pace.clock() - limits.most / limits.new_per_second)
            pace.next_start = begin + 1 / limits.new_per_second
            pace.running += 1
            pace.on_node[node] += 1
            group.start_soon(_one, job, len(waiting), read, pace, deliver)


async def _one(
    job: Job,
    total: int,
    read: Callable[[PodRef, Heard], Awaitable[T]],
    pace: _Pace,
    deliver: Callable[[Read[T] | Unread], None],
) -> None:
    begun = pace.clock()
    holding, silent = True, True

    def let_go() -> None:
        nonlocal holding
        if holding:
            holding = False
            pace.running -= 1
            pace.on_node[job.node] -= 1
            pace.wake()

    def heard() -> None:
        nonlocal silent
        if silent:
            silent = False
            pace.first_answers.append(pace.clock() - begun)

    result: Read[T] | Unread | None = None
    async with anyio.create_task_group() as group:

        async def watch_over() -> None:
            await anyio.sleep(pace.limits.patience)
            if pace.parked < pace.limits.parked:
                pace.parked += 1
                let_go()
            while True:
                limit = pace.first_deadline(total) if silent else pace.limits.deadline
                left = begun + limit - pace.clock()
                if left <= 0:
                    group.cancel_scope.cancel()
                    return
                await anyio.sleep(min(left, 0.1))

        group.start_soon(watch_over)
        try:
            value = await read(job.pod, heard)
            heard()
            result = Read(job.pod, value, pace.clock() - begun)
        except ClusterError as error:
            result = _unread(job.pod, error, pace.clock() - begun)
        group.cancel_scope.cancel()
    seconds = pace.clock() - begun
    if result is None:
        detail = f"{job.pod}: no complete answer in {seconds:.1f} s: {SLOW}"
        result = Unread(job.pod, "timeout", detail, seconds)
    if not holding:
        pace.parked -= 1
    if isinstance(result, Read):
        pace.good(job.node, seconds)
    else:
        busy = result.reason in ("timeout", "busy")
        # One hanging pod is that pod's trouble; only a refusal by the server or a slow crowd asks for fewer at once.
        pace.bad(job.node if busy else "", slow=result.reason == "busy")
    let_go()
    pace.wake()
    deliver(result)


def _unread(pod: PodRef, error: ClusterError, seconds: float) -> Unread:
    return Unread(pod, reason_of(error), str(error), seconds)


def reason_of(error: ClusterError) -> str:
    """The word of `model.snapshot.REASONS` for *error*, or `busy`."""
    match error:
        case Forbidden():
            return "forbidden"
        case Unauthorized() | CredentialError():
            return "not logged in"
        case NotFound():
            return "no such pod"
        case Busy():
            return "busy"
        case Unreachable():
            return "timeout"
    return "failed"
