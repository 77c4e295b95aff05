"""What was wrong before: trouble that has ended is explained by the moment of the recording at which it still went on.

A person who has recorded an incident opens the file afterwards. By then the wrong object is gone, and only an earlier
moment of the same recording holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from meshdoctor.guide.diagnosis import ACTIVE, HEALTHY, OVER, Diagnosis, Judgement, Shown, TrafficGroup
from meshdoctor.mesh.case import QUIET_SECONDS
from meshdoctor.mesh.finding import CONFIGURATION_ONLY
from meshdoctor.model.moment import unix

ENOUGH = 2
"""One failing line is a blip, not an incident to look back for."""
_SLACK = 1.0
"""Seconds by which the ends of the same failures may differ: times are told to the second."""


def with_earlier(diagnosis: Diagnosis, moments: Sequence[str], examine: Callable[[str], Diagnosis]) -> Diagnosis:
    """*diagnosis* with the verdicts of earlier *moments* about failures that have ended and that it cannot explain.

    *examine* gives the diagnosis of a moment; it is called only for moments in the middle of such failures. While
    requests still fail, nothing is looked up: what fails now could be the same trouble.
    """
    if diagnosis.now != HEALTHY:
        return diagnosis
    found = list(diagnosis.verdicts)
    asked: dict[str, Diagnosis] = {}
    for group in diagnosis.traffic:
        if group.count < ENOUGH or any(_explains(verdict, group) for verdict in found):
            continue
        moment = _during(group, moments)
        if not moment:
            continue
        if moment not in asked:
            asked[moment] = examine(moment)
        known = {_key(verdict) for verdict in found}
        found += [verdict for verdict in _ended(asked[moment], moment, group) if _key(verdict) not in known]
    return replace(diagnosis, verdicts=tuple(found)) if len(found) > len(diagnosis.verdicts) else diagnosis


def _during(group: TrafficGroup, moments: Sequence[str]) -> str:
    """The last of *moments* at which the failures of *group* went on."""
    first, last = unix(group.first), unix(group.last)
    if first is None or last is None:
        return ""
    inside = [name for name in moments if first <= (unix(name) or 0.0) <= last + QUIET_SECONDS]
    return max(inside, default="")


def _ended(earlier: Diagnosis, moment: str, group: TrafficGroup) -> Iterator[Judgement]:
    for verdict in earlier.verdicts:
        sure = verdict.confidence > CONFIGURATION_ONLY and verdict.failures
        if sure and verdict.state == ACTIVE and any(entry["from"] == group.client for entry in verdict.affects):
            evidence = tuple(replace(shown, file=_at(moment, shown)) for shown in verdict.evidence)
            same = any(_same_flow(verdict, other, group) for other in earlier.traffic)
            last = group.last if same else verdict.last
            yield replace(verdict, state=OVER, evidence=evidence, last=last)


def _same_flow(verdict: Judgement, other: TrafficGroup, group: TrafficGroup) -> bool:
    """Whether the failures that *verdict* explained at its moment went on as *group*."""
    return (other.client, other.target, other.code, other.flags) == (
        group.client,
        group.target,
        group.code,
        group.flags,
    ) and other.first == verdict.first


def _at(moment: str, shown: Shown) -> str:
    return f"snapshots/{moment}/{shown.file}" if shown.file else ""


def _explains(verdict: Judgement, group: TrafficGroup) -> bool:
    if not any(entry["from"] == group.client for entry in verdict.affects):
        return False
    begins, ends = unix(verdict.first), unix(verdict.last)
    first, last = unix(group.first), unix(group.last)
    if begins is None or ends is None or first is None or last is None:
        return False
    return begins - _SLACK <= first and last <= ends + _SLACK


def _key(verdict: Judgement) -> tuple[str, str]:
    return verdict.cause, str(verdict.resources[0]) if verdict.resources else ""
