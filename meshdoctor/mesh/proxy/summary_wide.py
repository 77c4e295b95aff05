"""`proxy-config all -o wide`: the wide tables of one dump one after the other, with what Envoy refused below them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from meshdoctor.mesh.proxy import ecds
from meshdoctor.mesh.proxy.bootstrap import wide_bootstrap
from meshdoctor.mesh.proxy.cluster_wide import wide_clusters
from meshdoctor.mesh.proxy.ecds_wide import wide_ecds
from meshdoctor.mesh.proxy.endpoint_wide import wide_eds
from meshdoctor.mesh.proxy.listener_wide import wide_listeners
from meshdoctor.mesh.proxy.rejected import rejected_lines
from meshdoctor.mesh.proxy.route_wide import wide_routes
from meshdoctor.mesh.proxy.secret_wide import wide_secrets
from meshdoctor.mesh.proxy.summary import Block, SummaryFilter, tell_unknown
from meshdoctor.mesh.texttable import TextTable
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.sections import Sections
from meshdoctor.model.text import visible_line


def wide_summary(sections: Sections, chosen: SummaryFilter, now: float) -> Iterator[Block]:
    """Each table in turn; one that cannot be read is a block with the reason. *now* in Unix seconds."""
    tables: list[tuple[str, Callable[[], TextTable], str]] = [
        ("BOOTSTRAP", lambda: wide_bootstrap(sections), ""),
        ("CLUSTER", lambda: wide_clusters(sections, chosen.cluster), "cluster"),
        ("LISTENER", lambda: wide_listeners(sections, chosen.listener), "listener"),
        ("ROUTE", lambda: wide_routes(sections, chosen.route), "route"),
        ("SECRET", lambda: wide_secrets(sections, now), ""),
        ("ENDPOINTS", lambda: wide_eds(sections, chosen.endpoint), ""),
    ]
    if ecds.SECTION in sections.parts:  # istioctl leaves these filters out
        tables.append(("ECDS", lambda: wide_ecds(sections), ""))
    for banner, table, kind in tables:
        try:
            refused = [line for _, line in rejected_lines(sections, kind)] if kind else []
            yield Block(banner, table(), notes=tuple(visible_line(line) for line in refused))
        except UnreadableError as error:
            yield Block(banner, None, str(error))
    tell_unknown(sections)
