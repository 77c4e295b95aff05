"""One caller and what it called: the case that the flowchart is walked for."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from itertools import pairwise

import msgspec

from meshdoctor.mesh.owners import Workload
from meshdoctor.mesh.traffic import APPLICATION, CLIENT, GATEWAY, SERVER, TUNNEL, Destination, Seen
from meshdoctor.model.accesslog import parse_details
from meshdoctor.model.snapshot import PodRef

ENOUGH_SUCCESSES = 3
"""So many good answers after the last failure, and a long enough silence, before trouble is called over."""
QUIET_SECONDS = 5.0
QUIET_GAPS = 3.0
"""The silence must last this many times the longest pause between two failures."""


class Case(msgspec.Struct, frozen=True, dict=True):
    """A flow from *client* (None: nobody known) to *destination*; *seen* is everything that the logs hold of it."""

    client: Workload | None
    destination: Destination
    seen: tuple[Seen, ...]
    path: str = ""
    ambient: bool = False
    """Whether a pod of either side belongs to the ambient mesh."""

    @cached_property
    def namespaces(self) -> tuple[str, ...]:
        """Those of both ends; "" stands for an end that is not known, or is no Service."""
        return tuple(dict.fromkeys((self.client.namespace if self.client else "", self.server_namespace)))

    @property
    def server_namespace(self) -> str:
        """Where the Service that is called is; "" when it is none that was read."""
        return self.destination.service[0] if self.destination.service else ""

    @cached_property
    def failures(self) -> tuple[Seen, ...]:
        return tuple(seen for seen in self.seen if seen.failed)

    def failing(self, *sides: str) -> tuple[Seen, ...]:
        return tuple(seen for seen in self.failures if seen.side in sides)

    @cached_property
    def caller_lines(self) -> tuple[Seen, ...]:
        """Failing lines of the caller's proxy: its sidecar, or the gateway that the call went through."""
        return self.failing(CLIENT, GATEWAY)

    @cached_property
    def server_lines(self) -> tuple[Seen, ...]:
        return self.failing(SERVER)

    @cached_property
    def calls(self) -> tuple[Seen, ...]:
        """Failing calls that the application logged itself."""
        return self.failing(APPLICATION)

    @cached_property
    def refusals(self) -> tuple[Seen, ...]:
        """Calls that were answered with 4xx: right or wrong, only whoever answered can tell."""
        return tuple(seen for seen in self.seen if seen.call and 400 <= seen.call.status < 500)

    @cached_property
    def proxied(self) -> bool:
        """Whether some proxy logged anything of this flow."""
        return any(seen.access for seen in self.seen)

    @cached_property
    def timeline(self) -> tuple[Seen, ...]:
        """What the caller's side saw, in order of time; the server's side where the caller's was not recorded."""
        ours = [seen for seen in self.seen if seen.side not in (SERVER, TUNNEL) and seen.start is not None]
        chosen = ours or [seen for seen in self.seen if seen.start is not None]
        return tuple(sorted(chosen, key=lambda seen: seen.start or 0.0))

    def successes_after(self, moment: float) -> tuple[Seen, ...]:
        return tuple(seen for seen in self.timeline if not seen.failed and (seen.start or 0.0) > moment)

    def without(self, lines: Iterable[Seen]) -> Case:
        """The case without failures that are already explained; what went well stays."""
        told = {id(seen) for seen in lines}
        rest = tuple(seen for seen in self.seen if id(seen) not in told)
        return Case(self.client, self.destination, rest, self.path, self.ambient)

    def together(self, lines: Iterable[Seen]) -> tuple[Seen, ...]:
        """*lines* with the lines of the other side about the same requests (joined by request id)."""
        lines = tuple(lines)
        ids = {seen.access.request_id for seen in lines if seen.access and seen.access.request_id}
        chosen = {id(seen) for seen in lines}
        return lines + tuple(
            seen for seen in self.failures if seen.access and seen.access.request_id in ids and id(seen) not in chosen
        )

    def rest_before(self, seen: Seen) -> float | None:
        """Seconds for which the connection of a request had rested since its last good answer; None for a fresh one.

        The proxy's own port towards the upstream (`upstream_local_address`) names the connection.
        """
        line = seen.access
        if line is None or not line.upstream_local_address or seen.start is None:
            return None
        ends = self._answers_by_connection.get((seen.pod, line.upstream_local_address), [])
        before = bisect_right(ends, seen.start)
        return seen.start - ends[before - 1] if before else None

    @cached_property
    def _answers_by_connection(self) -> dict[tuple[PodRef, str], list[float]]:
        """When each good answer on a connection was complete, in order."""
        found: dict[tuple[PodRef, str], list[float]] = {}
        for seen in self.seen:
            if seen.access and seen.access.upstream_local_address and not seen.failed:
                end = (seen.start or 0.0) + (seen.duration or 0.0) / 1000
                found.setdefault((seen.pod, seen.access.upstream_local_address), []).append(end)
        return {connection: sorted(ends) for connection, ends in found.items()}

    @cached_property
    def signature(self) -> frozenset[str]:
        """What the failures look like, in the words that the flowchart's branches use (see guide/flowchart.toml)."""
        words = {"ambient"} if self.ambient and (self.failures or self.refusals) else set()
        for seen in self.failures:
            if seen.tunnel:
                words.add("ztunnel")
                continue
            line, prefix = seen.access, "server:" if seen.side == SERVER else ""
            if line is None:
                words.add("silent" if seen.call and seen.call.status == 0 else "call")
                continue
            detail = parse_details(line.details).kind if line.details else ""
            words.add(prefix + (line.primary_flag or detail or ("terminated" if line.termination else "none")))
            words.update(prefix + flag for flag in line.flags)
        return frozenset(words)

    def with_flag(self, *flags: str) -> tuple[Seen, ...]:
        """The caller's failing lines whose primary flag is one of *flags*."""
        return tuple(seen for seen in self.caller_lines if seen.access and seen.access.primary_flag in flags)

    def is_over(self, lines: Iterable[Seen]) -> bool:
        """Whether the trouble that *lines* show has ended within what was recorded."""
        lines = tuple(lines)
        codes = {seen.access.code if seen.access else 0 for seen in lines}
        # Proxies write their log every ten seconds, the application at once: its calls tell about the end.
        later = [seen for seen in self.calls if seen.call and (seen.call.status in codes or seen.call.status == 0)]
        times = sorted(seen.start for seen in (*lines, *later) if seen.start is not None)
        if not times:
            return False
        good = self.successes_after(times[-1])
        if len(good) < ENOUGH_SUCCESSES:
            return False
        pause = max((after - before for before, after in pairwise(times)), default=0.0)
        quiet = (good[-1].start or 0.0) - times[-1]
        return quiet > max(QUIET_SECONDS, QUIET_GAPS * pause)


def requests(lines: Iterable[Seen]) -> int:
    """How many requests *lines* tell of: one that the caller's proxy, the server's and the application log is one."""
    # ztunnel writes one line at each end of a connection.
    sides = Counter((seen.side, seen.tunnel.direction if seen.tunnel else "") for seen in lines)
    return max(sides.values(), default=0)
