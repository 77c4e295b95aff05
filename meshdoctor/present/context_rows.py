"""The contexts of a kubeconfig as rows: which is shown, which kubectl uses, and where each leads."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from meshdoctor.present.table import Cell, Column, Row

COLUMNS = (
    Column("used", "USED BY", 14, priority=0),
    Column("context", "CONTEXT", 20, flex=3, priority=0, elide="middle"),
    Column("cluster", "CLUSTER", 12, flex=1, priority=3, elide="middle"),
    Column("user", "USER", 10, flex=1, priority=4, elide="middle"),
    Column("namespace", "NAMESPACE", 10, priority=2, elide="middle"),
    Column("server", "SERVER", 20, flex=2, priority=1),
)
SHOWN, KUBECTL = "this", "kubectl"


def context_rows(entries: Iterable[tuple[str, str, str, str, str]], current: str, shown: str) -> tuple[Row, ...]:
    """A row for each (context, cluster, user, namespace, server); Enter looks at it."""
    rows = []
    for name, *rest in entries:
        users = [SHOWN] * (name == shown) + [KUBECTL] * (name == current)
        cells: tuple[Cell, ...] = (Text(", ".join(users), "title"), name, *rest)
        rows.append(Row(name, cells, f"context {name}", bool(users)))
    return tuple(rows)
