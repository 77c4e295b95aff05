"""The guide as rows: the verdicts on top, then each step of the flowchart with what it found, then what is not
known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from meshdoctor.guide.diagnosis import FAILING, HEALTHY, OVER, Diagnosis, Judgement, Shown
from meshdoctor.guide.walk import Step
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.failing_flows import case_name
from meshdoctor.mesh.finding import CLEARED, CONFIGURATION_ONLY, CULPRIT, INCONCLUSIVE, NOT_APPLICABLE
from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.guide_columns import RUNNING, WORD_WIDTH
from meshdoctor.present.places import place_command, place_text, resource_command
from meshdoctor.present.table import Cell, Row
from meshdoctor.present.words import Words

BESIDE = WORD_WIDTH + 3
"""Cells of a line that are not the second column's: margin, first column, gap, and one that stays free."""
SHOWN_EVIDENCE = 6
SHOWN_YAML = 12
_OUTCOMES = {
    CULPRIT: ("CULPRIT", "severity.high"),
    CLEARED: ("CLEARED", "state.ok"),
    INCONCLUSIVE: ("UNSURE", "severity.med"),
    NOT_APPLICABLE: ("N/A", "quiet"),
}


class Progress(NamedTuple):
    """How far the guide is: the steps taken so far and what they amount to (None before the first verdict)."""

    cases: tuple[Case, ...]
    steps: tuple[Step, ...]
    diagnosis: Diagnosis | None
    running: bool
    name: str = ""
    """The one flow that was asked for, as commands name it; empty for all of them."""


class _Writer:
    """Collects rows; every logical line is wrapped to the width, and all its rows open the same place."""

    def __init__(self, words: Words, width: int, report: str) -> None:
        self.words = words
        self.report = report
        self.width = max(20, width - BESIDE)
        self.rows: list[Row] = []

    def line(
        self,
        key: str,
        word: Cell,
        text: str,
        *,
        style: str = "",
        target: str = "",
        problem: bool = False,
        copies: str = "",
    ) -> None:
        """One logical line; *word* stands beside its first row."""
        for number, part in enumerate(list(wrap(text, width=self.width)) or [""]):
            cell: Cell = Text(part, style=style) if style else part
            name = key if number == 0 else f"{key}.{number}"
            self.rows.append(Row(name, (word if number == 0 else "", cell), target, problem, copies or text))

    def add(self, key: str, word: Cell, cell: Cell, target: str = "", copies: str = "", problem: bool = False) -> None:
        """One row as it is."""
        self.rows.append(Row(key, (word, cell), target, problem, copies))

    def label(self, name: str) -> Text:
        """A quiet word beside a line."""
        return Text(self.words(f"guide.{name}"), style="quiet")


def guide_rows(progress: Progress, words: Words, width: int) -> list[Row]:
    """The rows for a view of *width* cells."""
    writer = _Writer(words, width, f"report {progress.name}".rstrip())
    verdicts = progress.diagnosis.verdicts if progress.diagnosis else ()
    for number, verdict in enumerate(verdicts):
        _verdict(writer, number, verdict)
        writer.add(f"v{number}.end", "", "")
    if not verdicts and progress.diagnosis and not progress.running:
        writer.line("none", Text("UNSURE", "severity.med"), words("guide.no_verdict"), problem=True)
        writer.add("none.end", "", "")
    _steps(writer, progress)
    if progress.diagnosis and not progress.running:
        _not_checked(writer, progress.diagnosis)
    return writer.rows


def _verdict(writer: _Writer, number: int, verdict: Judgement) -> None:
    words, key = writer.words, f"v{number}"
    state = "" if verdict.cause == "healthy" else words(f"guide.{verdict.state}")
    head = Text.assemble(
        (verdict.cause, "title"), f"  {words('guide.sure', percent=round(verdict.confidence * 100))}  {state}"
    )
    writer.add(key, _verdict_word(verdict), head, writer.report, verdict.cause, True)
    writer.line(f"{key}.summary", "", writer.words.said(verdict.summary), target=writer.report, problem=True)
    if verdict.first and verdict.last:
        times = words("guide.failures", count=verdict.failures, first=_time(verdict.first), last=_time(verdict.last))
        writer.line(f"{key}.times", "", times, style="quiet", target="traffic")
    for place, entry in enumerate(verdict.affects[:3]):
        word = writer.label("hits") if place == 0 else ""
        writer.line(f"{key}.hit{place}", word, f"{entry['from']} -> {entry['to']}", target="traffic")
    _evidence(writer, key, verdict.evidence)
    for place, resource in enumerate(verdict.resources):
        word = writer.label("look") if place == 0 else ""
        writer.line(
            f"{key}.look{place}", word, f"{resource}  {resource.field}".rstrip(), target=resource_command(resource)
        )
    _remedy(writer, key, verdict)


def _verdict_word(verdict: Judgement) -> Text:
    if verdict.cause == "healthy":
        return Text("HEALTHY", "state.ok")
    if verdict.confidence <= CONFIGURATION_ONLY:
        return Text("SUSPECT", "severity.med")
    return Text("WAS", "severity.low") if verdict.state == OVER else Text("CULPRIT", "severity.high")


