"""The mTLS matrix, its disagreements and its servers as rows: problems first, one word a cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from meshdoctor.mesh.mtls.matrix import Cell as Pairs
from meshdoctor.mesh.mtls.matrix import Column as Port
from meshdoctor.mesh.mtls.patterns import Disagreement
from meshdoctor.mesh.mtls.survey import Place, Survey
from meshdoctor.mesh.mtls.view import MtlsView
from meshdoctor.model.kinds import BY_NAME
from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.mtls import WORDS, column_names
from meshdoctor.present.short_names import short_host
from meshdoctor.present.table import Cell, Column, Row
from meshdoctor.present.words import Words

TABLES = ("matrix", "disagreements", "servers")
"""The names of the view's tables, in the order of their digit keys."""
LEAST, WIDEST = 7, 16
"""Cells of a column of the matrix."""
CLIENT_WIDEST = 34

COLUMNS: dict[str, tuple[Column, ...]] = {
    "disagreements": (
        Column("name", "NAME", 11, priority=0),
        Column("seen", "SEEN", 5, priority=1, align="right", order="number"),
        Column("client", "CLIENT", 14, flex=1, widest=36, priority=0, elide="middle"),
        Column("to", "TO", 16, flex=2, widest=60, priority=0, elide="middle"),
        Column("why", "WHY", 24, flex=3, priority=2),
    ),
    "servers": (
        Column("name", "SERVER", 16, flex=1, widest=40, priority=0, elide="middle"),
        Column("port", "PORT", 5, priority=0, align="right", order="number"),
        Column("declared", "DECLARED", 10, priority=0),
        Column("configured", "CONFIGURED", 10, priority=0),
        Column("observed", "OBSERVED", 14, flex=1, widest=24, priority=1),
        Column("why", "WHY", 20, flex=3, priority=2),
    ),
}


class MtlsTables(NamedTuple):
    """The rows of each table; *columns* are those of the matrix; *missing* could not be read, a line each."""

    survey: Survey
    columns: tuple[Column, ...]
    rows: dict[str, tuple[Row, ...]]
    missing: tuple[str, ...]


def mtls_tables(survey: Survey, words: Words) -> MtlsTables:
    """Every table of *survey*: the clients and services that disagree most come first."""
    matrix = survey.matrix
    problems = [place for place in matrix.cells if survey.problem(place)]
    by_row, by_port = _weights(survey, problems)
    names = sorted(matrix.rows, key=lambda name: (*by_row.get(name, _NOTHING), name))
    ports = sorted(matrix.columns, key=lambda port: (*by_port.get(port, _NOTHING), port))
    short = column_names(ports)
    client = max([cell_len(name) for name in names] or [0])
    columns = (
        Column("name", "CLIENT", max(6, min(client, CLIENT_WIDEST)), priority=0, elide="middle"),
        *(Column(str(port), short[port], _width(survey, port, short[port]), priority=0) for port in ports),
    )
    drawn: dict[int, Cell] = {}
    rows = tuple(
        Row(name, (name, *(_cell(survey, (name, port), drawn) for port in ports)), "", name in by_row) for name in names
    )
    tables = {
        "matrix": rows,
        "disagreements": tuple(_disagreement_rows(survey, words)),
        "servers": tuple(_server_rows(survey.view, names, words)),
    }
    return MtlsTables(survey, columns, tables, survey.view.missing)


_NOTHING = (0, 0)


def _weights(
    survey: Survey, problems: Iterable[Place]
) -> tuple[dict[str, tuple[int, int]], dict[Port, tuple[int, int]]]:
    """By client and by service port: failures that were seen and cells that disagree, both negative, for sorting."""
    by_row: dict[str, tuple[int, int]] = {}
    by_port: dict[Port, tuple[int, int]] = {}
    for place in problems:
        row, port = place
        seen = sum(found.seen or 0 for found in survey.by_cell.get(place, ()))
        by_row[row] = (by_row.get(row, _NOTHING)[0] - seen, by_row.get(row, _NOTHING)[1] - 1)
        by_port[port] = (by_port.get(port, _NOTHING)[0] - seen, by_port.get(port, _NOTHING)[1] - 1)
    return by_row, by_port


def _width(survey: Survey, port: Port, name: str) -> int:
    longest = max((len(cell_word(survey, (row, port))) for row in survey.matrix.rows), default=0)
    return max(LEAST, longest, min(cell_len(name), WIDEST))


def cell_word(survey: Survey, place: Place) -> str:
    """What becomes of a connection, or the name of what is wrong where the objects alone would let it pass."""
    cell = survey.matrix.cells[place]
    found = survey.by_cell.get(place, ())
    return found[0].pattern.name if found and not cell.fails else WORDS.get(cell.outcome, cell.outcome)


def word_style(survey: Survey, place: Place) -> str:
    """How serious a cell is: known to be hit, known to be wrong, in order."""
    found = survey.by_cell.get(place, ())
    if not survey.problem(place):
        return "quiet" if survey.matrix.cells[place].pairs == () else ""
    return "severity.med" if found and all(entry.seen == 0 for entry in found) else "severity.high"


