"""Why two workloads do or do not agree on mTLS, as rows: declared, configured and observed, each with its objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from meshdoctor.mesh.mtls.declared import Pair
from meshdoctor.mesh.mtls.matrix import Column as Port
from meshdoctor.mesh.mtls.patterns import Disagreement
from meshdoctor.mesh.mtls.survey import Survey
from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.mtls import WORDS
from meshdoctor.present.mtls_rows import cell_word, object_command, pattern_text, word_style
from meshdoctor.present.table import Cell, Column, Row
from meshdoctor.present.words import Words

LABEL = 12
COLUMNS = (
    Column("column", "", LABEL, priority=0),
    Column("what", "", 30, flex=1, priority=0),
)
_FAILED = "last_failure"


class _Outline:
    """Collects rows; every text is wrapped to the width, and all its rows lead to the same place."""

    def __init__(self, words: Words, width: int) -> None:
        self.words = words
        self.width = max(20, width - LABEL - 3)
        self.rows: list[Row] = []

    def line(self, label: Cell, text: str, *, style: str = "", target: str = "", depth: int = 0) -> None:
        """One text under one label of the three columns."""
        indent = "  " * depth
        for number, part in enumerate(wrap(text, indent + "  ", indent, width=self.width)):
            cell: Cell = Text(part, style) if style else part
            shown: Cell = label if number == 0 else ""
            self.rows.append(Row(str(len(self.rows)), (shown, cell), target, False, text))

    def label(self, name: str) -> Text:
        """One of the three columns by its name."""
        return Text(self.words(f"mtls.{name}"), "quiet")

    def gap(self) -> None:
        """An empty row."""
        self.rows.append(Row(str(len(self.rows)), ("", "")))


def why_rows(survey: Survey, words: Words, width: int) -> list[Row]:
    """Every cell of a survey (of one client) in full."""
    outline = _Outline(words, width)
    for row in survey.matrix.rows:
        for port in survey.matrix.columns:
            if outline.rows:
                outline.gap()
            _cell(outline, survey, row, port)
    return outline.rows


def _cell(outline: _Outline, survey: Survey, row: str, port: Port) -> None:
    words, view, place = outline.words, survey.view, (row, port)
    cell = survey.matrix.cells[place]
    word = Text(cell_word(survey, place), word_style(survey, place) or "title")
    outline.line(word, f"{row} -> {port}", style="title", target=f"mtls {row}")
    means = f"mtls.word.{cell.outcome}"
    outline.line("", words(means) if means in words else cell.outcome)
    groups: dict[tuple[object, ...], list[Disagreement]] = {}
    for found in survey.by_cell.get(place, ()):
        groups.setdefault((found.pattern, found.objects), []).append(found)
    for group in groups.values():
        _disagreement(outline, group)
    outline.gap()
    tls = cell.tls
    details = [tls.tls, f"cluster {tls.cluster_type}" if tls.cluster_type else "", f"SNI {tls.sni}" if tls.sni else ""]
    details.append(f"{words('mtls.accepts')} {', '.join(tls.sans)}" if tls.sans else "")
    rule = f"object DestinationRule {tls.rule.name}" if tls.rule else ""
    outline.line(outline.label("declared"), f"{words('mtls.client')}: {', '.join(filter(None, details))}", target=rule)
    for reason in tls.reasons:
        outline.line("", words.said(reason), target=rule, depth=1)
    for subset in tls.rule.subsets if tls.rule else ():
        sent, pairs = view.declared.against(view.workloads[row][0], port.host, port.port, subset.name)
        outcomes = ", ".join(dict.fromkeys(WORDS.get(pair.outcome, pair.outcome) for pair in pairs)) or "-"
        outline.line(
            "", f"subset {subset.name}: {sent.tls}, {outcomes} ({words.said(sent.reasons[0])})", target=rule, depth=1
        )
    for client in view.workloads.get(row, ()):
        held = view.configured_client(client.key, port)
        if held is not None:
            by = f", DestinationRule {held.rule}" if held.rule else ""
            text = f"{client.key}: {held.tls}, cluster {held.cluster_type}{by}"
            name = f"outbound|{port.port}||{port.host}"
            outline.line(outline.label("configured"), text, target=f"proxy {client.key} clusters {name}")
    for pair in cell.pairs:
        _pair(outline, survey, row, pair)


def _disagreement(outline: _Outline, group: Sequence[Disagreement]) -> None:
    """One disagreement, whatever the number of endpoints that it is met at."""
    words = outline.words
    found = max(group, key=lambda entry: entry.seen or 0)
    counted = [entry.seen for entry in group if entry.seen is not None]
    style = "severity.high" if sum(counted) or not counted else "severity.med"
    seen = words("mtls.seen", count=sum(counted)) if counted else words("mtls.not_logged")
    outline.gap()
    outline.line(Text(found.pattern.name, style), pattern_text(found, words))
    target = next((command for text in found.objects if (command := object_command(text))), "")
    outline.line("", words.said(found.says), target=target)
    outline.line("", seen, target="traffic")
    if found.remedy:
        outline.line(outline.label("change"), words.said(found.remedy), style="title", target=target)
    for number, text in enumerate(found.objects):
        outline.line(outline.label("objects") if number == 0 else "", text, target=object_command(text))


def _pair(outline: _Outline, survey: Survey, row: str, pair: Pair) -> None:
    words, view = outline.words, survey.view
    endpoint, server = pair.endpoint.endpoint, pair.server
    outline.gap()
    failing = Text(WORDS.get(pair.outcome, pair.outcome), "severity.high" if pair.fails else "title")
    pod = f"object Pod {endpoint.peer.key}" if endpoint.peer and endpoint.peer.key in view.objects.pods else ""
    outline.line(failing, endpoint.name, style="title", target=pod)
    objects = [command for text in pair.endpoint.objects if (command := object_command(text))]
    text = f"{words('mtls.sends')} {pair.endpoint.tls} ({words.said(pair.endpoint.reason)})"
    outline.line(outline.label("declared"), text, target=objects[0] if objects else "", depth=0)
    if server is None or endpoint.peer is None:
        return
    objects = [command for text in server.objects if (command := object_command(text))]
    winner = objects[0] if objects else ""
    outline.line("", f"{words('mtls.takes')} {server.mode} ({words.said(server.reason)})", target=winner)
    for ignored in server.ignored:
        outline.line("", words.said(str(ignored)), depth=1)
    held = view.configured_server(endpoint.peer.key)
    if held is not None:
        mode = held.at(endpoint.port)
        differs = bool(mode) and mode != server.mode
        text = f"{words('mtls.takes')} {mode or words('mtls.no_shape')}"
        target = f"proxy {endpoint.peer.key} listeners"
        outline.line(outline.label("configured"), text, target=target, style="severity.high" if differs else "")
    for text, target in _observed(outline, survey, row, pair):
        outline.line(outline.label("observed"), text, target=target)


def _observed(outline: _Outline, survey: Survey, row: str, pair: Pair) -> Iterator[tuple[str, str]]:
    """What was seen between the clients of *row* and the endpoint, each with what opens it."""
    view, words = survey.view, outline.words
    peer = pair.endpoint.endpoint.peer
    assert peer is not None
    clients = {client.key for client in view.workloads.get(row, ())}
    for caller, seen in view.callers.get((peer.key, pair.endpoint.endpoint.port), {}).items():
        if caller in clients:
            counts = ", ".join(f"{name} {value}" for name, value in seen._asdict().items() if value and name != _FAILED)
            yield words("mtls.from", caller=caller, counts=counts), f"log {peer.key} istio-proxy"
    for (source, host), policies in view.counted(peer.key).items():
        if source == row and host == pair.tls.host:
            counts = f"mutual_tls {policies.mutual_tls:.0f}, none {policies.none:.0f}"
            yield words("mtls.counted", caller=source, counts=counts), ""
    own = view.identity(peer.key)
    if own is not None:
        yield f"{words('mtls.certificate')} {own.spiffe}", f"proxy {peer.key} certs"