def _evidence(writer: _Writer, key: str, evidence: Iterable[Shown]) -> None:
    shown = list(evidence)
    for place, entry in enumerate(shown[:SHOWN_EVIDENCE]):
        _piece(writer, f"{key}.why{place}", writer.label("why") if place == 0 else "", entry.says, entry.file, entry.at)
    if len(shown) > SHOWN_EVIDENCE:
        more = writer.words("guide.more", count=len(shown) - SHOWN_EVIDENCE)
        writer.line(f"{key}.more", "", more, style="quiet", target=writer.report)


def _piece(writer: _Writer, key: str, word: Cell, says: str, file: str, at: str) -> None:
    """What was seen and where; the place stands behind it if there is room, else below."""
    says, place = writer.words.said(says), place_text(file, at)
    target, copies = place_command(file, at), f"{says} [{place}]" if place else says
    lines = list(wrap(f"- {says}", "  ", "", width=writer.width))
    for number, part in enumerate(lines):
        cell: Cell = part
        if place and number == len(lines) - 1 and cell_len(part) + cell_len(place) + 3 <= writer.width:
            cell, place = Text.assemble(part, "  ", (f"@{place}", "key")), ""
        writer.add(f"{key}.{number}" if number else key, word if number == 0 else "", cell, target, copies)
    if place:
        for number, part in enumerate(wrap(f"@{place}", "    ", "  ", width=writer.width)):
            writer.add(f"{key}.at{number}", "", Text(part, "key"), target, copies)


def _remedy(writer: _Writer, key: str, verdict: Judgement) -> None:
    remedy = verdict.remedy
    writer.line(
        f"{key}.change", writer.label("change"), writer.words.said(remedy.text), style="title", target=writer.report
    )
    lines = remedy.yaml.rstrip().splitlines()
    kept = lines if len(lines) <= SHOWN_YAML else lines[: SHOWN_YAML - 1]
    for number, line in enumerate(kept):
        word = writer.label("yaml") if number == 0 else ""
        writer.add(f"{key}.yaml{number}", word, f"  {line}", writer.report, remedy.yaml)
    if len(kept) < len(lines):
        more = writer.words("guide.more_yaml", count=len(lines) - len(kept))
        writer.line(f"{key}.yaml_more", "", more, style="quiet", target=writer.report, copies=remedy.yaml)
    if remedy.verify:
        writer.line(f"{key}.verify", writer.label("verify"), writer.words.said(remedy.verify), target=writer.report)


def _steps(writer: _Writer, progress: Progress) -> None:
    words = writer.words
    case: Case | None = None
    branch = ""
    for number, step in enumerate(progress.steps):
        if case is None or case_name(case) != case_name(step.case):
            case, branch = step.case, ""
            whole = next((one for one in progress.cases if case_name(one) == case_name(case)), case)
            text = words("guide.flow", flow=case_name(whole).replace(" ", " -> ", 1), count=len(whole.failures))
            writer.line(f"s{number}.flow", "", text, style="title", target="traffic")
        if step.branch.id != branch:
            branch = step.branch.id
            title = step.branch.title_ko if words.language == "ko" else step.branch.title
            writer.line(f"s{number}.branch", "", title, style="quiet")
        _step(writer, f"s{number}", step)
    if progress.running:
        writer.line(RUNNING, Text("...", "warning"), words("guide.running"), style="warning")
    elif not progress.steps:
        writer.line("nothing", "", words("guide.no_steps"), style="quiet")


def _step(writer: _Writer, key: str, step: Step) -> None:
    word, style = _OUTCOMES[step.finding.outcome]
    named = ", ".join(verdict.cause for verdict in step.finding.verdicts)
    says = f"-> {named}" if named else writer.words.said(step.finding.says)
    writer.line(key, Text(word, style), f"{step.probe}: {says}", problem=step.finding.outcome == INCONCLUSIVE)
    for number, entry in enumerate(step.finding.evidence[:SHOWN_EVIDENCE]):
        _piece(writer, f"{key}.e{number}", "", entry.says, entry.file, entry.at)


def _not_checked(writer: _Writer, diagnosis: Diagnosis) -> None:
    if not diagnosis.not_checked:
        return
    groups: dict[str, list[str]] = {}
    for entry in diagnosis.not_checked:
        groups.setdefault(entry.why, []).append(entry.probe)
    writer.add("unchecked", "", "")
    writer.line("unchecked.title", "", writer.words("guide.not_checked"), style="title")
    for number, (why, names) in enumerate(groups.items()):
        # Of one thing, say the thing first; of many that share a reason, the reason.
        said, about = writer.words.said(why), ", ".join(map(writer.words.said, names))
        text = f"{about}: {said}" if len(names) == 1 else f"{said}: {about}"
        writer.line(f"unchecked.{number}", "", text, style="quiet")


def _time(moment: str) -> str:
    return moment[11:19]


def headline(progress: Progress, words: Words) -> Iterator[Text]:
    """What stands at the right of the header: the state of the traffic, and how far the guide is."""
    if progress.running:
        yield Text(words("guide.step", number=len(progress.steps)), "warning")
    elif progress.diagnosis:
        now = progress.diagnosis.now
        style = {FAILING: "severity.high", HEALTHY: "state.ok"}.get(now, "severity.med")
        yield Text(words(f"guide.now_{now}"), style)
