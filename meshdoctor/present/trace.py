"""A request trace as text: one block for each Envoy, one line or more for each hop, then how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from meshdoctor.mesh.trace.outcome import Hop, Trace

WIDTH = 80
_WORDS = {"ok": "ok", "fails": "FAILS", "may fail": "MAY FAIL", "may match": "?"}


def trace_lines(trace: Trace, width: int = WIDTH) -> Iterator[str]:
    """The text, line by line, none longer than *width* columns."""
    where = ""
    for hop in trace.hops:
        if hop.where != where:
            if where:
                yield ""
            where = hop.where
            yield from _wrapped("", where.upper() if where.islower() and "/" not in where else where, width)
        yield from _hop(hop, width)
    yield ""
    yield from _ending(trace, width)


def _hop(hop: Hop, width: int) -> Iterator[str]:
    head = f"  {_WORDS.get(hop.verdict, hop.verdict):<8}  "
    yield from _wrapped(head + f"{hop.step}: ", hop.chosen, width)
    margin = " " * 12
    if hop.why:
        yield from _wrapped(margin, hop.why, width)
    for source in hop.sources:
        yield from _wrapped(margin + "from ", str(source), width)
    for note in hop.notes:
        yield from _wrapped(margin + "! " if hop.verdict in ("fails", "may fail") else margin + "- ", note, width)
    for name, reason in hop.others:
        yield from _wrapped(margin + ("rule " if hop.step == "authorization" else "other "), f"{name}: {reason}", width)


def _ending(trace: Trace, width: int) -> Iterator[str]:
    outcome = trace.outcome
    if not trace.failing:
        unsure = any(hop.verdict == "may match" for hop in trace.hops)
        said = "Nothing on the way fails this request" + (", as far as it could be followed." if unsure else ".")
        yield from _wrapped("", said, width)
        if outcome.location:
            yield from _wrapped("  ", f"{outcome.code}, location {outcome.location}", width)
        return
    words = " ".join(str(word) for word in (outcome.code, outcome.flags, outcome.details) if word)
    yield from _wrapped("FAILS  ", words or "the connection is closed", width)
    yield from _wrapped("  why  ", outcome.why, width)
    if outcome.fix:
        yield from _wrapped("  fix  ", outcome.fix, width)


def _wrapped(head: str, text: str, width: int) -> list[str]:
    """*text* behind *head*, wrapped; long names are cut apart rather than let run over the edge."""
    lines = wrap(text, width, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False)
    return lines or [head.rstrip()]
