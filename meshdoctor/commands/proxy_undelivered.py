"""`meshdoctor proxy-status POD`: one proxy in full, with what it does not run of what it should."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from meshdoctor.mesh.proxy.inspection import inspect, inspection_wants
from meshdoctor.present.undelivered import inspection_lines

if TYPE_CHECKING:
    from meshdoctor.mesh.index import MeshIndex
    from meshdoctor.mesh.sync import ProxySync
    from meshdoctor.sources.source import Source


def lines(source: Source, mesh: MeshIndex, proxy: ProxySync) -> Iterator[str]:
    """What istiod says of the proxy, what Envoy refused, and what differs from what it should run."""
    recorded = source.info.kind == "recording"
    mesh.extend(source.read(inspection_wants(proxy, recorded=recorded), mesh.snapshot))
    yield from inspection_lines(inspect(mesh, proxy, recorded=recorded))
