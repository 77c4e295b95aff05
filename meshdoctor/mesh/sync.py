"""Is every proxy in sync with its control plane? Every one that exists, whether an istiod knows it or not.

What istiod says of a connection is in `/debug/syncz` (pilot/pkg/xds/statusgen.go, debugSyncStatus); each istiod knows
only the proxies that are connected to it, so that the answers of all of them, of every revision, are put together and
joined with the cluster's pods.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from meshdoctor.mesh.revisions import Revisions, injected_revision, release
from meshdoctor.mesh.workloads import AMBIENT, NONE, SIDECAR, proxy_kind
from meshdoctor.model.istiod import ResourceSync, SyncRecord
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.moment import unix
from meshdoctor.model.snapshot import PodRef

ZTUNNEL = "ztunnel"
SYNCED, STALE, NOT_SENT, ERROR, IGNORED = "SYNCED", "STALE", "NOT SENT", "ERROR", "IGNORED"
CONNECTED, NEVER_CONNECTED, DISCONNECTED, NO_ISTIOD, UNKNOWN = (
    "connected",
    "never connected",
    "disconnected",
    "no istiod",
    "unknown",
)
IN_FLIGHT = 30.0
"""For so many seconds after a send, a missing acknowledgement is no news: the answer is still on its way."""

_GOOGLE = "type.googleapis.com/"
# pilot/pkg/xds/v3/model.go and pkg/model/xds.go, GetShortType.
SHORT_TYPES = {
    f"{_GOOGLE}envoy.config.cluster.v3.Cluster": "CDS",
    f"{_GOOGLE}envoy.config.listener.v3.Listener": "LDS",
    f"{_GOOGLE}envoy.config.endpoint.v3.ClusterLoadAssignment": "EDS",
    f"{_GOOGLE}envoy.config.route.v3.RouteConfiguration": "RDS",
    f"{_GOOGLE}envoy.config.core.v3.TypedExtensionConfig": "ECDS",
    f"{_GOOGLE}envoy.extensions.transport_sockets.tls.v3.Secret": "SDS",
    f"{_GOOGLE}istio.networking.nds.v1.NameTable": "NDS",
    f"{_GOOGLE}istio.mesh.v1alpha1.ProxyConfig": "PCDS",
    f"{_GOOGLE}istio.workload.Address": "WDS",
    f"{_GOOGLE}istio.workload.Workload": "WDS",
    f"{_GOOGLE}istio.security.Authorization": "WADS",
}
TYPE_URLS = {short: url for url, short in reversed(SHORT_TYPES.items())}
MAIN_TYPES = ("CDS", "LDS", "EDS", "RDS")
# The flat fields of syncz, which are all that istiod before 1.23 answers.
_FLAT = {"CDS": "cluster", "LDS": "listener", "EDS": "endpoint", "RDS": "route", "ECDS": "extensionconfig"}
_KINDS = {"router": "gateway", "sidecar": SIDECAR, "waypoint": "waypoint", ZTUNNEL: ZTUNNEL}


class TypeSync(NamedTuple):
    """One xDS type of one proxy; *age* is seconds since the last send (None: unknown), *error* the rejected text."""

    name: str
    url: str
    status: str
    age: float | None = None
    error: str = ""

    @property
    def late(self) -> bool:
        """Whether the acknowledgement is missing for longer than an answer takes."""
        return self.status == STALE and (self.age is None or self.age >= IN_FLIGHT)


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
        return "ODD" if self.notes else SYNCED

    @property
    def problem(self) -> bool:
        return self.word != SYNCED

    def of_type(self, name: str) -> TypeSync:
        """The type's state; IGNORED when the proxy did not subscribe to it."""
        found = next((entry for entry in self.types if entry.name == name), None)
        return found or TypeSync(name, TYPE_URLS.get(name, ""), IGNORED)


class IstiodFacts(NamedTuple):
    """One istiod: its answer to `/debug/syncz` (None when it could not be read, with *why*), revision and version."""

    name: str
    records: Sequence[SyncRecord] | None
    revision: str = ""
    version: str = ""
    why: str = ""


