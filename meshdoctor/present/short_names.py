"""Long names of the mesh in few cells: what tells two of them apart stays."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from meshdoctor.model.names import parse_cluster_name
from meshdoctor.present.table import ELISION

LEAST = 12
"""Cells that the end of a name gets, however little room there is."""


def short_host(host: str) -> str:
    """`cart.shop` of `cart.shop.svc.cluster.local` (of any cluster domain); other hosts as they are."""
    head, separator, rest = host.partition(".svc.")
    if not separator:
        return host.removesuffix(".svc")
    port = rest.rpartition(":")[2]
    return f"{head}:{port}" if ":" in rest and port.isdigit() else head


def short_cluster(name: str) -> str:
    """`cart.shop:80 v1` of `outbound|80|v1|cart.shop.svc.cluster.local`; names that Istio did not build stay."""
    parsed = parse_cluster_name(name)
    if not parsed.direction or parsed.port is None:
        return name
    if not parsed.host:
        return f"{parsed.direction}:{parsed.port}"
    place = f"{short_host(parsed.host)}:{parsed.port} {parsed.subset}".rstrip()
    return place if parsed.direction == "outbound" else f"{parsed.direction} {place}"


def ends(names: Sequence[str], room: int) -> list[str]:
    """*names* in *room* cells together: the longest lose their beginning (cloud contexts differ at their end)."""
    found = list(names)
    while sum(map(cell_len, found)) > room:
        longest = max(found, key=cell_len)
        if cell_len(longest) <= LEAST:
            break
        found[found.index(longest)] = ELISION + longest.removeprefix(ELISION)[1:]
    return found
