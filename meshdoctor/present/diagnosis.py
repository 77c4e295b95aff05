"""A diagnosis as text of 80 columns: the culprit first, then why, what to change, and what could not be checked."""

from __future__ import annotations

from collections.abc import Iterator

from meshdoctor.guide.diagnosis import NO_PROBE, OVER, Diagnosis, Judgement
from meshdoctor.present.cause_words import korean_causes
from meshdoctor.present.explanation_text import WIDTH, wrap
from meshdoctor.present.words import Language, Words

MOST_TRAFFIC = 8
MOST_AFFECTED = 4


def _in_words(sentence: str, general: str, verdict: Judgement, words: Words) -> Iterator[str]:
    """The verdict's *sentence*; before one that has no Korean, what its cause says of it in general."""
    said = words.said(sentence)
    if words.language == "ko" and said == sentence:
        yield korean_causes()[verdict.cause][general]
    yield said


def diagnosis_lines(diagnosis: Diagnosis, width: int = WIDTH, language: Language = "en") -> Iterator[str]:
    """The text, line by line, none wider than *width* terminal cells."""
    words = Words(language)
    if not diagnosis.verdicts:
        yield from wrap(words("diagnosis.no_guess"), "  ", words("diagnosis.inconclusive") + "  ", width)
    for number, verdict in enumerate(diagnosis.verdicts, start=1):
        if number > 1:
            yield ""
        yield from _verdict(number, verdict, words, width)
    yield ""
    yield words(f"diagnosis.{diagnosis.now}")
    yield from _traffic(diagnosis, words, width)
    yield from _not_checked(diagnosis, words, width)


def verdict_lines(verdict: Judgement, width: int, words: Words) -> Iterator[str]:
    """One verdict of a diagnosis, as its first."""
    return _verdict(1, verdict, words, width)


def _verdict(number: int, verdict: Judgement, words: Words, width: int) -> Iterator[str]:
    state = f" ({words('diagnosis.over')})" if verdict.state == OVER else ""
    sure = words("diagnosis.sure", confidence=f"{verdict.confidence:.0%}")
    yield from wrap(f"{verdict.cause}{state}, {sure}", "   ", f"{number}. ", width)
    for text in _in_words(verdict.summary, "title", verdict, words):
        yield from wrap(text, "   ", "   ", width)
    if verdict.first and verdict.last:
        text = words("diagnosis.failures", count=verdict.failures, first=verdict.first, last=verdict.last)
        yield from wrap(text, "   ", "   ", width)
    if verdict.affects:
        yield f"   {words('diagnosis.affects')}"
        for entry in verdict.affects[:MOST_AFFECTED]:
            yield from wrap(f"{entry['from']} -> {entry['to']}", "     ", "     ", width)
    if verdict.evidence:
        yield f"   {words('diagnosis.why')}"
        for shown in verdict.evidence:
            yield from wrap(words.said(shown.says), "     ", "   - ", width)
            place = " ".join(part for part in (shown.file, shown.at) if part)
            if place:
                yield from wrap(f"[{place}]", "     ", "     ", width)
    if verdict.resources:
        yield f"   {words('diagnosis.look_at')}"
        for resource in verdict.resources:
            yield from wrap(f"{resource} {resource.field}", "     ", "     ", width)
    yield from _remedy(verdict, words, width)


def _remedy(verdict: Judgement, words: Words, width: int) -> Iterator[str]:
    yield f"   {words('diagnosis.change')}"
    for text in _in_words(verdict.remedy.text, "fix", verdict, words):
        yield from wrap(text, "     ", "     ", width)
    for line in verdict.remedy.yaml.splitlines():
        yield f"       {line}"
    if verdict.remedy.verify and verdict.resources:
        yield from wrap(words("diagnosis.then", verify=words.said(verdict.remedy.verify)), "     ", "     ", width)


def _traffic(diagnosis: Diagnosis, words: Words, width: int) -> Iterator[str]:
    if not diagnosis.traffic:
        return
    yield ""
    yield words("diagnosis.traffic")
    for group in diagnosis.traffic[:MOST_TRAFFIC]:
        flags = ",".join(group.flags) or "-"
        text = f"{group.client} -> {group.target}  {group.code} {flags} {group.details[:120]}"
        yield from wrap(text, "        ", f"{group.count:6}  ", width)
    rest = len(diagnosis.traffic) - MOST_TRAFFIC
    if rest > 0:
        yield from wrap(words("diagnosis.more_traffic", count=rest), "        ", "        ", width)


def _not_checked(diagnosis: Diagnosis, words: Words, width: int) -> Iterator[str]:
    if not diagnosis.not_checked:
        return
    yield ""
    yield words("diagnosis.not_checked")
    for entry in diagnosis.not_checked:
        if entry.why != NO_PROBE:
            yield from wrap(f"{words.said(entry.probe)}: {words.said(entry.why)}", "    ", "  ", width)
    absent = [entry.probe for entry in diagnosis.not_checked if entry.why == NO_PROBE]
    if absent:
        yield from wrap(words("diagnosis.no_probe", causes=", ".join(absent)), "    ", "  ", width)
