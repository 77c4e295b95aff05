"""The matrix with its disagreements cell by cell: what a view of it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from meshdoctor.errors import NothingMatches
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.mtls.findings import findings
from meshdoctor.mesh.mtls.matrix import Cell, Column, Matrix, all_columns
from meshdoctor.mesh.mtls.patterns import Disagreement
from meshdoctor.mesh.mtls.view import MtlsView

Place = tuple[str, Column]


class Survey(NamedTuple):
    """A matrix, all disagreements that concern it, and those of each cell."""

    view: MtlsView
    matrix: Matrix
    findings: tuple[Disagreement, ...]
    by_cell: Mapping[Place, tuple[Disagreement, ...]]

    def problem(self, place: Place) -> bool:
        """Whether the two sides of a cell disagree in any of the three columns."""
        return self.matrix.cells[place].fails or place in self.by_cell


def survey(index: MeshIndex, only: str = "") -> Survey:
    """Everybody, or the clients that *only* (a namespace or `namespace/workload`) names; their proxies must be read.

    Raises:
        NothingMatches: nothing is called *only*.
    """
    view = index.derived(MtlsView)
    names = {*view.workloads, *(name.partition("/")[0] for name in view.workloads)}
    if only and only not in names:
        raise NothingMatches(f"no workload or namespace is called {only}", tuple(get_close_matches(only, names, n=1)))
    matrix = view.matrix(only)
    whole = view.whole(only)
    found = tuple(filter(concerns(view, matrix, only), findings(view, whole)))
    return Survey(view, matrix, found, _by_cell(view, matrix, found))


def survey_of_pair(index: MeshIndex, client: str, target: str) -> Survey:
    """One client, and the ports of the service that *target* (`host[:port]`, as the client would name it) names.

    Raises:
        NothingMatches: there is no such client or service port.
    """
    view = index.derived(MtlsView)
    if client not in view.workloads:
        near = get_close_matches(client, view.workloads, n=1)
        raise NothingMatches(f"no workload is called {client}", tuple(near))
    columns = columns_of(view, client, target)
    matrix = view.matrix(client, columns)
    matrix = Matrix((client,), columns, matrix.cells)
    by_cell = _by_cell(view, matrix, findings(view, matrix))
    return Survey(view, matrix, tuple(dict.fromkeys(one for found in by_cell.values() for one in found)), by_cell)


def columns_of(view: MtlsView, client: str, target: str) -> tuple[Column, ...]:
    """The ports of the service that *target* (`host[:port]`) names for *client* (`namespace[/workload]`, or nobody).

    The host is what the client's resolver would find; where it finds nothing, and for nobody, any host that begins so.

    Raises:
        NothingMatches: there is none; it carries the nearest.
    """
    asked, _, port = target.partition("/")[0].rpartition(":") if ":" in target else (target, "", "")
    asked = asked.lower()
    columns = all_columns(view.declared)
    host = view.declared.host(asked, client.partition("/")[0])
    found = [column for column in columns if column.host == host]
    if not found or not client:
        found = [column for column in columns if column.host == host or column.host.startswith(f"{asked}.")]
    found = [column for column in found if port in ("", str(column.port))]
    if not found:
        raise NothingMatches(f"no service port is called {target}", _near(asked, columns))
    return tuple(found)


def _near(asked: str, columns: Sequence[Column]) -> tuple[str, ...]:
    """Ports of services that are spelt like *asked*, by the part of the host that a person writes."""
    depth = asked.count(".") + 1
    names: dict[str, list[str]] = {}
    for column in columns:
        parts = column.host.split(".")
        shown = ".".join(parts[:2]) if ".svc." in column.host else column.host
        for key in {".".join(parts[:depth]), shown}:
            names.setdefault(key, []).append(f"{shown}:{column.port}")
    close = [asked] if asked in names else get_close_matches(asked, sorted(names), 3, 0.5)
    return tuple(dict.fromkeys(name for key in close for name in names[key]))[:3]


def concerns(view: MtlsView, matrix: Matrix, only: str, *, one_service: bool = False) -> Callable[[Disagreement], bool]:
    """Which disagreements belong to what was asked for: to the clients of *only* (everybody when it is empty), as
    client or as server, or to no client and lying in their namespace; of *one_service*, those of the matrix' columns.
    """
    spaces = {name.partition("/")[0] for name in matrix.rows}
    hosts = {column.host for column in matrix.columns}
    ends = {pair.endpoint.endpoint.name for cell in matrix.cells.values() for pair in cell.pairs}

    def concerned(found: Disagreement) -> bool:
        if only and found.client not in matrix.rows and _workload(view, found) not in matrix.rows:
            return not found.client and any(
                text.partition(" ")[2].partition("/")[0] in spaces for text in found.objects
            )
        return not one_service or found.host in hosts or found.server in ends

    return concerned


def _server(view: MtlsView, found: Disagreement) -> str:
    """The key of a disagreement's server, which is named with its port or without; "" for none that is known."""
    for name in (found.server, found.server.rpartition(":")[0]):
        if name in view.objects.peers:
            return name
    return ""


def _workload(view: MtlsView, found: Disagreement) -> str:
    key = _server(view, found)
    return view.workload(key) if key else ""


def _by_cell(
    view: MtlsView, matrix: Matrix, found: tuple[Disagreement, ...]
) -> Mapping[Place, tuple[Disagreement, ...]]:
    lists: dict[Place, list[Disagreement]] = {}
    behind = _columns_by_server(matrix)
    for entry in found:
        for place in dict.fromkeys(_places(view, matrix, behind, entry)):
            lists.setdefault(place, []).append(entry)
    return {place: tuple(entries) for place, entries in lists.items()}


def _places(
    view: MtlsView, matrix: Matrix, behind: Mapping[str, tuple[Column, ...]], found: Disagreement
) -> Iterator[Place]:
    if found.host:
        place = (found.client, Column(found.host, found.port))
        if place in matrix.cells:
            yield place
        return
    server = _server(view, found)
    if not server or not found.client:
        return
    # A disagreement of one pod with itself (its certificate, its dump) is met by everybody who calls it.
    own = view.workload(server) == found.client
    for row in matrix.rows:
        if own or row == found.client:
            for column in behind.get(server, ()):
                if server in _servers(matrix.cells[row, column]):
                    yield row, column


def _servers(cell: Cell) -> Iterator[str]:
    return (pair.endpoint.endpoint.peer.key for pair in cell.pairs if pair.endpoint.endpoint.peer is not None)


def _columns_by_server(matrix: Matrix) -> Mapping[str, tuple[Column, ...]]:
    """The columns that a pod stands behind for some client."""
    found: dict[str, dict[Column, None]] = {}
    done: set[int] = set()
    for (_, column), cell in matrix.cells.items():
        if id(cell) not in done:
            done.add(id(cell))
            for key in _servers(cell):
                found.setdefault(key, {})[column] = None
    return {key: tuple(columns) for key, columns in found.items()}
