"""What a probe concludes: an outcome with evidence, and the verdicts that it can stand for."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from meshdoctor.mesh.traffic import Seen

CULPRIT, CLEARED, INCONCLUSIVE, NOT_APPLICABLE = "culprit", "cleared", "inconclusive", "not-applicable"

CONFIGURATION_ONLY = 0.6
"""The most that a fault may claim which no traffic has shown."""


class Evidence(msgspec.Struct, frozen=True):
    """What was seen, and where: a *file* of the recording and a place *at* in it (a line, an object, a field)."""

    says: str
    file: str = ""
    at: str = ""


class Resource(msgspec.Struct, frozen=True):
    """An object that a person has to look at or change; *field* is the path in it, when one is to blame."""

    kind: str
    namespace: str
    name: str
    field: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class Remedy(msgspec.Struct, frozen=True):
    """What a person can apply (*yaml* may be empty), and how to *verify* that it worked."""

    text: str
    yaml: str = ""
    verify: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """A named cause (an id of causes.yaml). *lines* are the failures that it explains; none: configuration alone."""

    cause: str
    confidence: float
    summary: str
    resources: tuple[Resource, ...]
    evidence: tuple[Evidence, ...]
    remedy: Remedy
    lines: tuple[Seen, ...] = ()


class Finding(msgspec.Struct, frozen=True):
    """A probe's answer: *outcome* is one of the four above, *says* one sentence for the step."""

    outcome: str
    says: str
    verdicts: tuple[Verdict, ...] = ()
    evidence: tuple[Evidence, ...] = ()


def cleared(says: str, *evidence: Evidence) -> Finding:
    return Finding(CLEARED, says, (), evidence)


def inconclusive(says: str, *evidence: Evidence) -> Finding:
    """The question could not be answered: a fact is missing, or the facts do not agree."""
    return Finding(INCONCLUSIVE, says, (), evidence)


def not_applicable(says: str) -> Finding:
    return Finding(NOT_APPLICABLE, says)


def merged(findings: Sequence[Finding]) -> Finding:
    """All verdicts of *findings* in one; the first finding when none of them accuses."""
    verdicts = [verdict for finding in findings for verdict in finding.verdicts]
    return culprit(*verdicts) if verdicts else findings[0]


def culprit(*verdicts: Verdict) -> Finding:
    return Finding(CULPRIT, verdicts[0].summary, verdicts)
