"""The mTLS matrix and its disagreements as lines: one word a cell, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len

from meshdoctor.mesh.mtls import outcome as outcomes
from meshdoctor.mesh.mtls.client import NO_CLUSTER
from meshdoctor.mesh.mtls.declared import Pair
from meshdoctor.mesh.mtls.matrix import MIXED, NO_ENDPOINT, Cell, Column, Matrix
from meshdoctor.mesh.mtls.patterns import Disagreement
from meshdoctor.mesh.mtls.peer_authentication import UNKNOWN
from meshdoctor.mesh.mtls.view import MtlsView
from meshdoctor.present.explanation_text import wrap
from meshdoctor.present.table import Column as TableColumn
from meshdoctor.present.table import Row, format_table
from meshdoctor.present.words import Words

WORDS = {
    outcomes.OK_MTLS: "mTLS",
    outcomes.OK_PLAINTEXT: "plain",
    outcomes.OK_TLS: "TLS",
    MIXED: "mixed",
    outcomes.PLAINTEXT_TO_STRICT: "REFUSED",
    outcomes.MTLS_TO_PLAINTEXT: "BROKEN",
    outcomes.OTHER: "BADTLS",
    outcomes.EXTERNAL: "outside",
    UNKNOWN: "?",
    NO_ENDPOINT: "empty",
    NO_CLUSTER: "-",
}
"""One word a cell; those in capitals fail."""


def legend_lines(words: Words) -> list[str]:
    """What the words of the matrix mean."""
    return [words(f"mtlstext.legend{number}") for number in (1, 2, 3)]


def column_names(columns: Sequence[Column]) -> dict[Column, str]:
    """The shortest name of each service port that is still its own: `cart:80`, or `cart.shop:80` where two have one."""
    names: dict[Column, str] = {}
    for depth in (1, 2, 3):
        short = {column: f"{'.'.join(column.host.split('.')[:depth])}:{column.port}" for column in columns}
        counts: dict[str, int] = {}
        for name in short.values():
            counts[name] = counts.get(name, 0) + 1
        names.update({c: name for c, name in short.items() if counts[name] == 1 and c not in names})
    return {column: names.get(column, str(column)) for column in columns}


def matrix_lines(matrix: Matrix, words: Words, width: int = 80) -> list[str]:
    """The table in as many blocks of columns as it takes, none wider than *width* cells."""
    if not matrix.rows or not matrix.columns:
        return list(wrap(words("mtlstext.no_service" if matrix.rows else "mtlstext.no_client"), width=width))
    names = column_names(matrix.columns)
    heading = words("mtlstext.client")
    first = min(max(cell_len(text) for text in (heading, *matrix.rows)), width // 2)
    lines: list[str] = []
    for block in _blocks(matrix.columns, names, width - first):
        table = [TableColumn("client", heading, first, priority=0, elide="middle")]
        table += [TableColumn(str(column), names[column], _cell_width(names[column]), priority=0) for column in block]
        rows = [Row(name, (name, *(word(matrix.cells[name, column]) for column in block))) for name in matrix.rows]
        lines += [*([""] if lines else []), *format_table(table, rows, width)]
    return lines


def word(cell: Cell) -> str:
    return WORDS.get(cell.outcome, cell.outcome)


def _cell_width(name: str) -> int:
    return max(cell_len(name), 7)


def _blocks(columns: Sequence[Column], names: dict[Column, str], room: int) -> list[list[Column]]:
    blocks: list[list[Column]] = [[]]
    left = room
    for column in columns:
        need = _cell_width(names[column]) + 1
        if need > left and blocks[-1]:
            blocks.append([])
            left = room
        blocks[-1].append(column)
        left -= need
    return blocks


def finding_lines(findings: Iterable[Disagreement], words: Words, width: int = 80) -> list[str]:
    """Disagreements, those with one cause together: who, what, why, and what to change."""
    groups: dict[tuple[object, ...], list[Disagreement]] = {}
    for found in findings:
        key = (found.pattern, found.host, found.port, found.objects if found.server else found.says)
        groups.setdefault(key, []).append(found)
    lines: list[str] = [words("mtlstext.patterns")] if groups else []
    for group in groups.values():
        lines += _group_lines(group, words, width)
    return lines


def _group_lines(group: Sequence[Disagreement], words: Words, width: int) -> list[str]:
    first = max(group, key=lambda entry: entry.seen or 0)
    clients = tuple(dict.fromkeys(entry.client for entry in group if entry.client))
    servers = tuple(dict.fromkeys(entry.server for entry in group if entry.server))
    where = f"{first.host}:{first.port}" if first.host and first.port else first.host or _some(servers, words)
    who = f"{_some(tuple(dict.fromkeys((first.client, *clients))), words)} -> {where}" if clients else where
    lines = list(wrap(who, "    ", f"{first.pattern.name}  ", width))
    seen = [entry.seen for entry in group if entry.seen is not None]
    if clients:
        lines.append("    " + (words("mtls.seen", count=sum(seen)) if seen else words("mtls.not_logged")))
    meaning = words(f"mtls.pattern.{first.pattern.name}") if words.language == "ko" else first.pattern.value
    for text in (
        meaning,
        words.said(first.says),
        f"{words('mtls.change')}: {words.said(first.remedy)}" if first.remedy else "",
    ):
        lines += wrap(text, "      ", "    ", width)
    if first.objects:
        lines += wrap(f"{words('mtls.objects')}: {', '.join(first.objects)}", "      ", "    ", width)
    return lines


def _some(names: Sequence[str], words: Words) -> str:
    if not names:
        return words.said("the mesh")
    return names[0] if len(names) == 1 else words.said(f"{names[0]} and {len(names) - 1} more")


def why_lines(view: MtlsView, row: str, column: Column, cell: Cell, words: Words, width: int = 80) -> list[str]:
    """One cell in full: what the objects declare, what the proxies hold, what was seen, endpoint by endpoint."""
    tls = cell.tls
    lines = [f"{row} -> {column}   {word(cell)}"]
    details = [f"{words('mtls.client')}: {tls.tls}"]
    if tls.cluster_type:
        details.append(f"cluster {tls.cluster_type}")
    details += [f"SNI {tls.sni}"] if tls.sni else []
    details += [f"{words('mtls.accepts')} {', '.join(tls.sans)}"] if tls.sans else []
    lines += _indented(", ".join(details), 1, width)
    for reason in tls.reasons:
        lines += _indented(words.said(reason), 2, width)
    clients = view.workloads.get(row, ())
    for client in clients:
        held = view.configured_client(client.key, column)
        if held is not None:
            rule = f", by DestinationRule {held.rule}" if held.rule else ""
            text = words.said(f"held by {client.key}: {held.tls}, cluster {held.cluster_type}{rule}")
            lines += _indented(text, 1, width)
    for pair in cell.pairs:
        lines += _pair_lines(view, tuple(client.key for client in clients), pair, words, width)
    return [*lines, *subset_lines(view, row, column, cell, words, width)]


def subset_lines(view: MtlsView, row: str, column: Column, cell: Cell, words: Words, width: int = 80) -> list[str]:
    """The subsets that the rule in force defines, each with its TLS and what becomes of its endpoints."""
    lines: list[str] = []
    for subset in cell.tls.rule.subsets if cell.tls.rule else ():
        client = view.workloads[row][0]
        tls, pairs = view.declared.against(client, column.host, column.port, subset.name)
        outcomes = ", ".join(dict.fromkeys(WORDS.get(pair.outcome, pair.outcome) for pair in pairs))
        text = (
            f"subset {subset.name}: {tls.tls}, {outcomes or words.said('no endpoint')} ({words.said(tls.reasons[0])})"
        )
        lines += _indented(text, 1, width)
    return lines


def server_lines(view: MtlsView, names: Iterable[str], words: Words, width: int = 80) -> list[str]:
    """What workloads accept, port by port: by the objects, and by their proxies where a dump was read."""
    rows = []
    for name in names:
        for peer in view.workloads.get(name, ())[:1]:
            found = view.declared.servers.of(peer)
            held = view.configured_server(peer.key)
            own = {number for _, number, _ in peer.ports}
            for port in sorted({*found.ports, *own}):
                mode = found.at(port)
                rows.append(
                    (name, str(port), mode.mode, (held.at(port) or "?") if held else "-", words.said(mode.reason))
                )
            own_other = (held.other or "?") if held else "-"
            rows.append((name, words.said("other"), found.other.mode, own_other, words.said(found.other.reason)))
    columns = [
        TableColumn("server", words("mtlstext.server"), 12, flex=1, widest=width // 3, priority=0, elide="middle"),
        TableColumn("port", words("mtlstext.port"), 5, priority=0),
        TableColumn("declared", words("mtlstext.declared"), 8, priority=0),
        TableColumn("configured", words("mtlstext.configured"), 10, priority=0),
        TableColumn("why", words("mtlstext.why"), 20, flex=3, priority=0),
    ]
    return format_table(columns, [Row(f"{row[0]}:{row[1]}", row) for row in rows], width) if rows else []


def _pair_lines(view: MtlsView, clients: Sequence[str], pair: Pair, words: Words, width: int) -> list[str]:
    endpoint = pair.endpoint.endpoint
    lines = list(wrap(WORDS.get(pair.outcome, pair.outcome), "    ", f"  {endpoint.name}   ", width))
    declared = words("mtls.declared")
    text = f"{declared}: {words('mtls.sends')} {pair.endpoint.tls} ({words.said(pair.endpoint.reason)})"
    lines += _indented(text, 2, width)
    server = pair.server
    if server is None or endpoint.peer is None:
        return lines
    text = f"{declared}: {words('mtls.takes')} {server.mode} ({words.said(server.reason)})"
    lines += _indented(text, 2, width)
    for ignored in server.ignored:
        lines += _indented(words.said(str(ignored)), 2, width)
    held = view.configured_server(endpoint.peer.key)
    if held is not None:
        mode = held.at(endpoint.port) or words.said("an unknown shape")
        lines += _indented(f"{words('mtls.configured')}: {words('mtls.takes')} {mode}", 2, width)
    for caller, seen in view.callers.get((endpoint.peer.key, endpoint.port), {}).items():
        if caller in clients:
            counts = ", ".join(f"{name} {value}" for name, value in seen._asdict().items() if value and name != _LAST)
            told = words("mtls.from", caller=caller, counts=counts)
            lines += _indented(f"{words('mtls.observed')} {told}", 2, width)
    callers = {view.workload(key) for key in clients}
    for (source, host), policies in view.counted(endpoint.peer.key).items():
        if source in callers and host == pair.tls.host:
            counts = f"mutual_tls {policies.mutual_tls:.0f}, none {policies.none:.0f}"
            lines += _indented(words("mtls.counted", caller=source, counts=counts), 2, width)
    own = view.identity(endpoint.peer.key)
    if own is not None:
        lines += _indented(f"{words('mtls.certificate')}: {own.spiffe}", 2, width)
    return lines


_LAST = "last_failure"


def _indented(text: str, depth: int, width: int) -> list[str]:
    indent = "  " * depth
    return list(wrap(text, indent + "  ", indent, width))