def sync_status(
    istiods: Sequence[IstiodFacts],
    pods: Sequence[Pod],
    revisions: Revisions,
    now: float,
    recorded: Mapping[PodRef, str] | None = None,
) -> tuple[ProxySync, ...]:
    """Every proxy of the cluster, sorted by name; *now* in Unix seconds.

    *recorded* are proxies, with their kind, that answered themselves, whether or not their pods could be read.
    """
    connections = _connections(istiods)
    silence = _silence(istiods, pods, revisions)
    found = []
    rest = dict(recorded or {})
    for pod in pods:
        rest.pop(PodRef(pod.namespace, pod.name), None)
        kind = pod_proxy(pod)
        ref = PodRef(pod.namespace, pod.name)
        connected = connections.pop(ref, [])
        if kind == NONE or (not connected and pod.status.phase in ("Succeeded", "Failed")):
            continue
        found.append(_joined(ref, kind, pod, connected, silence, revisions, now))
    for ref, connected in connections.items():
        rest.pop(ref, None)
        kind = _KINDS.get(connected[0][1].proxy_type, connected[0][1].proxy_type)
        found.append(_joined(ref, kind, None, connected, silence, revisions, now))
    found += [_joined(ref, kind, None, [], silence, revisions, now) for ref, kind in rest.items()]
    return tuple(sorted(found, key=lambda proxy: proxy.name))


def connected_proxies(istiods: Iterable[IstiodFacts], now: float) -> tuple[ProxySync, ...]:
    """What istioctl shows: a row for each connection of each istiod, also twice for a proxy that moves between two."""
    found = []
    for istiod in istiods:
        for record in istiod.records or ():
            if _is_proxy(record):
                ref = PodRef(record.namespace, record.pod)
                found.append(_connected(ref, "", (istiod, record), (), istiod.revision, now))
    return tuple(sorted(found, key=lambda proxy: proxy.name))


def pod_proxy(pod: Pod) -> str:
    """`sidecar`, `gateway`, `waypoint`, `ztunnel` or `none`: a pod that ztunnel serves has no proxy of its own."""
    containers = (*pod.spec.containers, *pod.spec.init_containers)
    if any(entry.name == "istio-proxy" and ZTUNNEL in entry.args for entry in containers):
        return ZTUNNEL
    kind = proxy_kind(pod)
    return NONE if kind == AMBIENT else kind


Connection = tuple[IstiodFacts, SyncRecord]


def _connections(istiods: Iterable[IstiodFacts]) -> dict[PodRef, list[Connection]]:
    """What each istiod says of each proxy, the newest send first; other clients of istiod are no proxies."""
    found: dict[PodRef, list[Connection]] = {}
    for istiod in istiods:
        for record in istiod.records or ():
            if _is_proxy(record):
                found.setdefault(PodRef(record.namespace, record.pod), []).append((istiod, record))
    for connected in found.values():
        connected.sort(key=lambda pair: _last_send(pair[1]), reverse=True)
    return found


def _is_proxy(record: SyncRecord) -> bool:
    """Whether it is no other client of istiod, such as istioctl itself."""
    return bool(record.proxy and (record.proxy_type or record.istio_version))


def _last_send(record: SyncRecord) -> float:
    return max((unix(entry.sent_time) or 0.0 for entry in record.resources.values()), default=0.0)


def _joined(
    ref: PodRef,
    kind: str,
    pod: Pod | None,
    connected: Sequence[Connection],
    silence: tuple[str, str],
    revisions: Revisions,
    now: float,
) -> ProxySync:
    injected = injected_revision(pod) if pod else ""
    if not connected:
        state, note = silence if silence[0] else _absence(pod)
        return ProxySync(ref, kind, state, revision=injected, notes=(note,) if note else ())
    istiod, record = connected[0]
    notes = list(_oddities(pod, istiod, record, injected, revisions))
    notes += [f"also connected to {other.name}" for other, _ in connected[1:]]
    return _connected(ref, kind, connected[0], tuple(notes), injected or istiod.revision, now)


def _connected(
    ref: PodRef, kind: str, connection: Connection, notes: tuple[str, ...], revision: str, now: float
) -> ProxySync:
    istiod, record = connection
    return ProxySync(
        ref,
        kind if kind not in ("", NONE) else _KINDS.get(record.proxy_type, record.proxy_type),
        CONNECTED,
        type_states(record, now),
        istiod.name,
        istiod.version,
        record.istio_version,
        revision,
        record.cluster_id,
        notes,
    )


