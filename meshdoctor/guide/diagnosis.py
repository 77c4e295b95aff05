"""From the steps of all cases to one diagnosis: verdicts merged, ordered, with their state in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from meshdoctor.guide.causes import causes
from meshdoctor.guide.flowchart import all_probes, probe
from meshdoctor.guide.walk import Step
from meshdoctor.mesh.case import Case, requests
from meshdoctor.mesh.finding import CONFIGURATION_ONLY, INCONCLUSIVE, Remedy, Resource, Verdict
from meshdoctor.mesh.question import Question
from meshdoctor.mesh.traffic import Seen
from meshdoctor.model.moment import rfc3339
from meshdoctor.model.snapshot import Snapshot
from meshdoctor.model.wants import Objects

ACTIVE, OVER = "active", "over"
FAILING, HEALTHY, UNKNOWN = "failing", "healthy", "unknown"
UNLOGGED = 0.8
"""The most that a verdict may claim which rests on counters or on the text of an answer, not on an access log."""
NO_PROBE = "no probe looks for this cause yet"
SCHEMA = "meshdoctor.diagnosis/1"


class Shown(msgspec.Struct, frozen=True):
    """Evidence with the probe that found it."""

    probe: str
    says: str
    file: str = ""
    at: str = ""


class Judgement(msgspec.Struct, frozen=True):
    """One verdict of a diagnosis, as docs/diagnosis.md gives it; times are RFC 3339."""

    cause: str
    confidence: float
    layer: str
    state: str
    summary: str
    resources: tuple[Resource, ...]
    affects: tuple[dict[str, str], ...]
    evidence: tuple[Shown, ...]
    remedy: Remedy
    first: str | None = None
    last: str | None = None
    failures: int = 0
    """How many failing requests it explains; more is worse."""


class TrafficGroup(msgspec.Struct, frozen=True, rename={"client": "from", "target": "to"}):
    """Equal failures of one flow."""

    client: str
    target: str
    code: int
    flags: tuple[str, ...]
    details: str
    count: int
    first: str | None
    last: str | None


class StepRecord(msgspec.Struct, frozen=True):
    probe: str
    outcome: str
    says: str
    seconds: float


class NotChecked(msgspec.Struct, frozen=True):
    probe: str
    why: str


class Diagnosis(msgspec.Struct, frozen=True):
    """The whole answer; `to_builtins` of it is the JSON of docs/diagnosis.md."""

    schema: str
    source: dict[str, str | None]
    now: str
    question: dict[str, str] | None
    traffic: tuple[TrafficGroup, ...]
    verdicts: tuple[Judgement, ...]
    steps: tuple[StepRecord, ...]
    not_checked: tuple[NotChecked, ...]

    @property
    def exit_status(self) -> int:
        """0 nothing is wrong now, 1 an active culprit, 3 nothing conclusive."""
        sure = [verdict for verdict in self.verdicts if verdict.confidence > CONFIGURATION_ONLY]
        if any(verdict.state == ACTIVE and verdict.cause != "healthy" for verdict in sure):
            return 1
        # Failures that have ended, and that no verdict explains, are nothing conclusive either.
        return 0 if self.now == HEALTHY and (self.verdicts or not self.traffic) else 3


class Witness(msgspec.Struct, frozen=True):
    """What the traffic itself says: how many requests that were asked about *answered* well, which sources of traffic
    are *unseen* (what nobody logged may well have failed), and what fails *elsewhere*, besides the question.
    """

    answered: int
    unseen: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()


def conclude(
    snapshot: Snapshot, question: Question | None, cases: Sequence[Case], steps: Sequence[Step], witness: Witness
) -> Diagnosis:
    """The diagnosis of *cases* whose flowchart gave *steps*, by what the traffic of the question shows."""
    judgements = _merged([_judged(step, verdict) for step in steps for verdict in step.finding.verdicts])
    now = _now(cases, judgements, witness)
    if not judgements and now == HEALTHY and not any(case.failures for case in cases):
        judgements = [_healthy(witness)]
    finished = snapshot.info.finished_at
    return Diagnosis(
        schema=SCHEMA,
        source={
            "kind": snapshot.info.kind,
            "name": snapshot.info.name,
            "captured_at": rfc3339(finished) if finished else None,
        },
        now=now,
        question={"from": question.client, "to": question.target} if question else None,
        traffic=_traffic(cases),
        verdicts=tuple(judgements),
        steps=tuple(
            StepRecord(step.probe, step.finding.outcome, step.finding.says, round(step.seconds, 4)) for step in steps
        ),
        not_checked=(*_besides(question, witness), *_not_checked(snapshot, steps)),
    )


def _besides(question: Question | None, witness: Witness) -> Iterator[NotChecked]:
    if question and not witness.answered:
        yield NotChecked("traffic", "no log holds a request that went well from there to there")
    for flow in witness.elsewhere:
        yield NotChecked("other traffic", f"{flow} fails as well; ask without --from and --to")


def _judged(step: Step, verdict: Verdict) -> Judgement:
    lines = verdict.lines
    times = sorted(seen.start for seen in lines if seen.start is not None)
    confidence = verdict.confidence if lines else min(verdict.confidence, CONFIGURATION_ONLY)
    if lines and not any(seen.logged for seen in lines):
        confidence = min(confidence, UNLOGGED)
    affected = dict.fromkeys((_name(seen), str(seen.destination)) for seen in lines)
    return Judgement(
        cause=verdict.cause,
        confidence=round(confidence, 2),
        layer=causes()[verdict.cause].layer,
        state=OVER if lines and step.case.is_over(lines) else ACTIVE,
        summary=verdict.summary,
        resources=verdict.resources,
        affects=tuple({"from": client, "to": target} for client, target in affected),
        evidence=tuple(Shown(step.probe, found.says, found.file, found.at) for found in verdict.evidence),
        remedy=verdict.remedy,
        first=rfc3339(times[0]) if times else None,
        last=rfc3339(times[-1]) if times else None,
        failures=requests(lines),
    )


def _merged(judgements: Iterable[Judgement]) -> list[Judgement]:
    """One verdict per cause and object, the worst first: active before over, then surer, then more failures."""
    found: dict[tuple[str, str], Judgement] = {}
    for judgement in judgements:
        key = (judgement.cause, str(judgement.resources[0]) if judgement.resources else "")
        other = found.get(key)
        found[key] = _joined(other, judgement) if other else judgement
    return sorted(
        found.values(),
        key=lambda one: (one.state != ACTIVE, -round(one.confidence * 10), -one.failures, -one.confidence),
    )


def _joined(one: Judgement, other: Judgement) -> Judgement:
    best, rest = (one, other) if one.confidence >= other.confidence else (other, one)
    firsts, lasts = [t for t in (one.first, other.first) if t], [t for t in (one.last, other.last) if t]
    affects = {(entry["from"], entry["to"]): entry for entry in (*best.affects, *rest.affects)}
    return msgspec.structs.replace(
        best,
        state=ACTIVE if ACTIVE in (one.state, other.state) else OVER,
        affects=tuple(affects.values()),
        evidence=tuple(dict.fromkeys((*best.evidence, *rest.evidence))),
        resources=tuple(dict.fromkeys((*best.resources, *rest.resources))),
        first=min(firsts, default=None),
        last=max(lasts, default=None),
        failures=one.failures + other.failures,
    )


def _now(cases: Sequence[Case], judgements: Sequence[Judgement], witness: Witness) -> str:
    if any(one.state == ACTIVE and one.failures for one in judgements):
        return FAILING
    if any(case.failures and not case.is_over(case.failures) and len(case.failures) > 1 for case in cases):
        return FAILING
    if any(case.refusals and not case.proxied for case in cases):
        return UNKNOWN  # the callers were refused, and no proxy tells by whom
    return HEALTHY if witness.answered else UNKNOWN


def _healthy(witness: Witness) -> Judgement:
    evidence = [Shown("traffic", f"{witness.answered} requests went well, and none failed")]
    if witness.unseen:
        evidence.append(Shown("traffic", f"but not everything could be seen: {', '.join(witness.unseen)}"))
    return Judgement(
        cause="healthy",
        confidence=CONFIGURATION_ONLY if witness.unseen else 0.9,
        layer=causes()["healthy"].layer,
        state=ACTIVE,
        summary="No failing traffic, and no probe found anything that would make it fail",
        resources=(),
        affects=(),
        evidence=tuple(evidence),
        remedy=Remedy("Nothing to change."),
    )


def _traffic(cases: Sequence[Case]) -> tuple[TrafficGroup, ...]:
    groups: dict[tuple[str, str, int, tuple[str, ...], str], list[Seen]] = {}
    for case in cases:
        for seen in case.failures:
            line = seen.access
            target = (line.upstream_cluster or str(seen.destination)) if line else str(seen.destination)
            details = (line.details or line.termination or "") if line else _error(seen)
            code = line.code if line else (seen.call.status if seen.call else 0)
            key = (_name(seen), target, code, line.flags if line else (), details)
            groups.setdefault(key, []).append(seen)
    found = []
    for (client, target, code, flags, details), lines in groups.items():
        times = sorted(seen.start for seen in lines if seen.start is not None)
        first, last = (rfc3339(times[0]), rfc3339(times[-1])) if times else (None, None)
        found.append(TrafficGroup(client, target, code, flags, details, len(lines), first, last))
    return tuple(sorted(found, key=lambda group: -group.count))


def _error(seen: Seen) -> str:
    if seen.tunnel:
        return seen.tunnel.error or ""
    return seen.call.error if seen.call else ""


def _name(seen: Seen) -> str:
    return str(seen.client) if seen.client else "unknown"


def _not_checked(snapshot: Snapshot, steps: Sequence[Step]) -> tuple[NotChecked, ...]:
    covered = {cause for name in all_probes() for cause in probe(name).causes}
    absent = [cause.id for cause in causes().values() if cause.id not in covered and cause.id != "healthy"]
    return tuple(
        dict.fromkeys(
            (
                *(NotChecked(cause, NO_PROBE) for cause in absent),
                *(NotChecked("source", problem) for problem in snapshot.info.problems),
                *_unread(snapshot),
                *(NotChecked("namespaces", part) for part in snapshot.parts()),
                *(NotChecked("logs", part) for part in snapshot.cut_logs()),
                *(NotChecked("decoding", problem) for problem in snapshot.problems()),
                *(NotChecked(step.probe, step.finding.says) for step in steps if step.finding.outcome == INCONCLUSIVE),
            )
        )
    )


def _unread(snapshot: Snapshot) -> Iterator[NotChecked]:
    """What was asked for and could not be read: one line for each reason, with the kinds or files that it holds for."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for want, missing in snapshot.missing().items():
        name = want.kind if isinstance(want, Objects) and missing.reason == "not recorded" else missing.file
        reasons.setdefault((type(want).__name__, str(missing)), []).append(name)
    for (want_name, why), names in reasons.items():
        rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield NotChecked(want_name, f"{why} ({', '.join(names[:3])}{rest})")
