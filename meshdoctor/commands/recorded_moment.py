"""One moment of a source for a bundle: what is asked for, in which order, and what istiod is spared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.owners import Workload
from meshdoctor.mesh.sync import ERROR, type_states
from meshdoctor.model import wants as ask
from meshdoctor.model.istiod import SyncRecord
from meshdoctor.model.kinds import KINDS
from meshdoctor.model.snapshot import Missing, PodRef, Snapshot, Want
from meshdoctor.recording.bundle.format import SPARED
from meshdoctor.recording.bundle.writer import SnapshotWriter
from meshdoctor.sources.live_files import sent_file
from meshdoctor.sources.live_pods import why_not_asked
from meshdoctor.sources.source import Source

_BATCH = 32
"""Proxies or logs that are read before what they said is written: a fleet's dumps need not fit in memory. Of so many
logs the source reads a limited number of bytes together."""
MOST_SENT = 5
"""About so many proxies istiod is asked at each moment: it generates all their configuration anew for an answer."""
LARGEST_SENT = 12 << 20
"""Bytes of a proxy's own dump; istiod is not asked to generate a larger one (`kube.envoy_admin.WHOLE_DUMP_LIMIT`)."""
_SPARED = f"istiod is asked about {MOST_SENT} proxies at each moment, and was asked about others"
_TOO_LARGE = "istiod is asked about configurations of up to {} MiB; the proxy's has {} MiB"
_UNREAD = "the proxy's own configuration was not read, so there is nothing to compare it with"


def record_moment(
    source: Source, snapshot: SnapshotWriter, read: list[tuple[str, bytes]], namespaces: tuple[str, ...], now: float
) -> None:
    """Asks *source* for everything of *namespaces* (none: of all) and writes it to *snapshot*, with what is missing.

    *read*: what the source's capture fills. *now*: Unix seconds, against which a missing acknowledgement has an age.
    """
    known = source.read([])
    sizes: dict[str, int] = {}
    synced: dict[str, tuple[SyncRecord, ...]] = {}
    mesh: MeshIndex | None = None
    for batch in batches(source, known, namespaces):
        found = _written(source, snapshot, read, batch, sizes)
        mesh = mesh or MeshIndex(found)  # the objects come first
        synced |= {want.istiod: found.value(want) or () for want in batch if isinstance(want, ask.SyncStatus)}
    chosen: list[Want[Any]] = []
    behind = [want for istiod, records in synced.items() for want in out_of_sync(istiod, records, now)]
    for want in one_of_each(behind, mesh) if mesh else behind:
        if not _in(want.pod.namespace, namespaces):
            continue
        why = _why_not(want, sizes, synced[want.istiod]) or (_SPARED if len(chosen) == MOST_SENT else "")
        if why:
            snapshot.missing(sent_file(want.istiod, want.pod), why, SPARED)
        else:
            chosen.append(want)
    _written(source, snapshot, read, chosen, sizes)


def _written(
    source: Source,
    snapshot: SnapshotWriter,
    read: list[tuple[str, bytes]],
    wants: list[Want[Any]],
    sizes: dict[str, int],
) -> Snapshot:
    """What *source* answers, after all of it was written; *sizes* gets the bytes of each file."""
    found = source.read(wants)
    while read:  # what is written need not be held any longer
        file, body = read.pop(0)
        snapshot.add(file, body)
        sizes[file] = len(body)
    for want in wants:
        fact = found.get(want)
        if isinstance(fact, Missing):
            if fact.file:
                snapshot.missing(fact.file, fact.detail if fact.reason == "failed" and fact.detail else str(fact))
        elif fact.part:
            snapshot.partial(fact.origin.file, fact.part.namespaces, fact.part.why)
    return found


def out_of_sync(istiod: str, records: Iterable[SyncRecord], now: float) -> list[ask.SentConfig]:
    """The sidecars that do not run what that istiod sent them: those that refused it first, then the longest waiting.

    Never gateways: istiod 1.27.1 served redacted keys to gateways after it had been asked about them (istio#57789).
    """
    found: list[tuple[bool, float, ask.SentConfig]] = []
    for record in records:
        if record.proxy_type not in ("sidecar", "") or not record.pod:
            continue
        types = type_states(record, now)
        refused = any(entry.status == ERROR for entry in types)
        waits = max((entry.age or 0.0 for entry in types if entry.late), default=None)
        if refused or waits is not None:
            want = ask.SentConfig(istiod, PodRef(record.namespace, record.pod))
            found.append((not refused, -(waits or 0.0), want))
    return [want for _, _, want in sorted(found, key=lambda entry: entry[:2])]


def one_of_each(wants: Iterable[ask.SentConfig], mesh: MeshIndex) -> list[ask.SentConfig]:
    """A proxy of every workload before a second one of any: those of one workload mostly have the same trouble."""
    turns: Counter[Workload] = Counter()
    found = []
    for want in wants:
        owner = mesh.workload(want.pod)
        found.append((turns[owner], want))
        turns[owner] += 1
    return [want for _, want in sorted(found, key=lambda entry: entry[0])]


def _why_not(want: ask.SentConfig, sizes: dict[str, int], records: Iterable[SyncRecord]) -> str:
    """Why istiod is not asked what it would send; "" when it is."""
    size = sizes.get(f"envoy/{want.pod.namespace}/{want.pod.name}/config_dump.json")
    if size is None:
        return _UNREAD
    if size > LARGEST_SENT:
        return _TOO_LARGE.format(LARGEST_SENT >> 20, size >> 20)
    return why_not_asked(f"{want.pod.name}.{want.pod.namespace}", (record.proxy for record in records))


def batches(source: Source, known: Snapshot, namespaces: tuple[str, ...]) -> Iterator[list[Want[Any]]]:
    """Everything that is recorded, in the order in which it is asked for."""
    yield [ask.Mesh(), *(ask.Objects(kind.name) for kind in KINDS)]
    inventory = source.read([ask.Contents()], known).value(ask.Contents()) or ask.Inventory()
    yield [want for istiod in inventory.istiods for want in _of_istiod(istiod)]
    yield from _in_batches([ask.ZtunnelConfig(pod) for pod in inventory.ztunnels if _in(pod.namespace, namespaces)])
    for pods in _in_batches([pod for pod in inventory.proxies if _in(pod.namespace, namespaces)]):
        yield [want for pod in pods for want in _of_proxy(pod)]
    yield from _in_batches([ask.LogText(log) for log in inventory.logs if _in(log.pod.namespace, namespaces)])


def _of_istiod(istiod: str) -> tuple[Want[Any], ...]:
    return ask.SyncStatus(istiod), ask.Registry(istiod), ask.ControlPlaneVersion(istiod)


def _of_proxy(pod: PodRef) -> tuple[Want[Any], ...]:
    return (
        ask.ProxyServerInfo(pod),
        ask.ProxyReady(pod),
        ask.ProxyListeners(pod),
        ask.ProxyCertificates(pod),
        ask.ProxyInitDump(pod),
        ask.ProxyClusters(pod),
        ask.ProxyConfig(pod),
        ask.ProxyMetrics(pod),
    )


def _in(namespace: str, namespaces: tuple[str, ...]) -> bool:
    return not namespaces or namespace in namespaces


def _in_batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    listed = list(items)
    for begin in range(0, len(listed), _BATCH):
        yield listed[begin : begin + _BATCH]
