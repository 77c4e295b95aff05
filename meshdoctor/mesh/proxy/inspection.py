"""All that is known of why one proxy does not run what it should, and plainly what is not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.proxy.difference import ResourceDifference, sections_of
from meshdoctor.mesh.proxy.rejected import RejectedResource, rejected_resources
from meshdoctor.mesh.proxy.slices import EndpointDifference, endpoint_differences
from meshdoctor.mesh.proxy.undelivered import missing_clusters, received, sent_differences, warming
from meshdoctor.mesh.sync import CONNECTED, SYNCED, ZTUNNEL, ProxySync
from meshdoctor.model import wants as ask
from meshdoctor.model.decode import UnreadableError, scrub
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.envoy.sections import find_sections
from meshdoctor.model.names import mistaken_for
from meshdoctor.model.pods import SIDECAR
from meshdoctor.model.snapshot import Missing, PodRef, Want

_OBJECTS = ("Service", "EndpointSlice", "WorkloadEntry", "ServiceEntry", "Namespace")


class Unknown(NamedTuple):
    """Something that cannot be told: *what* is a word of the catalogue (`inspection.`), *why* the reason in it."""

    what: str
    why: str = ""


class Inspection(NamedTuple):
    """One proxy: what Envoy *rejected*, what it took and cannot use yet (*warming*), and what differs.

    *sent* is what it does not run of what istiod would send now (None: not known); without that, or when the proxy is
    not in sync, *endpoints* are those that are not the EndpointSlices', *missing* the clusters that its routes name and
    that never came, *received* when what it runs came. *unknown* says what cannot be told.
    """

    sync: ProxySync
    rejected: tuple[RejectedResource, ...] = ()
    warming: tuple[tuple[str, str], ...] = ()
    sent: tuple[ResourceDifference, ...] | None = None
    endpoints: tuple[EndpointDifference, ...] = ()
    missing: Mapping[str, tuple[str, ...]] = {}
    received: Mapping[str, str] = {}
    unknown: tuple[Unknown, ...] = ()

    @property
    def finds(self) -> bool:
        """Whether the proxy is not in sync, or does not run what it should."""
        return bool(self.sync.problem or self.rejected or self.warming or self.sent or self.endpoints or self.missing)


def inspection_wants(sync: ProxySync, *, recorded: bool) -> tuple[Want[Any], ...]:
    """What `inspect` needs besides the facts of `mesh/proxies.py`; *recorded*: no istiod can be asked."""
    if sync.kind == ZTUNNEL:
        return ()
    sent = (_sent(sync),) if not _why_not_asked(sync, recorded) else ()
    return (ask.ProxyConfig(sync.pod), *sent, *(ask.Objects(kind) for kind in _OBJECTS))


def _sent(sync: ProxySync) -> ask.SentConfig:
    return ask.SentConfig(sync.istiod, sync.pod)


def _why_not_asked(sync: ProxySync, recorded: bool) -> Unknown | None:
    """Why istiod is not asked what it would send; None when it is, or when its answer may have been recorded."""
    if recorded:
        return None
    if sync.kind != SIDECAR:
        return Unknown("not_asked", sync.kind)
    return None if sync.state == CONNECTED else Unknown("nobody_to_ask")


def inspect(mesh: MeshIndex, sync: ProxySync, *, recorded: bool) -> Inspection:
    """What is known of the proxy, from an index in which `inspection_wants` was read."""
    if sync.kind == ZTUNNEL:
        return Inspection(sync, unknown=(Unknown("ztunnel"),))
    fact = mesh.snapshot.get(ask.ProxyConfig(sync.pod))
    if isinstance(fact, Missing):
        return Inspection(sync, unknown=(Unknown("no_dump", str(fact)),))
    config = fact.value
    unknown = []
    try:
        rejected = tuple(rejected_resources(sections_of(config)))
    except UnreadableError as error:
        rejected = ()
        unknown.append(Unknown("rejected_unread", str(error)))
    sent = _compared(mesh, sync, config, recorded)
    if isinstance(sent, Unknown):
        unknown.append(sent)
    waiting = tuple(warming(config))
    compared = None if isinstance(sent, Unknown) else sent
    late = sync.word != SYNCED
    if compared is not None and not _with_endpoints(mesh, sync, config):
        unknown.append(Unknown("sent_no_endpoints"))
    elif compared is not None and not late:
        return Inspection(sync, rejected, waiting, compared, unknown=tuple(unknown))
    unknown += _endpoints_unknown(mesh, config)
    endpoints = tuple(endpoint_differences(mesh, sync.pod))
    missing = missing_clusters(config) if late else {}
    unknown += [Unknown("part", problem) for problem in config.problems]
    changed = received(config) if late else {}
    return Inspection(sync, rejected, waiting, compared, endpoints, missing, changed, tuple(unknown))


def _compared(
    mesh: MeshIndex, sync: ProxySync, config: ConfigDump, recorded: bool
) -> tuple[ResourceDifference, ...] | Unknown:
    """What differs from what istiod would send, or why that is not known."""
    if why := _why_not_asked(sync, recorded):
        return why
    fact = mesh.snapshot.get(_sent(sync))
    if isinstance(fact, Missing):
        return Unknown("not_recorded") if fact.reason == "not recorded" else Unknown("no_answer", str(fact))
    if other := _taken_for(mesh, sync.pod):
        return Unknown("taken_for", other)
    try:
        istiod = find_sections(scrub(fact.value))
        if "ClustersConfigDump" not in istiod.parts:
            return Unknown("not_comparable", "it has no ClustersConfigDump")
        return tuple(sent_differences(istiod, sections_of(config)))
    except UnreadableError as error:
        return Unknown("not_comparable", str(error))


def _with_endpoints(mesh: MeshIndex, sync: ProxySync, config: ConfigDump) -> bool:
    """Whether both istiod's answer and the proxy's dump tell the endpoints (old istiods know no `include_eds`)."""
    answer = mesh.snapshot.value(_sent(sync)) or b""
    return b"EndpointsConfigDump" in answer and config.has("EndpointsConfigDump")


def _taken_for(mesh: MeshIndex, pod: PodRef) -> str:
    """Another proxy whose name contains this one's; "" when there is none."""
    asked = f"{pod.name}.{pod.namespace}"
    return mistaken_for(asked, (f"{ref.name}.{ref.namespace}" for ref in mesh.sync_records))


def _endpoints_unknown(mesh: MeshIndex, config: ConfigDump) -> list[Unknown]:
    if not config.has("EndpointsConfigDump"):
        return [Unknown("no_endpoints")]
    return [] if mesh.complete("EndpointSlice") else [Unknown("no_slices")]
