"""Who would reach whom: clients in rows, service ports in columns, one outcome a cell.

Clients that istiod configures alike share their cells, so a matrix costs groups times services, not pods times pods.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from meshdoctor.mesh.mtls import outcome as outcomes
from meshdoctor.mesh.mtls.client import NO_CLUSTER, ClientTls
from meshdoctor.mesh.mtls.declared import DeclaredMtls, Pair
from meshdoctor.mesh.workloads import Peer

NO_ENDPOINT, MIXED = "no-endpoint", "mixed"


class Cell(NamedTuple):
    """One client group against one service port: the *outcome* of its worst endpoint, and all pairs."""

    outcome: str
    tls: ClientTls
    pairs: tuple[Pair, ...]

    @property
    def fails(self) -> bool:
        return self.outcome in outcomes.FAILURES

    @property
    def failing(self) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.pairs if pair.fails)


class Column(NamedTuple):
    """A service port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Matrix(NamedTuple):
    """*cells* by row name and column; every row has every column."""

    rows: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: Mapping[tuple[str, Column], Cell]

    def failures(self) -> list[tuple[str, Column, Cell]]:
        """Every cell that fails, in the order of the table."""
        return [
            (row, column, cell)
            for row in self.rows
            for column in self.columns
            if (cell := self.cells[row, column]).fails
        ]


def all_columns(mtls: DeclaredMtls) -> tuple[Column, ...]:
    """Every TCP port of every service, by host and port."""
    return tuple(
        sorted(
            {
                Column(service.host, port.number)
                for service in mtls.objects.registry.services
                for port in service.ports
                if port.protocol != "UDP"
            }
        )
    )


def matrix(mtls: DeclaredMtls, rows: Mapping[str, Sequence[Peer]], columns: Iterable[Column]) -> Matrix:
    """Cells for *rows* (a name, usually a workload's, and its pods); the worst pod of a row speaks for it."""
    columns = tuple(columns)
    shared: dict[tuple[object, ...], dict[Column, Cell]] = {}
    judged: dict[tuple[object, ...], Cell] = {}
    cells: dict[tuple[str, Column], Cell] = {}
    for name, peers in rows.items():
        lines = []
        for group, peer in {mtls.group(peer): peer for peer in reversed(peers)}.items():
            if group not in shared:
                shared[group] = {column: _cell(mtls, peer, column, judged) for column in columns}
            lines.append(shared[group])
        if len(lines) == 1:
            cells.update({(name, column): cell for column, cell in lines[0].items()})
        else:
            cells.update({(name, column): _worst([line[column] for line in lines]) for column in columns})
    return Matrix(tuple(rows), columns, cells)


def _cell(mtls: DeclaredMtls, client: Peer, column: Column, judged: dict[tuple[object, ...], Cell]) -> Cell:
    """A cell; clients with the very same settings and the same way of sending them share it (and its pairs)."""
    tls = mtls.clients.of(client, column.host, column.port)
    key = (id(tls), *mtls.group(client)[1:])
    if key not in judged:
        judged[key] = _judge(*mtls.against(client, column.host, column.port))
    return judged[key]


def _judge(tls: ClientTls, pairs: tuple[Pair, ...]) -> Cell:
    if not pairs:
        return Cell(NO_CLUSTER if tls.tls == NO_CLUSTER else NO_ENDPOINT, tls, ())
    found = {pair.outcome for pair in pairs}
    failures = sorted(found & outcomes.FAILURES)
    if failures:
        return Cell(failures[0], tls, pairs)
    return Cell(found.pop() if len(found) == 1 else MIXED, tls, pairs)


def _worst(cells: Sequence[Cell]) -> Cell:
    failing = next((cell for cell in cells if cell.fails), None)
    if failing:
        return failing
    return cells[0] if len({cell.outcome for cell in cells}) == 1 else cells[0]._replace(outcome=MIXED)
