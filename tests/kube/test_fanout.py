"""The fan-out on a virtual clock of small sleeps: order of events, limits, reasons."""

from __future__ import annotations

from collections import Counter

import anyio
import pytest

from meshdoctor.kube.errors import Busy, ClusterError, Forbidden, NotFound, PodError, Unreachable
from meshdoctor.kube.fanout import Heard, Job, Read, Unread, fan_out
from meshdoctor.kube.settings import FanOut
from meshdoctor.model.snapshot import PodRef

QUICK = FanOut(patience=0.03, straggler_floor=0.1, deadline=2.0, new_per_second=100_000)


def jobs(count: int, nodes: int = 0) -> list[Job]:
    return [Job(PodRef("shop", f"web-{n}"), f"node-{n % nodes}" if nodes else "") for n in range(count)]


class Pods:
    """Counts who is read at the same time."""

    def __init__(self, hang: frozenset[str] = frozenset()) -> None:
        self.hang = hang
        self.now = 0
        self.most = 0
        self.asked: list[str] = []

    async def read(self, pod: PodRef, heard: Heard) -> str:
        self.asked.append(pod.name)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await anyio.sleep(3600 if pod.name in self.hang else 0.001)
        finally:
            self.now -= 1
        return f"{pod} read"


async def test_everybody_is_read_once() -> None:
    pods = Pods()
    results = await fan_out(jobs(100), pods.read, QUICK)
    assert Counter(type(result) for result in results) == {Read: 100}
    assert sorted(pods.asked) == sorted(job.pod.name for job in jobs(100))
    assert QUICK.start < pods.most <= QUICK.most


async def test_two_for_each_node() -> None:
    on_node: Counter[str] = Counter()
    most = 0

    async def read(pod: PodRef, heard: Heard) -> None:
        nonlocal most
        node = f"node-{int(pod.name[4:]) % 3}"
        on_node[node] += 1
        most = max(most, on_node[node])
        await anyio.sleep(0.001)
        on_node[node] -= 1

    await fan_out(jobs(30, nodes=3), read, QUICK)
    assert most == 2


async def test_hanging_pods_give_their_places_away() -> None:
    hang = frozenset(f"web-{n}" for n in range(0, 100, 5))
    pods = Pods(hang)
    arrived: list[str] = []
    results = await fan_out(jobs(100), pods.read, QUICK, on_result=lambda result: arrived.append(type(result).__name__))
    unread = [result for result in results if isinstance(result, Unread)]
    assert {result.pod.name for result in unread} == hang
    assert {result.reason for result in unread} == {"timeout"}
    assert all("no complete answer in" in result.detail for result in unread)
    assert arrived[:60].count("Unread") == 0  # nobody waited behind them
    assert all(result.seconds < QUICK.deadline for result in unread)


async def test_who_has_answered_once_may_take_its_time() -> None:
    async def read(pod: PodRef, heard: Heard) -> str:
        await anyio.sleep(0.001)
        heard()
        await anyio.sleep(0.3 if pod.name == "web-0" else 0.001)
        return "late but whole"

    results = await fan_out(jobs(50), read, QUICK)
    assert all(isinstance(result, Read) for result in results)


async def test_a_dead_node_is_asked_no_more() -> None:
    dead = frozenset(f"web-{n}" for n in range(0, 60, 2))

    async def read(pod: PodRef, heard: Heard) -> str:
        if pod.name in dead:
            raise Unreachable(f"{pod} unreachable")
        await anyio.sleep(0.001)
        return ""

    results = await fan_out(jobs(60, nodes=2), read, QUICK)
    reasons = Counter(result.reason for result in results if isinstance(result, Unread))
    assert reasons["timeout"] + reasons["node"] == 30
    assert reasons["timeout"] <= QUICK.node_breaker + QUICK.per_node
    assert sum(isinstance(result, Read) for result in results) == 30


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Forbidden(403, "", "no", "the role lacks x"), "forbidden"),
        (NotFound(404, "", "gone"), "no such pod"),
        (Busy(429, "", "busy"), "busy"),
        (Unreachable("slow"), "timeout"),
        (PodError("broken"), "failed"),
    ],
)
async def test_each_failure_has_its_reason(error: ClusterError, reason: str) -> None:
    async def read(pod: PodRef, heard: Heard) -> str:
        raise error

    (result,) = await fan_out(jobs(1), read, QUICK)
    assert isinstance(result, Unread)
    assert (result.reason, result.detail) == (reason, str(error))


async def test_a_busy_server_is_asked_by_fewer() -> None:
    now = most_after = 0
    seen = 0

    async def read(pod: PodRef, heard: Heard) -> str:
        nonlocal now, most_after, seen
        seen += 1
        now += 1
        if seen > 60:
            most_after = max(most_after, now)
        await anyio.sleep(0.002)
        now -= 1
        raise Busy(429, "", "busy")

    await fan_out(jobs(120), read, QUICK)
    assert most_after <= QUICK.least


async def test_new_pods_begin_at_a_steady_rate() -> None:
    times: list[float] = []

    async def read(pod: PodRef, heard: Heard) -> str:
        times.append(anyio.current_time())
        return ""

    limits = FanOut(most=4, start=4, new_per_second=100)
    await fan_out(jobs(24), read, limits)
    assert times[-1] - times[0] >= 0.15  # 24 starts, 4 at once and then 100 a second


async def test_nobody_to_read() -> None:
    assert await fan_out([], Pods().read, QUICK) == []