def _cell(survey: Survey, place: Place, drawn: dict[int, Cell]) -> Cell:
    """The word, coloured when it is no good; cells that are one in the matrix are one here, too."""
    if place in survey.by_cell:
        return Text(cell_word(survey, place), word_style(survey, place))
    cell = survey.matrix.cells[place]
    if id(cell) not in drawn:
        word, style = cell_word(survey, place), word_style(survey, place)
        drawn[id(cell)] = Text(word, style) if style else word
    return drawn[id(cell)]


def _disagreement_rows(survey: Survey, words: Words) -> Iterator[Row]:
    """A row for each disagreement of two sides, whatever the number of its endpoints."""
    groups: dict[tuple[object, ...], list[Disagreement]] = {}
    for found in survey.findings:
        groups.setdefault((found.pattern, found.client, _towards(found), found.objects), []).append(found)
    keys: dict[str, int] = {}
    for group in groups.values():
        found = max(group, key=lambda entry: entry.seen or 0)
        counted = [entry.seen for entry in group if entry.seen is not None]
        style = "severity.med" if found.server or found.client else "severity.low"
        cells = (
            Text(found.pattern.name, "severity.high" if found.seen else style),
            str(sum(counted)) if counted else "-",
            found.client or "-",
            short_host(_towards(found)) or "-",
            words.said(found.says),
        )
        key = f"{found.pattern.name} {found.client} {_towards(found)}"
        count = keys[key] = keys.get(key, 0) + 1
        yield Row(
            key if count == 1 else f"{key} #{count}",
            cells,
            _leads(survey, found),
            bool(found.seen),
            words.said(found.says),
        )


def _towards(found: Disagreement) -> str:
    """What the client would reach; the objects where it is no matter of two sides."""
    target = f"{found.host}:{found.port}" if found.host and found.port else found.host or found.server
    return target or ", ".join(found.objects)


def _leads(survey: Survey, found: Disagreement) -> str:
    if found.client in survey.matrix.rows and found.host and found.port:
        return f"pair {found.client} {found.host}:{found.port}"
    return next((command for text in found.objects if (command := object_command(text))), "")


def object_command(text: str) -> str:
    """The command that opens `Kind namespace/name`; empty when that kind is not read."""
    return f"object {text}" if text.partition(" ")[0] in BY_NAME else ""


def _server_rows(view: MtlsView, names: Sequence[str], words: Words) -> Iterator[Row]:
    """What each workload takes, port by port: by the objects, by its proxies, and what was seen to come."""
    for name in names:
        for peer in view.workloads.get(name, ())[:1]:
            declared, held = view.declared.servers.of(peer), view.configured_server(peer.key)
            ports = sorted({*declared.ports, *(number for _, number, _ in peer.ports)})
            for port in (*ports, 0):
                mode = declared.at(port) if port else declared.other
                own = (held.at(port) if port else held.other) if held else None
                differs = bool(own) and own != mode.mode
                configured: Cell = "-" if own is None else Text(own, "severity.high") if differs else own or "?"
                pods = [each.key for each in view.workloads[name]]
                seen = [one for key in pods for one in view.callers.get((key, port), {}).values()] if port else []
                counts = {
                    "mTLS": sum(one.mtls for one in seen),
                    "plain": sum(one.plaintext for one in seen),
                    "refused": sum(one.refused + one.garbled for one in seen),
                }
                observed = " ".join(f"{word} {count}" for word, count in counts.items() if count) or "-"
                cells = (
                    name,
                    str(port) if port else words.said("other"),
                    mode.mode,
                    configured,
                    observed,
                    words.said(mode.reason),
                )
                target = next((command for text in mode.objects if (command := object_command(text))), "")
                yield Row(f"{name}:{port}", cells, target, differs or bool(counts["refused"]))


def cell_lines(survey: Survey, place: Place, words: Words, width: int) -> Iterator[Cell]:
    """The cell under the cursor in few lines: its word, what both sides declare, what is wrong."""
    cell = survey.matrix.cells[place]
    found = survey.by_cell.get(place, ())
    word = cell_word(survey, place)
    means = words(f"mtls.word.{cell.outcome}") if f"mtls.word.{cell.outcome}" in words else cell.outcome
    yield Text.assemble(
        f" {place[0]} -> {short_host(str(place[1]))}  ", (word, word_style(survey, place) or "title"), f"  {means}"
    )
    for name, text in _sides(cell, words):
        yield from wrap(f"{words(f'mtls.{name}')}: {text}", "   ", " ", width=width)
    for entry in found:
        yield from wrap(
            f"{entry.pattern.name}: {pattern_text(entry, words)}; {words.said(entry.says)}", "   ", " ", width=width
        )


def _sides(cell: Pairs, words: Words) -> Iterator[tuple[str, str]]:
    """What the client and the worst endpoint's server declare."""
    pair = next(iter((*cell.failing, *cell.pairs)), None)
    if pair is None:
        yield "client", words.said(cell.tls.reasons[0]) if cell.tls.reasons else cell.tls.tls
        return
    yield "client", f"{pair.endpoint.tls} ({words.said(pair.endpoint.reason)})"
    if pair.server is not None:
        yield "server", f"{pair.server.mode} ({words.said(pair.server.reason)})"


def pattern_text(found: Disagreement, words: Words) -> str:
    """What the name of a disagreement means."""
    key = f"mtls.pattern.{found.pattern.name}"
    return words(key) if key in words and words.language != "en" else found.pattern.value
