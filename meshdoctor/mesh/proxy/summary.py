"""`proxy-config all`: the tables of one dump one after the other (istioctl's PrintFullSummary, 1.24 to 1.32)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from meshdoctor.mesh.proxy.bootstrap import bootstrap_table
from meshdoctor.mesh.proxy.cluster import ClusterFilter, cluster_table
from meshdoctor.mesh.proxy.eds import eds_table
from meshdoctor.mesh.proxy.endpoint import EndpointFilter
from meshdoctor.mesh.proxy.listener import ListenerFilter, listener_table
from meshdoctor.mesh.proxy.route import route_table
from meshdoctor.mesh.proxy.secret import secret_table
from meshdoctor.mesh.texttable import TextTable
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.sections import Sections

# Every section of envoy.admin.v3 (Envoy 1.40).
_KNOWN = {
    f"{name}ConfigDump"
    for name in ("Bootstrap", "Clusters", "Endpoints", "Listeners", "Routes", "ScopedRoutes", "Secrets", "Ecds")
}


class SummaryFilter(NamedTuple):
    cluster: ClusterFilter = ClusterFilter()
    listener: ListenerFilter = ListenerFilter()
    route: str = ""
    endpoint: EndpointFilter = EndpointFilter()
    verbose: bool = True


class Block(NamedTuple):
    """One table with its banner's word; *table* is None without secrets, or with *why* when it cannot be read.

    *notes* are lines below it.
    """

    banner: str
    table: TextTable | None
    why: str = ""
    notes: tuple[str, ...] = ()


def summary(sections: Sections, chosen: SummaryFilter, now: float) -> Iterator[Block]:
    """Each table in turn; one that cannot be read is a block with the reason. *now* in Unix seconds."""
    verbose = chosen.verbose
    tables: tuple[tuple[str, Callable[[], TextTable | None]], ...] = (
        ("BOOTSTRAP", lambda: bootstrap_table(sections)),
        ("CLUSTER", lambda: cluster_table(sections, chosen.cluster, typed=True)),
        ("LISTENER", lambda: listener_table(sections, chosen.listener, verbose=verbose, typed=True)),
        ("ROUTE", lambda: route_table(sections, chosen.route, verbose=verbose, typed=True)),
        ("SECRET", lambda: secret_table(sections, now, typed=True)),
        ("ENDPOINTS", lambda: eds_table(sections, chosen.endpoint, typed=True)),
    )
    for banner, table in tables:
        try:
            yield Block(banner, table())
        except UnreadableError as error:
            yield Block(banner, None, str(error))
    tell_unknown(sections)


def tell_unknown(sections: Sections) -> None:
    """A line about the sections that no table shows: a newer Envoy's."""
    unknown = sections.parts.keys() - _KNOWN
    if unknown:
        sections.problems.append(f"not shown, as this program does not know them: {', '.join(sorted(unknown))}")