def _silence(istiods: Sequence[IstiodFacts], pods: Sequence[Pod], revisions: Revisions) -> tuple[str, str]:
    """Why nothing can be said of a proxy that no istiod lists, as state and note; two empty texts when it can."""
    for istiod in istiods:
        if istiod.records is None:
            return UNKNOWN, f"{istiod.name} did not say which proxies it has: {istiod.why or 'not recorded'}"
    if istiods:
        return "", ""
    if revisions.pods_known and not any(_is_istiod(pod) for pod in pods):
        return NO_ISTIOD, "no istiod is ready"
    return UNKNOWN, "what istiod says of its proxies is not in this source"


def _is_istiod(pod: Pod) -> bool:
    """Whether it is an istiod that can answer."""
    return any(entry.name == "discovery" and entry.ready for entry in pod.status.container_statuses)


def _absence(pod: Pod | None) -> tuple[str, str]:
    """Why no istiod lists the proxy, though every one of them said which proxies it has."""
    if pod is None:
        return DISCONNECTED, "no istiod lists it"
    statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
    proxy = next((entry for entry in statuses if entry.name == "istio-proxy"), None)
    if proxy and proxy.ready:
        # The agent is ready only once Envoy has got clusters and listeners (pilot/cmd/pilot-agent/status/ready).
        return DISCONNECTED, "its proxy is ready, so it was connected, and no istiod lists it now"
    waiting = proxy.state.waiting if proxy else None
    return NEVER_CONNECTED, f"its proxy is {waiting.reason}" if waiting and waiting.reason else "its proxy is not ready"


def _oddities(
    pod: Pod | None, istiod: IstiodFacts, record: SyncRecord, injected: str, revisions: Revisions
) -> Iterable[str]:
    if pod is None and revisions.pods_known:
        yield "no such pod: it left, or it is a virtual machine"
    if injected and istiod.revision and revisions.resolve(injected) != istiod.revision:
        yield f"wrong revision: injected by {injected}, connected to {istiod.revision}"
    wanted = revisions.wanted(pod) if pod else ""
    if injected and wanted and revisions.resolve(injected) != revisions.resolve(wanted):
        yield f"wrong revision: its namespace wants {wanted}, it was injected by {injected}; restart it"
    mine, theirs = release(record.istio_version), release(istiod.version)
    if mine and theirs and mine != theirs:
        yield f"version skew: proxy {record.istio_version}, istiod {istiod.version}"


def type_states(record: SyncRecord, now: float) -> tuple[TypeSync, ...]:
    """Each type that the proxy subscribed to: the main four first, then the others by their URL."""
    resources: Mapping[str, ResourceSync] = record.resources or {
        TYPE_URLS[name]: ResourceSync(getattr(record, f"{field}_sent"), getattr(record, f"{field}_acked"))
        for name, field in _FLAT.items()
        if getattr(record, f"{field}_sent")
    }
    found = [_type_state(url, entry, now) for url, entry in resources.items()]
    return tuple(sorted(found, key=_type_order))


def _type_state(url: str, entry: ResourceSync, now: float) -> TypeSync:
    sent = unix(entry.sent_time)
    error = entry.last_error or entry.error
    if error:
        status = ERROR
    elif not entry.sent:
        status = NOT_SENT
    else:
        status = SYNCED if entry.acked == entry.sent else STALE
    return TypeSync(SHORT_TYPES.get(url, url), url, status, None if sent is None else now - sent, error)


def _type_order(entry: TypeSync) -> tuple[int, str]:
    return (MAIN_TYPES.index(entry.name) if entry.name in MAIN_TYPES else len(MAIN_TYPES), entry.url)


_RESOURCE = re.compile(r'^name: "((?:[^"\\]|\\.)*)"', re.MULTILINE)


def rejection(error: str) -> str:
    """What a rejection says, without the protobuf text of the whole resource that Envoy puts before it."""
    cause = error.rpartition("\n: ")[2].strip()
    if cause == error.strip():
        return " ".join(error.split())
    name = _RESOURCE.search(error)
    return f"{name[1]}: {cause}" if name else cause
