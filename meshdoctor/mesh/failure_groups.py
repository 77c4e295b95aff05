"""The failures of a log, grouped: lines that fail in the same way, worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from meshdoctor.model.accesslog import AccessLine
from meshdoctor.model.ztunnellog import ZtunnelLine

# The client ended it: rarely what somebody looks for first.
_CLIENT_LEFT = frozenset({"DC", "DR"})


class FailureGroup(msgspec.Struct, frozen=True):
    """Failing lines of equal code, flags, details and cluster; times in unix seconds, None when no line has one."""

    count: int
    first: float | None
    last: float | None
    example: AccessLine  # the first of them in the log


class ZtunnelGroup(msgspec.Struct, frozen=True):
    """Failing ztunnel lines of equal direction, destination service (or address) and error."""

    count: int
    first: float | None
    last: float | None
    example: ZtunnelLine


def _span(times: Iterable[float | None]) -> tuple[float | None, float | None]:
    known = [time for time in times if time is not None]
    return (min(known), max(known)) if known else (None, None)


def group_failures(lines: Sequence[AccessLine]) -> tuple[FailureGroup, ...]:
    """The failing lines by (code, set of flags, details, cluster).

    Worst first: what a proxy or an application failed (5xx, connection errors, cut answers), then refusals (other 4xx
    of a proxy), then clients that left; within each the most frequent first, then the earliest line.
    """
    groups: dict[tuple[object, ...], list[AccessLine]] = {}
    for line in lines:
        if line.failed:
            key = (line.code, frozenset(line.flags), line.details or line.termination, line.upstream_cluster)
            groups.setdefault(key, []).append(line)
    found = [FailureGroup(len(group), *_span(line.start for line in group), group[0]) for group in groups.values()]
    return tuple(sorted(found, key=lambda group: (_badness(group.example), -group.count, group.example.line)))


def _badness(line: AccessLine) -> int:
    if line.primary_flag in _CLIENT_LEFT:
        return 2
    return 1 if 400 <= line.code < 500 else 0


def count_successes(lines: Sequence[AccessLine]) -> dict[int, int]:
    """Lines that did not fail, by response code, the most frequent first."""
    return dict(Counter(line.code for line in lines if not line.failed).most_common())


def group_ztunnel_failures(lines: Sequence[ZtunnelLine]) -> tuple[ZtunnelGroup, ...]:
    """The failing ztunnel lines by (direction, destination, error), the most frequent first."""
    groups: dict[tuple[object, ...], list[ZtunnelLine]] = {}
    for line in lines:
        if line.failed:
            key = (line.direction, line.dst_service or line.dst_addr, line.error)
            groups.setdefault(key, []).append(line)
    found = [ZtunnelGroup(len(group), *_span(line.time for line in group), group[0]) for group in groups.values()]
    return tuple(sorted(found, key=lambda group: (-group.count, group.example.line)))
