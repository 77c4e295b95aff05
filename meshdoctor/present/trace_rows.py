"""A request trace as rows, one a hop, and the hop under the cursor in words: why it, and why nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from meshdoctor.mesh.case import Case
from meshdoctor.mesh.failing_flows import FailingFlow
from meshdoctor.mesh.owners import Workload
from meshdoctor.mesh.trace.outcome import Hop, Trace
from meshdoctor.model.accesslog import AccessLine
from meshdoctor.model.kinds import BY_NAME
from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.short_names import short_cluster
from meshdoctor.present.table import Cell, Column, Row
from meshdoctor.present.trace import failure_text
from meshdoctor.present.words import Words

if TYPE_CHECKING:
    from meshdoctor.present.guide_rows import Progress

COLUMNS = (
    Column("state", "VERDICT", 8, priority=0, ranks=("FAILS", "MAY FAIL", "?", "ok")),
    Column("hop", "HOP", 19, priority=0),
    Column("chosen", "CHOSEN", 28, flex=3, priority=0, elide="middle"),
    Column("origin", "FROM", 20, flex=1, widest=60, priority=1, elide="middle"),
)
END = "end"
"""The key of the row that says how the request ends."""
_VERDICTS = {
    "ok": ("ok", "state.ok"),
    "fails": ("FAILS", "severity.high"),
    "may fail": ("MAY FAIL", "severity.med"),
    "may match": ("?", "severity.med"),
}
FAILING = ("fails", "may fail")
_BY_CLUSTER = ("client TLS",)
_BY_POD = ("client", "destination", "server", "application", "network")


def trace_rows(trace: Trace, words: Words) -> list[Row]:
    """A row for each place on the way, for each hop there, and for the end."""
    rows: list[Row] = []
    where = ""
    for number, hop in enumerate(trace.hops):
        if hop.where != where:
            where = hop.where
            rows.append(_place_row(f"at {number}", trace.hops[number:], words))
        rows.append(_hop_row(number, trace.hops, words))
    return [*rows, _end_row(trace, words)]


def first_failure(trace: Trace) -> str:
    """The key of the row to look at first: the failing hop, else the end."""
    certain = [number for number, hop in enumerate(trace.hops) if hop.verdict == "fails"]
    likely = [number for number, hop in enumerate(trace.hops) if hop.verdict in FAILING] if trace.failing else []
    return str((certain or likely)[0]) if certain or likely else END


def _place_row(key: str, hops: Sequence[Hop], words: Words) -> Row:
    """The pod that the next hops are in; it opens its proxy where there is one."""
    where = hops[0].where
    own = [hop for hop in hops if hop.where == where]
    if "/" not in where:
        target = ""
    else:
        target = f"proxy {where}" if any(hop.step == "listener" for hop in own) else f"object Pod {where}"
    return Row(key, ("", Text(words("trace.at"), "quiet"), Text(words.said(where), "title"), ""), target, copies=where)


def _hop_row(number: int, hops: Sequence[Hop], words: Words) -> Row:
    hop = hops[number]
    word, style = _VERDICTS.get(hop.verdict, (hop.verdict, ""))
    bad = hop.verdict in FAILING
    chosen = short_cluster(hop.chosen) if hop.step == "cluster" else words.said(hop.chosen)
    # All of them in one cell would be cut in the middle, and read as one object that does not exist.
    sources = [str(source) for source in hop.sources]
    origin = f"{sources[0]} +{len(sources) - 1}" if len(sources) > 1 else "".join(sources)
    cells: tuple[Cell, ...] = (
        Text(word, style),
        hop.step,
        Text(chosen, style) if hop.verdict == "fails" else chosen,
        origin or "-",
    )
    return Row(str(number), cells, object_command(hop) or config_command(number, hops), bad, hop.chosen)


def _end_row(trace: Trace, words: Words) -> Row:
    outcome = trace.outcome
    said = " ".join(str(word) for word in (outcome.code, outcome.flags, outcome.details) if word)
    if trace.failing:
        text = said or words("trace.closed")
    elif trace.contradicted and trace.logged is not None:
        text = words("trace.logged", count=trace.logged.failures)
    else:
        text = f"{outcome.code}, location {outcome.location}" if outcome.location else words("trace.passes")
    word = Text(*_VERDICTS[trace.verdict])
    cells = (word, Text(words("trace.end"), "title"), Text(text, "title"), "-")
    return Row(END, cells, "", trace.failing, text)


def object_command(hop: Hop) -> str:
    """The command that opens the Istio object which a hop comes from; empty when none is named."""
    return next((f"object {source}" for source in hop.sources if source.kind in BY_NAME), "")


def config_command(number: int, hops: Sequence[Hop]) -> str:
    """The command that opens what the proxy holds for a hop: the object in its dump, else the pod."""
    hop = hops[number]
    before = [one for one in hops[: number + 1] if one.where == hop.where]
    chosen = {one.step: one.chosen for one in before if one.chosen not in ("none", "inline", "cannot be said")}
    if "/" not in hop.where:
        return ""
    if hop.step in _BY_POD or "listener" not in chosen:
        return f"object Pod {hop.where}"
    table, host = chosen.get("route configuration", ""), chosen.get("virtual host", "")
    if hop.step in ("route configuration", "virtual host", "route") and table:
        named = host if hop.step != "route configuration" else ""
        return f"dump {hop.where} route {table} {named}".rstrip()
    if hop.step == "endpoint" and "cluster" in chosen:
        return f"proxy {hop.where} endpoints {chosen['cluster']}"
    if (hop.step == "cluster" or hop.step in _BY_CLUSTER) and "cluster" in chosen:
        return f"dump {hop.where} cluster {chosen['cluster']}"
    return f"dump {hop.where} listener {chosen['listener']}"


def hop_lines(trace: Trace, key: str, words: Words, width: int) -> Iterator[Cell]:
    """The row with this key in words."""
    if key == END:
        yield from _end_lines(trace, words, width)
        return
    if not key.isdigit():
        return
    hop = trace.hops[int(key)]
    word, style = _VERDICTS.get(hop.verdict, (hop.verdict, ""))
    yield Text.assemble(" ", (word, style), f"  {hop.step}: ", (words.said(hop.chosen), "title"))
    if hop.why:
        yield from _wrapped(words("trace.why"), words.said(hop.why), width)
    for note in hop.notes:
        yield from _wrapped("!" if hop.verdict in FAILING else "-", words.said(note), width)
    for name, reason in hop.others:
        yield from _wrapped(words("trace.not"), f"{words.said(name)}: {words.said(reason)}", width)


def _end_lines(trace: Trace, words: Words, width: int) -> Iterator[Cell]:
    outcome = trace.outcome
    if not trace.failing:
        said = "unsure" if trace.verdict == "may match" else "passes"
        said = words("tracetext.contradicted") if trace.contradicted else words(f"trace.{said}")
        yield from wrap(said, "   ", " ", width=width)
        yield from _logged_lines(trace, words, width)
        return
    yield from _wrapped(words("trace.why"), words.said(outcome.why), width)
    if outcome.fix:
        yield from _wrapped(words("trace.fix"), words.said(outcome.fix), width)
    yield from _logged_lines(trace, words, width)


def _logged_lines(trace: Trace, words: Words, width: int) -> Iterator[Cell]:
    found = trace.logged
    if found is None:
        return
    said = words("tracetext.failures", count=found.failures, good=found.good)
    if not found.failures:
        said = words("tracetext.good", count=found.good)
    elif found.over:
        said += f"; {words('tracetext.over')}"
    yield from _wrapped(f"{words('tracetext.logs')}:", said, width)
    for kind in found.kinds:
        yield from _wrapped(f"  {kind.count}", failure_text(kind, words), width)


def _wrapped(label: str, text: str, width: int) -> Iterator[str]:
    return wrap(f"{label} {text}", "     ", " ", width=width)


def guide_command(progress: Progress, key: str) -> str:
    """The command that traces the flow which the guide's row with this key is about; empty when nobody is known."""
    head, number = key.partition(".")[0][:1], key.partition(".")[0][1:]
    verdicts = progress.diagnosis.verdicts if progress.diagnosis else ()
    if head == "v" and number.isdigit() and (affects := verdicts[int(number)].affects):
        return _command(affects[0]["from"], affects[0]["to"], "", "")
    if head == "s" and number.isdigit():
        return _case_command(progress.steps[int(number)].case)
    return next((command for case in progress.cases if (command := _case_command(case))), "")


def _case_command(case: Case) -> str:
    return _traced(case.client, str(case.destination), case, None)


def flow_command(flow: FailingFlow) -> str:
    """The command that traces the request of a failing flow, as the first of its lines shows it; empty for nobody's."""
    return _traced(flow.example.client or flow.case.client, flow.target, flow.case, flow.example.access)


def _traced(client: Workload | None, target: str, case: Case, access: AccessLine | None) -> str:
    """The request of *access*, or of the first failing line of the case that shows one."""
    if client is None:
        return ""
    access = access or next((seen.access for seen in case.failures if seen.access), None)
    path = (access.path if access else None) or case.path
    return _command(str(client), target, path, (access.method if access else None) or "")


def _command(client: str, target: str, path: str, method: str) -> str:
    plain = path if path.startswith("/") and " " not in path else ""
    verb = method if method.isalpha() and method != "GET" else ""
    return " ".join(part for part in ("trace", client, f"{target}{plain}", verb) if part)
