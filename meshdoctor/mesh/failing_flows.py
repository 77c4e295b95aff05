"""The failures of every flow, grouped: who called what, how it failed, how often, since when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from meshdoctor.mesh.case import Case
from meshdoctor.mesh.traffic import Seen


class FailingFlow(msgspec.Struct, frozen=True):
    """Equal failures of one case; times are Unix seconds, None where no line has one. *example* is the first of
    them.
    """

    case: Case
    client: str
    target: str
    code: int
    flags: tuple[str, ...]
    details: str
    count: int
    first: float | None
    last: float | None
    example: Seen


def case_name(case: Case) -> str:
    """What a case is called in a command: `ns/client host:port`, the client `-` when nobody knows it."""
    return f"{case.client or '-'} {case.destination}"


def failing_flows(cases: Iterable[Case]) -> tuple[FailingFlow, ...]:
    """Every kind of failure of every case: the case with most failures first, and in it the kind with most."""
    return tuple(flow for case in cases for flow in sorted(_flows(case), key=lambda flow: -flow.count))


def _flows(case: Case) -> Iterator[FailingFlow]:
    groups: dict[tuple[str, int, tuple[str, ...], str], list[Seen]] = {}
    for seen in case.failures:
        client = str(seen.client or case.client or "unknown")
        groups.setdefault(
            (client, code_of(seen), seen.access.flags if seen.access else (), details_of(seen)), []
        ).append(seen)
    for (client, code, flags, details), lines in groups.items():
        times = [seen.start for seen in lines if seen.start is not None]
        yield FailingFlow(
            case,
            client,
            str(case.destination),
            code,
            flags,
            details,
            len(lines),
            min(times, default=None),
            max(times, default=None),
            lines[0],
        )


def code_of(seen: Seen) -> int:
    """The response code, 0 when there was no answer."""
    if seen.access:
        return seen.access.code
    return seen.call.status if seen.call else 0


def details_of(seen: Seen) -> str:
    """Why it failed, in the words of whoever logged it."""
    if seen.access:
        return seen.access.details or seen.access.termination or ""
    if seen.tunnel:
        return seen.tunnel.error or ""
    return seen.call.error if seen.call else ""
