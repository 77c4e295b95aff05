"""A request trace as text: one block for each Envoy, one line or more for each hop, then how it ends."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len

from meshdoctor.mesh.trace.outcome import Hop, Logged, LoggedFailure, Trace
from meshdoctor.model.moment import clock
from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.words import Language, Words

WIDTH = 80
_VERDICTS = {"ok": "ok", "fails": "FAILS", "may fail": "MAY FAIL", "may match": "?"}


def trace_lines(trace: Trace, width: int = WIDTH, language: Language = "en") -> Iterator[str]:
    """The text, line by line, none longer than *width* columns."""
    words = Words(language)
    where = ""
    for hop in trace.hops:
        if hop.where != where:
            if where:
                yield ""
            where = hop.where
            yield from _wrapped("", where if "/" in where else words.said(where).upper(), width)
        yield from _hop(hop, words, width)
    yield ""
    yield from _ending(trace, words, width)
    if trace.logged is not None:
        yield from _logged(trace, trace.logged, words, width)


def _hop(hop: Hop, words: Words, width: int) -> Iterator[str]:
    head = f"  {_VERDICTS.get(hop.verdict, hop.verdict):<8}  "
    yield from _wrapped(head + f"{hop.step}: ", words.said(hop.chosen), width)
    margin = " " * 12
    if hop.why:
        yield from _wrapped(margin, words.said(hop.why), width)
    for source in hop.sources:
        yield from _wrapped(margin + words("tracetext.from") + " ", str(source), width)
    for note in hop.notes:
        sign = "! " if hop.verdict in ("fails", "may fail") else "- "
        yield from _wrapped(margin + sign, words.said(note), width)
    label = words("tracetext.rule" if hop.step == "authorization" else "tracetext.other") + " "
    for name, reason in hop.others:
        yield from _wrapped(margin + label, f"{words.said(name)}: {words.said(reason)}", width)


def _ending(trace: Trace, words: Words, width: int) -> Iterator[str]:
    outcome = trace.outcome
    if not trace.failing:
        if trace.contradicted:
            said = words("tracetext.contradicted")
        else:
            said = words("tracetext.unsure" if trace.verdict == "may match" else "tracetext.passes")
        yield from _wrapped("?  " if trace.verdict == "may match" else "", said, width)
        open_hop = next((hop for hop in trace.hops if hop.verdict == "may match"), None)
        if open_hop is not None:
            chosen, why = words.said(open_hop.chosen), words.said(open_hop.why)
            why = "; ".join((f"{open_hop.step} {chosen}: {why}", *map(words.said, open_hop.notes)))
            yield from _labelled(words("tracetext.why"), why, width)
        if outcome.location:
            yield from _wrapped("  ", f"{outcome.code}, location {outcome.location}", width)
        return
    said = " ".join(str(word) for word in (outcome.code, outcome.flags, outcome.details) if word)
    yield from _wrapped(f"{_VERDICTS[trace.verdict]}  ", said or words("trace.closed"), width)
    yield from _labelled(words("tracetext.why"), words.said(outcome.why), width)
    if outcome.fix:
        yield from _labelled(words("tracetext.fix"), words.said(outcome.fix), width)


def _logged(trace: Trace, found: Logged, words: Words, width: int) -> Iterator[str]:
    """What the logs say of the flow, and where to go on when they contradict the configuration."""
    label = words("tracetext.logs")
    if not found.failures:
        yield from _labelled(label, words("tracetext.good", count=found.good), width)
    else:
        said = words("tracetext.failures", count=found.failures, good=found.good)
        if found.first is not None and found.last is not None:
            said += words("tracetext.when", first=clock(found.first), last=clock(found.last))
        yield from _labelled(label, said + (f"; {words('tracetext.over')}" if found.over else ""), width)
        for kind in found.kinds:
            yield from _wrapped(f"  {'':{cell_len(label)}}  {kind.count:>4}  ", failure_text(kind, words), width)
    if found.others:
        yield from _labelled(label, words("tracetext.others", count=found.others), width)
    if trace.contradicted or (found.others and not found.failures):
        yield from _labelled(words("tracetext.next"), words("tracetext.diagnose"), width)


def failure_text(kind: LoggedFailure, words: Words) -> str:
    """A kind of failure in one line: code, flags and details as logged, and by whom."""
    said = " ".join(part for part in (str(kind.code), ",".join(kind.flags), kind.details) if part)
    return f"{said} ({words.said(kind.side)})"


def _labelled(label: str, text: str, width: int) -> Iterator[str]:
    return _wrapped(f"  {label}  ", text, width)


def _wrapped(head: str, text: str, width: int) -> Iterator[str]:
    """*text* behind *head*, wrapped; long names are cut apart rather than let run over the edge."""
    if not text.split():
        yield head.rstrip()
        return
    yield from wrap(text, " " * cell_len(head), head, width)
