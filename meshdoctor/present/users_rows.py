"""Who uses an object of a proxy, as rows that lead to the user and further up."""

from __future__ import annotations

from collections.abc import Iterable

from meshdoctor.mesh.proxy.users import Use
from meshdoctor.model.snapshot import PodRef
from meshdoctor.present.short_names import short_cluster
from meshdoctor.present.table import Column, Row
from meshdoctor.present.words import Words

COLUMNS = (
    Column("kind", "KIND", 8, priority=0),
    Column("name", "NAME", 20, flex=2, widest=60, priority=0, elide="middle"),
    Column("how", "HOW", 18, flex=1, widest=34, priority=1),
    Column("where", "WHERE", 20, flex=3, priority=2),
)
SEPARATOR = "  "
"""Between the parts of a row's key."""
KIND_OF_TABLE = {"routes": "route", "clusters": "cluster", "endpoints": "endpoint", "listeners": "listener"}
_TABLE_OF_KIND = {"route": "routes", "cluster": "clusters", "listener": "listeners"}
# What pilot-agent calls the two secrets that it serves (Istio 1.6 to 1.32, security/pkg/nodeagent).
_SECRETS = {"chain": "default", "root": "ROOTCA"}


def users_rows(pod: PodRef, uses: Iterable[Use], words: Words, cluster: str = "") -> tuple[Row, ...]:
    """A row for each use; those of a *cluster* by a route lead to just the routes that go to it."""
    rows = []
    for number, use in enumerate(uses):
        name = short_cluster(use.name) if use.kind == "cluster" else use.name
        target = f"proxy {pod} {_TABLE_OF_KIND[use.kind]} {use.name}"
        if cluster and use.kind == "route" and use.where:
            target += f" /leads:{short_cluster(cluster)}"
        key = SEPARATOR.join((use.kind, use.name, str(number)))
        rows.append(
            Row(key, (use.kind, name or "(inline)", words.said(use.how), use.where or "-"), target, copies=use.name)
        )
    return tuple(rows)


def use_of(row: Row) -> tuple[str, str]:
    """Kind and name of the user in a row of `users_rows`."""
    kind, name, _ = row.key.split(SEPARATOR)
    return kind, name


def object_of(table: str, row: Row) -> tuple[str, str]:
    """Kind and name of the object in a row of a proxy's table."""
    first, _, second = row.key.partition(SEPARATOR)
    if table == "endpoints":
        return "endpoint", row.copies or second
    if table == "certs":
        return "secret", _SECRETS.get(first, first)
    return KIND_OF_TABLE[table], first.partition(" #")[0]


def users_command(pod: str, kind: str, name: str) -> str:
    """The command that shows who uses an object."""
    return f"users {pod} {kind} {name}"
