"""Is every proxy in sync with its control plane? Every one that exists, whether an istiod knows it or not.

What istiod says of a connection is in `/debug/syncz` (pilot/pkg/xds/statusgen.go, debugSyncStatus); each istiod knows
only the proxies that are connected to it, so that the answers of all of them, of every revision, are put together and
joined with the cluster's pods and with the machines that registered themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from meshdoctor.mesh.connections import (
    CONNECTED,
    DISCONNECTED,
    NEVER_CONNECTED,
    NO_ISTIOD,
    UNKNOWN,
    Connection,
    ControlPlane,
    IstiodFacts,
    connections,
    is_proxy,
    machines_that_left,
)
from meshdoctor.mesh.revisions import Revisions, injected_revision
from meshdoctor.mesh.sync_types import (
    ERROR,
    IGNORED,
    IN_FLIGHT,
    MAIN_TYPES,
    NOT_SENT,
    STALE,
    SYNCED,
    UNTOLD,
    TypeSync,
    rejection,
    type_states,
)
from meshdoctor.model.discovery import TYPE_URLS
from meshdoctor.model.istio import WorkloadEntry
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.pods import NONE, SIDECAR, ZTUNNEL, proxy_role
from meshdoctor.model.snapshot import PodRef

__all__ = [
    "CONNECTED",
    "DISCONNECTED",
    "ERROR",
    "IGNORED",
    "IN_FLIGHT",
    "MAIN_TYPES",
    "NEVER_CONNECTED",
    "NOT_SENT",
    "NO_ISTIOD",
    "STALE",
    "SYNCED",
    "TYPE_URLS",
    "UNKNOWN",
    "UNTOLD",
    "ZTUNNEL",
    "IstiodFacts",
    "ProxySync",
    "TypeSync",
    "connected_proxies",
    "rejection",
    "sync_status",
    "type_states",
]

_KINDS = {"router": "gateway", "sidecar": SIDECAR, "waypoint": "waypoint", ZTUNNEL: ZTUNNEL}


class ProxySync(NamedTuple):
    """One proxy: what it is, what it is connected to, and each type's state; *notes* say what is odd, a line each."""

    pod: PodRef
    kind: str
    state: str
    types: tuple[TypeSync, ...] = ()
    istiod: str = ""
    istiod_version: str = ""
    version: str = ""
    revision: str = ""
    cluster: str = ""
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`pod.namespace`, as istiod calls it; a client's id without a dot is all in the namespace part."""
        return f"{self.pod.name}.{self.pod.namespace}" if self.pod.name else self.pod.namespace

    @property
    def word(self) -> str:
        """The worst of it, in one word or two."""
        if self.state != CONNECTED:
            return self.state.upper()
        if any(entry.status == ERROR for entry in self.types):
            return ERROR
        if any(entry.late for entry in self.types):
            return STALE
        if self.notes:
            return "ODD"
        return UNTOLD if any(entry.status == UNTOLD for entry in self.types) else SYNCED

    @property
    def problem(self) -> bool:
        return self.word != SYNCED

    def of_type(self, name: str) -> TypeSync:
        """The type's state; IGNORED when the proxy did not subscribe to it."""
        found = next((entry for entry in self.types if entry.name == name), None)
        return found or TypeSync(name, TYPE_URLS.get(name, ""), IGNORED)


def sync_status(
    istiods: Sequence[IstiodFacts],
    pods: Sequence[Pod],
    revisions: Revisions,
    now: float,
    recorded: Mapping[PodRef, str] | None = None,
    machines: Sequence[WorkloadEntry] = (),
) -> tuple[ProxySync, ...]:
    """Every proxy of the mesh, sorted by name; *now* in Unix seconds.

    *recorded* are proxies, with their kind, that answered themselves, whether or not their pods could be read;
    *machines* are WorkloadEntries.
    """
    plane = ControlPlane(istiods, pods, revisions, machines)
    connected = connections(istiods)
    found = []
    rest = dict(recorded or {})
    for pod in pods:
        ref = PodRef(pod.namespace, pod.name)
        rest.pop(ref, None)
        kind = proxy_role(pod.spec)
        mine = connected.pop(ref, [])
        if kind == NONE or (not mine and pod.status.phase in ("Succeeded", "Failed")):
            continue
        found.append(_joined(ref, kind, pod, mine, plane, now))
    for ref, mine in connected.items():
        rest.pop(ref, None)
        found.append(_joined(ref, "", None, mine, plane, now))
    found += [_joined(ref, kind, None, [], plane, now) for ref, kind in rest.items()]
    left = machines_that_left(machines)
    found += [ProxySync(ref, SIDECAR, DISCONNECTED, notes=(note,)) for ref, note in left.items()]
    return tuple(sorted(found, key=lambda proxy: proxy.name))


def connected_proxies(istiods: Iterable[IstiodFacts], now: float) -> tuple[ProxySync, ...]:
    """What istioctl shows: a row for each connection of each istiod, also twice for a proxy that moves between two."""
    found = []
    for istiod in istiods:
        for record in istiod.records or ():
            if is_proxy(record):
                ref = PodRef(record.namespace, record.pod)
                found.append(_connected(ref, "", Connection(istiod, record), (), istiod.revision, now))
    return tuple(sorted(found, key=lambda proxy: proxy.name))


def _joined(
    ref: PodRef, kind: str, pod: Pod | None, connected: Sequence[Connection], plane: ControlPlane, now: float
) -> ProxySync:
    injected = injected_revision(pod) if pod else ""
    if not connected:
        state, note = plane.absence(pod)
        return ProxySync(ref, kind, state, revision=injected, notes=(note,))
    notes = tuple(plane.oddities(pod, connected))
    return _connected(ref, kind, connected[0], notes, injected or connected[0].istiod.revision, now)


def _connected(
    ref: PodRef, kind: str, connection: Connection, notes: tuple[str, ...], revision: str, now: float
) -> ProxySync:
    istiod, record = connection
    kind = kind if kind not in ("", NONE) else _KINDS.get(record.proxy_type, record.proxy_type)
    types = type_states(record, now)
    if kind != ZTUNNEL and not any(entry.name == "CDS" and entry.status != NOT_SENT for entry in types):
        notes = (*notes, "connected, but istiod has sent it no clusters, which every Envoy asks for first")
    return ProxySync(
        ref,
        kind,
        CONNECTED,
        types,
        istiod.name,
        istiod.version,
        record.istio_version,
        revision,
        record.cluster_id,
        notes,
    )
