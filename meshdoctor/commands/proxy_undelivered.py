"""`meshdoctor proxy-status POD`: one proxy in full, with what it does not run of what it should."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from meshdoctor.commands.proxy_dump import SourceDump
from meshdoctor.errors import SourceError
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.proxy.rejected import rejected_resources
from meshdoctor.mesh.proxy.slices import endpoint_differences
from meshdoctor.mesh.proxy.undelivered import missing_clusters, received, sent_differences
from meshdoctor.mesh.sync import CONNECTED, SYNCED, ZTUNNEL, ProxySync
from meshdoctor.mesh.workloads import SIDECAR
from meshdoctor.model import wants as ask
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.envoy.sections import find_sections
from meshdoctor.model.snapshot import Missing
from meshdoctor.present.sync_tables import detail_lines
from meshdoctor.present.undelivered import endpoint_lines, missing_lines, received_lines, rejected_lines, sent_lines

if TYPE_CHECKING:
    from meshdoctor.model.snapshot import Want
    from meshdoctor.sources.source import Source

_OBJECTS = ("Service", "EndpointSlice", "WorkloadEntry")


def lines(source: Source, proxy: ProxySync) -> Iterator[str]:
    """What istiod says of the proxy, what Envoy refused, and what differs from what it should run."""
    yield from detail_lines(proxy)
    if proxy.kind == ZTUNNEL:
        return
    dump = SourceDump(source, proxy.pod)
    try:
        yield from rejected_lines(rejected_resources(dump.sections))
    except (UnreadableError, SourceError) as error:
        yield f"  what Envoy refused is not known: {error}"
        return
    compared = yield from _against_istiod(source, proxy, dump)
    if not compared or proxy.word != SYNCED:
        yield from _against_cluster(source, proxy)


def _against_istiod(source: Source, proxy: ProxySync, dump: SourceDump) -> Generator[str, None, bool]:
    """The lines; returns whether both sides could be read."""
    recorded = source.info.kind == "recording"
    if proxy.kind != SIDECAR or (proxy.state != CONNECTED and not recorded):
        return False
    found = source.read([ask.SentConfig(proxy.istiod, proxy.pod)])
    sent = found.get(ask.SentConfig(proxy.istiod, proxy.pod))
    if isinstance(sent, Missing):
        if sent.reason != "not recorded":
            yield f"  what istiod would send is not known: {sent}"
        return False
    try:
        yield from sent_lines(sent_differences(find_sections(sent.value), dump.sections))
    except UnreadableError as error:
        yield f"  what istiod would send cannot be compared: {error}"
        return False
    return True


def _against_cluster(source: Source, proxy: ProxySync) -> Iterator[str]:
    """How old the proxy's configuration is, and its endpoints against the EndpointSlices."""
    wants: list[Want[Any]] = [ask.Contents(), ask.ProxyConfig(proxy.pod), *(ask.Objects(kind) for kind in _OBJECTS)]
    snapshot = source.read(wants)
    istiods = (snapshot.value(ask.Contents()) or ask.Inventory()).istiods
    mesh = MeshIndex(source.read([ask.SyncStatus(istiod) for istiod in istiods], snapshot))
    config = mesh.config(proxy.pod)
    if config is not None and proxy.word != SYNCED:
        yield from received_lines(received(config))
        yield from missing_lines(missing_clusters(config))
    yield from endpoint_lines(endpoint_differences(mesh, proxy.pod))
