"""Errors that an application only passes on: while it worked on the request, a call of its own failed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.owners import Workload
from meshdoctor.mesh.traffic import SERVER, TUNNEL, Seen

SLACK = 0.05
"""Seconds: two proxies of one pod share its clock, but round."""
MOST = 0.6
"""A part of the lines that is passed on, from which on the failure is taken for somebody else's."""


def answered_itself(seen: Seen) -> bool:
    """Whether a server's line shows an error that its application wrote."""
    line = seen.access
    return seen.side == SERVER and line is not None and line.code >= 500 and line.details == "via_upstream"


def passed_on(mesh: MeshIndex, served: Iterable[Seen], calls: Iterable[Seen]) -> tuple[Seen, ...]:
    """The failing *calls* that ended inside of the failing requests of the same workload; () when few requests have
    one.
    """
    served = tuple(seen for seen in served if answered_itself(seen) and seen.start is not None)
    owners = {mesh.workload(seen.pod) for seen in served}
    ends = sorted(
        ((_end(seen), index, seen) for index, seen in enumerate(calls) if _is_own_call(seen, owners)),
        key=lambda entry: entry[:2],
    )
    found: dict[int, Seen] = {}
    explained = 0
    for seen in served:
        inside = _inside(ends, seen)
        explained += bool(inside)
        found.update({id(one): one for one in inside})
    return tuple(found.values()) if served and explained >= MOST * len(served) else ()


def _is_own_call(seen: Seen, owners: set[Workload]) -> bool:
    return seen.failed and seen.side not in (SERVER, TUNNEL) and seen.client in owners and seen.start is not None


def _inside(ends: Sequence[tuple[float, int, Seen]], seen: Seen) -> list[Seen]:
    begin = (seen.start or 0.0) - SLACK
    place = bisect_left(ends, begin, key=lambda entry: entry[0])
    found = []
    for end, _, call in ends[place:]:
        if end > _end(seen) + SLACK:
            break
        if (call.start or 0.0) >= begin and call.pod == seen.pod:
            found.append(call)
    return found


def _end(seen: Seen) -> float:
    return (seen.start or 0.0) + (seen.duration or 0.0) / 1000
