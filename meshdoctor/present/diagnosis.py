"""A diagnosis as text of 80 columns: the culprit first, then why, what to change, and what could not be checked."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from meshdoctor.guide.diagnosis import OVER, Diagnosis, Judgement

WIDTH = 80
_NOW = {
    "failing": "Requests fail now.",
    "healthy": "Nothing fails now.",
    "unknown": "Whether anything fails now could not be seen.",
}


def diagnosis_lines(diagnosis: Diagnosis, width: int = WIDTH) -> Iterator[str]:
    """The text, line by line, none longer than *width*."""
    if not diagnosis.verdicts:
        yield from _wrapped("INCONCLUSIVE  ", "No probe proved a cause; nothing is guessed.", width)
    for number, verdict in enumerate(diagnosis.verdicts, start=1):
        if number > 1:
            yield ""
        yield from _verdict(number, verdict, width)
    yield ""
    yield _NOW[diagnosis.now]
    if diagnosis.traffic:
        yield ""
        yield "TRAFFIC THAT FAILED"
        for group in diagnosis.traffic[:8]:
            flags = ",".join(group.flags) or "-"
            yield from _wrapped(
                f"{group.count:6}  ", f"{group.client} -> {group.target}  {group.code} {flags} {group.details}", width
            )
    unchecked = [entry for entry in diagnosis.not_checked if entry.why != "no probe looks for this cause yet"]
    absent = [entry.probe for entry in diagnosis.not_checked if entry.why == "no probe looks for this cause yet"]
    if unchecked or absent:
        yield ""
        yield "NOT CHECKED"
        for entry in unchecked:
            yield from _wrapped("  ", f"{entry.probe}: {entry.why}", width, "    ")
        if absent:
            yield from _wrapped("  ", f"no probe yet for: {', '.join(absent)}", width, "    ")


def _verdict(number: int, verdict: Judgement, width: int) -> Iterator[str]:
    state = " (over)" if verdict.state == OVER else ""
    yield from _wrapped(f"{number}. ", f"{verdict.cause}{state}, {verdict.confidence:.0%} sure", width)
    yield from _wrapped("   ", verdict.summary, width)
    if verdict.first and verdict.last:
        yield f"   {verdict.failures} failures, {verdict.first} to {verdict.last}"
    if verdict.affects:
        yield "   AFFECTS"
        for entry in verdict.affects[:4]:
            yield from _wrapped("     ", f"{entry['from']} -> {entry['to']}", width)
    if verdict.evidence:
        yield "   WHY"
        for shown in verdict.evidence:
            place = " ".join(part for part in (shown.file, shown.at) if part)
            yield from _wrapped("   - ", shown.says, width, "     ")
            if place:
                yield from _wrapped("     ", f"[{place}]", width)
    if verdict.resources:
        yield "   LOOK AT"
        for resource in verdict.resources:
            yield from _wrapped("     ", f"{resource} {resource.field}".rstrip(), width)
    yield "   WHAT TO CHANGE"
    yield from _wrapped("     ", verdict.remedy.text, width)
    for line in verdict.remedy.yaml.splitlines():
        yield f"     {line}"
    if verdict.remedy.verify:
        yield from _wrapped("     Then: ", verdict.remedy.verify, width, "     ")


def _wrapped(first: str, text: str, width: int, rest: str | None = None) -> Iterator[str]:
    indent = rest if rest is not None else " " * len(first)
    lines = wrap(
        text, width, initial_indent=first, subsequent_indent=indent, break_long_words=True, break_on_hyphens=False
    )
    yield from lines or [first.rstrip()]
