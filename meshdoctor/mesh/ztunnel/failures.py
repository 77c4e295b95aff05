"""What an error of ztunnel is about, and which calls of an application it explains.

The texts are those of ztunnel 1.24 to 1.32 (`src/proxy.rs`, enum Error); the status that the destination's ztunnel
answers with is its own choice (`src/proxy/inbound.rs`: 401 a policy, 503 the application refused the connection).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from meshdoctor.mesh.ambient import HBONE_PORT
from meshdoctor.mesh.case import ENOUGH_SUCCESSES, Case
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.traffic import SERVER, Seen
from meshdoctor.mesh.ztunnel.enforcement import is_converted_peer_authentication
from meshdoctor.model.envoy.address import split_address
from meshdoctor.model.wants import ZtunnelAccessLog
from meshdoctor.model.ztunnellog import ZtunnelLine

POLICY = "policy"
"""An authorization policy rejected the connection."""
PLAINTEXT = "plaintext"
"""A STRICT PeerAuthentication, which ztunnel enforces as a policy of its own, rejected a plain-text connection."""
NO_UPSTREAM = "no upstream"
"""The Service has no healthy endpoint, or the waypoint before it has none."""
REFUSED = "refused"
"""The application refused the connection of its own ztunnel."""
TUNNEL_REFUSED = "tunnel refused"
"""Nothing listens on the HBONE port of the destination."""
TUNNEL_TIMEOUT = "tunnel timeout"
"""The HBONE port of the destination does not answer."""
TUNNEL_BROKEN = "tunnel broken"
"""An HBONE connection that was there went silent or broke."""
WAYPOINT = "waypoint"
"""ztunnel does not know the waypoint that it should send to."""
OTHER = "other"

JOIN_SECONDS = 2.0
"""A call and its connection begin or end within this of each other; an early denial has no duration."""

ENOUGH_SILENCE = 3
"""So many calls without an answer are needed where nobody but the caller saw them."""

DENIED_BY = re.compile(r"explicitly denied by: (?P<namespace>[^/\s]+)/(?P<name>\S+)")


def kind(line: ZtunnelLine) -> str:
    """The kind of a failed connection, one of the names above."""
    error = line.error or ""
    if "policy rejection" in error:
        return PLAINTEXT if refused_plaintext(error) else POLICY
    if "http status: 401" in error:
        return POLICY
    if "unknown waypoint" in error:
        return WAYPOINT
    if "no healthy upstream" in error:
        return NO_UPSTREAM
    if "maybe a NetworkPolicy is blocking" in error:
        return TUNNEL_TIMEOUT
    if line.direction == "inbound":
        return REFUSED if "Connection refused" in error else OTHER
    if "http status: 503" in error:
        return REFUSED
    return _outbound(line, error)


def refused_plaintext(error: str | None) -> bool:
    """Whether *error* says that a STRICT PeerAuthentication rejected the connection."""
    found = DENIED_BY.search(error or "")
    return found is not None and is_converted_peer_authentication(found["name"])


def _outbound(line: ZtunnelLine, error: str) -> str:
    if split_address(line.dst_addr)[1] != HBONE_PORT:
        # A destination outside the ambient mesh: ztunnel connected to the application itself.
        return REFUSED if "Connection refused" in error else OTHER
    if "Connection refused" in error:
        return TUNNEL_REFUSED
    if "timed out" in error or "deadline has elapsed" in error or "No route to host" in error:
        return TUNNEL_TIMEOUT
    return TUNNEL_BROKEN if error.startswith(("h2 failed", "io error", "receive", "send")) else OTHER


def failures(case: Case, *kinds: str) -> tuple[Seen, ...]:
    """The failed connections of *kinds*."""
    return tuple(seen for seen in case.failures if seen.tunnel and kind(seen.tunnel) in kinds)


def explained(case: Case, lines: Sequence[Seen]) -> tuple[Seen, ...]:
    """*lines* with the failures that others saw of the same connections: those nearest in time to them."""
    chosen = {id(seen) for seen in lines}
    known = [seen for seen in case.failures if seen.tunnel and seen.start is not None]
    starts = sorted(((seen.start or 0.0, id(seen)) for seen in known), key=lambda entry: entry[0])
    ends = sorted(((_end(seen), id(seen)) for seen in known), key=lambda entry: entry[0])
    others = [seen for seen in case.failures if not seen.tunnel and seen.side != SERVER and seen.start is not None]
    told = [
        seen
        for seen in others
        if (found := min(_nearest(starts, seen.start or 0.0), _nearest(ends, _end(seen))))[0] <= JOIN_SECONDS
        and found[1] in chosen
    ]
    return (*lines, *told)


def _end(seen: Seen) -> float:
    return (seen.start or 0.0) + (seen.duration or 0.0) / 1000


def _nearest(moments: Sequence[tuple[float, int]], moment: float) -> tuple[float, int]:
    """The distance in seconds to the nearest of *moments*, and whose it is."""
    place = bisect_left(moments, (moment, 0))
    near = [(abs(at - moment), who) for at, who in moments[max(place - 1, 0) : place + 1]]
    return min(near, default=(float("inf"), 0))


def silent(case: Case) -> tuple[Seen, ...]:
    """Failing calls that got no HTTP answer, as the application saw them."""
    return tuple(seen for seen in case.calls if seen.call and seen.call.status == 0)


UNLOGGED = 0.85
"""The most that is claimed when no ztunnel's log was read: the calls fail, and the objects say that they must."""


def unlogged(case: Case, mesh: MeshIndex) -> tuple[Seen, ...]:
    """Calls without an answer, all to the end, where no ztunnel's log was read that could tell why."""
    lines = silent(case)
    logs = (mesh.snapshot.value(ZtunnelAccessLog(log)) for log in mesh.inventory.logs)
    if len(lines) < ENOUGH_SILENCE or any(log and log.lines for log in logs):
        return ()
    return () if case.successes_after(lines[-1].start or 0.0) else lines


def ended(case: Case, lines: Iterable[Seen]) -> bool:
    """Whether the same flow went well again after *lines*, whatever failed later for another reason."""
    last = max((_end(seen) for seen in lines), default=0.0)
    good = [seen for seen in case.seen if not seen.failed and (seen.start or 0.0) > last]
    calls = [seen for seen in good if not seen.tunnel]
    return len(calls or good) >= ENOUGH_SUCCESSES


def since(lines: Iterable[Seen], moment: float | None) -> tuple[Seen, ...]:
    """The *lines* that ended after *moment* (Unix seconds; None: all of them), to the second of Kubernetes' clock."""
    return tuple(seen for seen in lines if moment is None or _end(seen) >= moment - 1.0)
