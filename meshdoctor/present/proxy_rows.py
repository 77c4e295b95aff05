"""A proxy as five tables whose rows open each other: listeners, routes, clusters, endpoints, certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec
from rich.text import Text

from meshdoctor.mesh.ages import human_duration
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.proxy import joined_routing as routing
from meshdoctor.mesh.proxy import joined_upstreams as upstreams
from meshdoctor.mesh.proxy.joined_certificates import CertificateRow, certificate_rows
from meshdoctor.model import wants as ask
from meshdoctor.model.envoy.config_dump import PARTLY, ConfigDump
from meshdoctor.model.moment import unix
from meshdoctor.model.snapshot import PodRef, Want
from meshdoctor.present.short_names import short_cluster, short_host
from meshdoctor.present.table import Column, Row
from meshdoctor.present.users_rows import SEPARATOR

TABLES = ("listeners", "routes", "clusters", "endpoints", "certs")
"""The names of the tables, in the order of their digit keys."""

COLUMNS: dict[str, tuple[Column, ...]] = {
    "listeners": (
        Column("state", "STATE", 7, priority=3),
        Column("address", "ADDRESS", 15, flex=1, widest=40, priority=0),
        Column("port", "PORT", 5, priority=0, align="right", order="number"),
        Column("match", "MATCH", 16, flex=2, priority=2),
        Column("leads", "LEADS TO", 28, flex=3, priority=0, elide="middle"),
    ),
    "routes": (
        Column("name", "ROUTE", 8, flex=1, widest=48, priority=0),
        Column("domains", "DOMAINS", 24, flex=2, priority=1),
        Column("match", "MATCH", 12, flex=1, priority=0),
        Column("leads", "CLUSTER OR ANSWER", 22, flex=3, priority=0, elide="middle"),
        Column("origin", "FROM", 20, flex=1, priority=4),
    ),
    "clusters": (
        Column("name", "HOST", 26, flex=3, priority=0, elide="middle"),
        Column("port", "PORT", 5, priority=0, align="right", order="number"),
        Column("subset", "SUBSET", 8, flex=1, widest=20, priority=1),
        Column("direction", "DIR", 8, priority=2),
        Column("kind", "TYPE", 8, flex=1, widest=14, priority=3),
        Column("tls", "TLS", 5, priority=3),
        Column("ready", "USABLE", 7, priority=0, align="right", order="number"),
        Column("state", "STATE", 7, priority=4),
        Column("origin", "FROM", 24, flex=1, priority=5),
    ),
    "endpoints": (
        Column("state", "STATE", 5, priority=0, ranks=("DOWN", "OK")),
        Column("address", "ENDPOINT", 21, flex=1, widest=44, priority=0),
        Column("name", "CLUSTER", 24, flex=3, priority=0, elide="middle"),
        Column("pod", "POD", 18, flex=2, priority=1, elide="middle"),
        Column("requests", "RQ", 5, priority=3, align="right", order="number"),
        Column("failures", "FAIL", 4, priority=2, align="right", order="number"),
        Column("why", "WHY", 20, flex=1, priority=4),
    ),
    "certs": (
        Column("secret", "SECRET", 12, flex=1, widest=40, priority=1, elide="middle"),
        Column("kind", "KIND", 5, priority=2),
        Column("state", "STATE", 7, priority=0, ranks=("NACK", "EXPIRED", "WARMING", "EARLY", "OK")),
        Column("age", "LEFT", 6, priority=0, align="right", order="duration"),
        Column("name", "IDENTITY", 28, flex=2, priority=0, elide="middle"),
        Column("serial", "SERIAL", 12, flex=1, widest=40, priority=3),
        Column("until", "NOT AFTER", 20, priority=4),
    ),
}


class ProxyTables(NamedTuple):
    """The rows of each table that was prepared so far, and what of the dump could not be read, a line each."""

    rows: dict[str, tuple[Row, ...]]
    problems: tuple[str, ...]
    partial: bool = False
    """Whether the first table holds only its first rows yet."""
    unread: dict[str, str] = {}
    """Why of a table nothing could be read, where that is so: it is not known to be empty."""


def table_wants(pod: PodRef, table: str) -> tuple[Want[Any], ...]:
    """What must be read for one table."""
    more: dict[str, tuple[Want[Any], ...]] = {
        "certs": (ask.ProxyCertificates(pod),),
        "clusters": (ask.ProxyClusters(pod),),
        "endpoints": (ask.ProxyClusters(pod),),
    }
    return (ask.ProxyConfig(pod), *more.get(table, ()))


def table_rows(table: str, mesh: MeshIndex, pod: PodRef, config: ConfigDump, now: float) -> tuple[Row, ...]:
    """One table of a proxy; *now* (Unix seconds) is what certificates are judged by."""
    rows: Iterable[Row]
    match table:
        case "listeners":
            rows = (_listener(pod, row) for row in routing.listener_rows(config))
        case "routes":
            rows = (row for found in routing.route_rows(config) for row in _route(pod, found))
        case "clusters":
            rows = (_cluster(pod, row) for row in upstreams.cluster_rows(mesh, pod, config))
        case "endpoints":
            rows = (_endpoint(row) for row in upstreams.endpoint_rows(mesh, pod, config))
        case _:
            rows = (_certificate(pod, row, now) for row in certificate_rows(mesh, pod, config))
    return tuple(_unique(rows))


_KEPT_BY: dict[str, Callable[[Row], str]] = {
    "listeners": lambda row: row.copies,
    "routes": lambda row: row.key.partition("  ")[0],
    "clusters": lambda row: row.key,
    "endpoints": lambda row: row.key.partition("  ")[0],
}


def only(table: str, rows: Iterable[Row], name: str) -> tuple[Row, ...]:
    """The rows of *table* that belong to *name*: a listener's chains, a configuration's routes, a cluster's endpoints.

    Several names stand with commas between them.
    """
    names = set(name.split(","))
    own = _KEPT_BY.get(table)
    return tuple(row for row in rows if own is None or own(row).partition(" #")[0] in names)


def _unique(rows: Iterable[Row]) -> Iterable[Row]:
    """Rows with keys of their own: Envoy may hold one name twice (active and warming)."""
    seen: dict[str, int] = {}
    for row in rows:
        count = seen[row.key] = seen.get(row.key, 0) + 1
        yield row if count == 1 else msgspec.structs.replace(row, key=f"{row.key} #{count}")


def _state(state: str, error: str) -> Text:
    if error or state == "rejected":
        return Text("NACK", "state.nack")
    if state == PARTLY:
        return Text("PART", "warning")
    return Text(state.upper(), "state.stale") if state in ("warming", "draining") else Text("OK", "state.ok")


def _listener(pod: PodRef, row: routing.ListenerRow) -> Row:
    to = row.to if row.leads == routing.ROUTE else tuple(short_cluster(name) for name in row.to)
    leads = f"rejected: {row.error}" if row.error else ", ".join(to) or "-"
    if row.leads and not row.error:
        leads = f"{row.leads} {leads}{' (inline)' if row.inline else ''}"
    target = ""
    if row.to:
        table = "routes" if row.leads == routing.ROUTE else "clusters"
        target = f"proxy {pod} {table} {','.join(row.to)}"
    cells = (_state(row.state, row.error), row.address, str(row.port) if row.port else "-", row.match, leads)
    problem = bool(row.error) or row.state == PARTLY
    return Row(f"{row.listener}  {row.match}", cells, target, problem, copies=row.listener)


def _route(pod: PodRef, row: routing.RouteRow) -> Iterable[Row]:
    key = f"{row.config}  {row.host} {row.match}"
    for cluster in row.clusters or ("",):
        leads = short_cluster(cluster) if cluster else f"answers {row.answer}"
        target = f"proxy {pod} clusters {cluster}" if cluster else ""
        cells = (row.config or "(inline)", _domains(row.domains), row.match, leads, row.origin or "-")
        yield Row(key, cells, target, not cluster and row.answer not in ("redirect",), copies=row.config)


def _domains(domains: tuple[str, ...]) -> str:
    """The first domain, and how many others (other forms of the same name, mostly)."""
    first = short_host(domains[0]) if domains else "-"
    return f"{first} +{len(domains) - 1}" if len(domains) > 1 else first


def _cluster(pod: PodRef, row: upstreams.ClusterRow) -> Row:
    empty = row.kind == "EDS" and row.usable == 0
    usable = "-" if row.usable is None else f"{row.usable}/{row.hosts}"
    cells = (
        short_host(row.host),
        str(row.port) if row.port else "-",
        row.subset or "-",
        row.direction or "-",
        row.kind,
        row.tls,
        Text(usable, "state.nack" if empty else ""),
        _state(row.state, row.error),
        row.origin or "-",
    )
    problem = empty or bool(row.error) or row.state in ("warming", PARTLY)
    return Row(row.name, cells, f"proxy {pod} endpoints {row.name}", problem)


def _endpoint(row: upstreams.EndpointRow) -> Row:
    cells = (
        Text("OK", "state.ok") if row.usable else Text("DOWN", "state.nack"),
        row.address,
        short_cluster(row.cluster),
        str(row.pod) if row.pod else "-",
        "-" if row.requests is None else str(row.requests),
        "-" if row.failures is None else str(row.failures),
        row.why,
    )
    target = f"object Pod {row.pod}" if row.pod else ""
    return Row(f"{row.cluster}  {row.address}", cells, target, not row.usable or bool(row.failures), copies=row.address)


def _certificate(pod: PodRef, row: CertificateRow, now: float) -> Row:
    begins, ends = unix(row.valid_from), unix(row.expires)
    state, style = "OK", "state.ok"
    if row.error:
        state, style = "NACK", "state.nack"
    elif row.waits:
        state, style = row.waits.upper(), "state.nack"
    elif ends is not None and ends <= now:
        state, style = "EXPIRED", "state.nack"
    elif begins is not None and begins > now:
        state, style = "EARLY", "state.nack"
    elif not row.kind:
        state, style = "-", ""
    left = "-" if ends is None else human_duration(ends - now) if ends > now else "0s"
    cells = (
        row.secret or "-",
        row.kind or "-",
        Text(state, style),
        left,
        row.error or row.identity or row.path or "-",
        row.serial or "-",
        row.expires or "-",
    )
    target = f"dump {pod} certificate {row.serial}" if row.path or not row.secret else f"dump {pod} secret {row.secret}"
    return Row(f"{row.kind}  {row.serial or row.secret}", cells, target, state not in ("OK", "-"), row.serial)


def json_command(pod: PodRef, table: str, row: Row) -> str:
    """The command that shows the JSON of just the object of *row*."""
    first, _, second = row.key.partition(SEPARATOR)
    second = second.partition(" #")[0]
    match table:
        case "listeners":
            return f"dump {pod} chain {first} {second}" if second else f"dump {pod} listener {first}"
        case "routes":
            return f"dump {pod} route {first} {second.partition(' ')[0]}"
        case "endpoints":
            return f"dump {pod} endpoint {first} {second}"
        case "clusters":
            return f"dump {pod} cluster {first.partition(' #')[0]}"
        case _:
            return row.target
