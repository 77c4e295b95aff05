"""Explanations as plain text of 80 columns, in English or Korean; no colour, fit for a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from rich.cells import cell_len

from meshdoctor.mesh.explanation import (
    Explanation,
    Language,
    explain_line,
    explain_ztunnel_line,
    label,
    skipped_words,
)
from meshdoctor.mesh.failure_groups import FailureGroup, ZtunnelGroup
from meshdoctor.model.accesslog import parse_details
from meshdoctor.present.cells import fitting

WIDTH = 80
_SHORT_NAME = 40  # a longer name gets a line of its own
_FIRST_SECOND = -62_135_596_800  # of year 1
_LAST_SECOND = 253_402_300_799  # of year 9999


def wrap(text: str, indent: str = "", first: str | None = None, width: int = WIDTH) -> Iterator[str]:
    """*text* in lines of at most *width* terminal cells (a Korean letter takes two), *first* before the first of them.

    A word longer than a line (an identity, a cluster name) is broken.
    """
    line = indent if first is None else first
    empty = True
    for word in text.split():
        while word:
            gap = "" if empty else " "
            if cell_len(line + gap + word) <= width:
                line, word, empty = line + gap + word, "", False
            elif not empty and (cell_len(indent + word) <= width or width - cell_len(line) < 12):
                yield line
                line, empty = indent, True
            else:
                cut = fitting(word, width - cell_len(line + gap))
                yield line + gap + word[:cut]
                line, word, empty = indent, word[cut:], True
    if not empty:
        yield line


def moment(seconds: float | None) -> str:
    """A unix time as UTC to the second; `-` when there is none or it is no date."""
    if seconds is None or not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def word_lines(found: Explanation, language: Language) -> Iterator[str]:
    """One word on its own: its names, what it means, who answered, where to look, what it can mean."""
    title = found.text if found.text == found.name else f"{found.text}  {found.name}"
    if found.code:
        title += f"  ({label('code', language, code=found.code)})"
    yield from wrap(title or '""', "    ", "")
    if not found.known:
        yield from wrap(label("unlisted", language), "  ")
    yield from wrap(" ".join([found.means, *found.notes]), "  ")
    yield from _advice([found], language)


def _advice(found: Sequence[Explanation], language: Language) -> Iterator[str]:
    """The closing lines; the last of *found* that has something to say is the most particular."""
    by_detail = sorted(found, key=lambda one: one.subject != "details")  # details tell who answered, a flag what failed
    answered = next((one.answered for one in by_detail if one.answered), "")
    look = next((one.next for one in reversed(found) if one.next), "")
    causes = next((one.causes for one in reversed(found) if one.causes), ())
    for name, text in (("answered", answered), ("next", look), ("causes", ", ".join(causes))):
        if text:
            yield from wrap(text, "    ", f"  {label(name, language)}: ")


def group_lines(group: FailureGroup, language: Language) -> Iterator[str]:
    """One kind of failure of an access log, with all that its words say."""
    line = group.example
    flags = ",".join(sorted(line.flags, key=lambda flag: flag != line.primary_flag)) or "-"
    yield from wrap(f"{line.code} {flags} {line.upstream_cluster or ''}", "      ", f"{group.count} × ")
    yield from wrap(_span(group, language), "    ")
    found = [
        one
        for one in explain_line(line, language)
        # The details say more than the absence of a flag.
        if not (one.subject == "flag" and one.text == "-" and line.details is not None)
    ]
    for one in found:
        text = " ".join([*([] if one.known else [label("unlisted", language)]), one.means, *one.notes])
        name = one.text or '""'
        if one.subject == "details" and parse_details(name).transport:
            name = f"{name.partition('|')[0]}|…}}"  # the transport failure is explained next
        if cell_len(name) < _SHORT_NAME:
            yield from wrap(text, "      ", f"  {name}: ")
        else:
            yield from wrap(name, "    ", "  ")
            yield from wrap(text, "      ")
    yield from _advice(found, language)


def ztunnel_group_lines(group: ZtunnelGroup, language: Language) -> Iterator[str]:
    """One kind of failed connection of a ztunnel log."""
    line = group.example
    place = f"{line.direction or '?'} {line.dst_service or line.dst_addr or '?'}"
    yield from wrap(f"{label('ztunnel', language)} {place}", "      ", f"{group.count} × ")
    yield from wrap(_span(group, language), "    ")
    yield from wrap(line.error or "", "    ", "  ")
    found = explain_ztunnel_line(line, language)
    for one in found:
        yield from wrap(" ".join([one.means, *one.notes]), "      ")
    yield from _advice(found, language)


def _span(group: FailureGroup | ZtunnelGroup, language: Language) -> str:
    first, last = moment(group.first), moment(group.last)
    if group.count == 1 or (first == last and first == "-"):
        return label("once", language, first=first, line=group.example.line)
    return label("span", language, first=first, last=last, line=group.example.line)


def skipped_line(skipped: dict[str, int], language: Language) -> Iterator[str]:
    """What of a log was not read, and why."""
    if skipped:
        ordered = sorted(skipped.items(), key=lambda item: (-item[1], item[0]))
        kinds = ", ".join(f"{count} {skipped_words(kind, language)}" for kind, count in ordered)
        yield from wrap(label("skipped", language, count=sum(skipped.values()), kinds=kinds), "  ", "")


def paragraphs(blocks: Iterable[Iterable[str]]) -> str:
    """Blocks of lines with an empty line between them."""
    return "\n\n".join("\n".join(block) for block in blocks)
