"""The failing flows as a table, and one of them explained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.text import Text

from meshdoctor.mesh.explanation import explain_line, explain_ztunnel_line
from meshdoctor.mesh.failing_flows import FailingFlow, case_name
from meshdoctor.model.moment import clock
from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.short_names import short_host
from meshdoctor.present.table import Cell, Column, Row
from meshdoctor.present.words import Words

COLUMNS = (
    Column("count", "FAILS", 5, priority=0, align="right", order="number"),
    Column("code", "CODE", 4, priority=0, order="number"),
    Column("flags", "FLAGS", 6, flex=1, widest=10, priority=0),
    Column("name", "FROM", 14, flex=1, widest=40, priority=0, elide="middle"),
    Column("to", "TO", 24, flex=2, widest=60, priority=0, elide="middle"),
    Column("side", "SEEN BY", 11, priority=1),
    Column("first", "FIRST UTC", 9, priority=2),
    Column("last", "LAST UTC", 8, priority=1),
    Column("details", "DETAILS", 30, flex=3, priority=3),
)


def traffic_rows(flows: Iterable[FailingFlow], words: Words) -> list[Row]:
    """A row per kind of failure; Enter opens the guide for its flow."""
    rows = []
    for number, flow in enumerate(flows):
        cells: tuple[Cell, ...] = (
            str(flow.count),
            Text(
                str(flow.code) if flow.code else "-",
                "severity.high" if flow.code >= 500 or not flow.code else "severity.med",
            ),
            ",".join(flow.flags) or "-",
            flow.client,
            short_host(flow.target),
            words(f"traffic.{flow.example.side}"),
            "-" if flow.first is None else clock(flow.first),
            "-" if flow.last is None else clock(flow.last),
            flow.details or "-",
        )
        name = case_name(flow.case)
        rows.append(Row(f"{number} {name}", cells, f"guide {name}", True, copies=name))
    return rows


def flow_lines(flow: FailingFlow, words: Words, width: int) -> Iterator[Cell]:
    """What the failure of *flow* means, and where the first of its lines stands."""
    seen = flow.example
    yield from (
        Text(line, "title")
        for line in wrap(f"{flow.client} -> {flow.target}  {flow.details}".rstrip(), "   ", " ", width=width)
    )
    found = explain_line(seen.access, words.language) if seen.access else ()
    found = explain_ztunnel_line(seen.tunnel, words.language) if seen.tunnel else found
    for one in found:
        if one.text != "-":
            yield from wrap(f"{one.text or '-'}: {one.means} {' '.join(one.notes)}", "   ", " ", width=width)
    yield Text(f" {words('traffic.example', file=seen.file, line=seen.line)}", "quiet")
