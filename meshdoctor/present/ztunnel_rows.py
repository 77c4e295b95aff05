"""What a node's ztunnel knows as five tables: workloads, services, policies, certificates, connections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rich.text import Text

from meshdoctor.mesh.ztunnel import wide
from meshdoctor.mesh.ztunnel.object_json import KINDS
from meshdoctor.mesh.ztunnel.tables import ConnectionFilter, WorkloadFilter, connection_table
from meshdoctor.model.snapshot import PodRef
from meshdoctor.model.ztunnel import ZtunnelDump
from meshdoctor.present.table import Column, Row

TABLES = ("workloads", "services", "policies", "certs", "connections")
"""The names of the tables, in the order of their digit keys."""

COLUMNS: dict[str, tuple[Column, ...]] = {
    "workloads": (
        Column("state", "STATUS", 7, flex=1, widest=9, priority=0, ranks=("Unhealthy",)),
        Column("namespace", "NAMESPACE", 12, flex=1, widest=24, priority=0),
        Column("name", "WORKLOAD", 24, flex=3, widest=60, priority=0, elide="middle"),
        Column("address", "ADDRESS", 13, flex=1, widest=40, priority=1),
        Column("protocol", "PROTO", 5, priority=0),
        Column("waypoint", "WAYPOINT", 8, flex=1, widest=24, priority=2),
        Column("policies", "POLICIES", 8, flex=1, widest=48, priority=3, elide="middle"),
        Column("node", "NODE", 12, flex=1, widest=32, priority=4, elide="middle"),
        Column("identity", "IDENTITY", 36, flex=1, priority=5, elide="middle"),
    ),
    "services": (
        Column("namespace", "NAMESPACE", 12, flex=1, widest=24, priority=0),
        Column("name", "SERVICE", 18, flex=3, widest=60, priority=0, elide="middle"),
        Column("address", "ADDRESS", 13, flex=1, widest=40, priority=1),
        Column("ports", "PORTS", 11, flex=2, widest=40, priority=2),
        Column("waypoint", "WAYPOINT", 8, flex=1, widest=24, priority=1),
        Column("ready", "HEALTHY", 7, flex=1, widest=10, priority=0, align="right", order="number"),
        Column("ill", "NOT HEALTHY", 20, flex=2, priority=3, elide="middle"),
        Column("host", "HOST", 30, flex=1, priority=4, elide="middle"),
    ),
    "policies": (
        Column("namespace", "NAMESPACE", 12, flex=1, widest=24, priority=0),
        Column("name", "POLICY", 24, flex=3, widest=60, priority=0, elide="middle"),
        Column("action", "ACTION", 6, priority=0),
        Column("scope", "SCOPE", 16, priority=1),
        Column("rules", "RULES", 5, priority=0, align="right", order="number"),
        Column("dry", "DRY RUN", 7, priority=2),
    ),
    "certs": (
        Column("state", "STATUS", 11, flex=1, widest=60, priority=0, ranks=("Unavailable",)),
        Column("kind", "KIND", 6, flex=1, widest=14, priority=0),
        Column("age", "LEFT", 6, flex=1, widest=16, priority=0, align="right", order="duration"),
        Column("name", "IDENTITY", 36, flex=3, priority=0, elide="middle"),
        Column("serial", "SERIAL", 12, flex=1, widest=40, priority=3),
        Column("until", "NOT AFTER", 20, priority=4),
    ),
    "connections": (
        Column("name", "WORKLOAD", 20, flex=3, widest=60, priority=0, elide="middle"),
        Column("direction", "DIR", 8, priority=1),
        Column("local", "LOCAL", 15, flex=1, widest=40, priority=2),
        Column("remote", "REMOTE", 15, flex=2, widest=60, priority=0, elide="middle"),
        Column("target", "TARGET", 15, flex=2, widest=60, priority=0, elide="middle"),
        Column("protocol", "PROTO", 5, priority=3),
    ),
}
SEPARATOR = "  "
"""In a row's key, between the object's name and what tells its rows apart."""
_KINDS = dict(zip(TABLES, KINDS, strict=True))
_HEALTHY, _AVAILABLE = "Healthy", "Available"
_CONVERTED = "converted_peer_authentication_"
"""What istiod puts before the name of a PeerAuthentication that it sends as a policy (Istio's pilot/pkg/model)."""


class ZtunnelTables(NamedTuple):
    """The rows of each table, and what of the dump could not be read, a line each."""

    pod: PodRef
    rows: dict[str, tuple[Row, ...]]
    problems: tuple[str, ...]


def ztunnel_tables(pod: PodRef, dump: ZtunnelDump, now: float) -> ZtunnelTables:
    """Every table; *now* (Unix seconds) is what certificates are judged by."""
    made: dict[str, Iterable[Row]] = {
        "workloads": _workloads(dump),
        "services": _services(dump),
        "policies": _policies(dump),
        "certs": _certificates(dump, now),
        "connections": _connections(dump),
    }
    return ZtunnelTables(pod, {name: tuple(_unique(rows)) for name, rows in made.items()}, dump.problems)


def json_command(pod: PodRef, table: str, row: Row) -> str:
    """The command that shows the JSON of just the object of *row*."""
    return f"dump {pod} {_KINDS[table]} {row.key.partition(SEPARATOR)[0]}"


def _workloads(dump: ZtunnelDump) -> Iterator[Row]:
    pods = {(one.namespace, one.name) for one in dump.workloads if "//Pod/" in one.uid}
    for cells in wide.wide_workloads(dump, WorkloadFilter()).rows:
        namespace, name, address, node, waypoint, protocol, status, identity, policies = cells
        ill = status != _HEALTHY
        target = f"object Pod {namespace}/{name}" if (namespace, name) in pods else ""
        shown = (_state(status, ill), namespace, name, address, protocol, waypoint, policies, node, identity)
        yield Row(f"{namespace}/{name}", shown, target, ill)


def _services(dump: ZtunnelDump) -> Iterator[Row]:
    for cells in wide.wide_services(dump, "").rows:
        namespace, name, host, address, ports, waypoint, ready, ill = cells
        some, _, total = ready.partition(" ")[0].partition("/")
        lacking = some != total or total == "0"
        # Of a ServiceEntry the name is that of the object; istiod calls a Service's host after it.
        kind = "Service" if host.startswith(f"{name}.{namespace}.svc.") else "ServiceEntry"
        shown = (namespace, name, address, ports, waypoint, _state(f"{some}/{total}", lacking), ill, host)
        yield Row(f"{namespace}/{host}", shown, f"object {kind} {namespace}/{name}", lacking, host)


def _policies(dump: ZtunnelDump) -> Iterator[Row]:
    for cells in wide.wide_policies(dump, "").rows:
        namespace, name, action, scope, rules, dry = cells
        converted = name.removeprefix(_CONVERTED)
        kind = "PeerAuthentication" if converted != name else "AuthorizationPolicy"
        # istiod's own rule for STRICT is no object.
        target = "" if name.startswith("istio_converted_") else f"object {kind} {namespace}/{converted}"
        nobody = action == "Allow" and rules == "0"
        shown = (namespace, name, action, scope, _state(rules, nobody), dry)
        yield Row(f"{namespace}/{name}", shown, target, nobody)


def _certificates(dump: ZtunnelDump, now: float) -> Iterator[Row]:
    for cells in wide.wide_certificates(dump, now).rows:
        identity, kind, status, serial, until, left, _ = cells
        ill = status != _AVAILABLE or left.startswith(("EXPIRED", "VALID IN"))
        shown = (_state(status, ill), kind, left, identity, serial, until)
        yield Row(f"{identity}{SEPARATOR}{kind} {serial}", shown, "", ill, identity)


def _connections(dump: ZtunnelDump) -> Iterator[Row]:
    for cells in connection_table(dump, ConnectionFilter()).rows:
        name, direction, local, remote, target, protocol = cells
        shown = (name, direction.lower(), local, remote, target or "-", protocol)
        yield Row(f"{name}{SEPARATOR}{' '.join(cells[1:])}", shown, "", False, remote)


def _state(word: str, wrong: bool) -> Text:
    return Text(word, "state.nack" if wrong else "state.ok")


def _unique(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows whose keys differ: a hostile or damaged dump may name one thing twice."""
    seen: dict[str, int] = {}
    for row in rows:
        count = seen[row.key] = seen.get(row.key, 0) + 1
        yield (
            row if count == 1 else Row(f"{row.key}{SEPARATOR}#{count}", row.cells, row.target, row.problem, row.copies)
        )
