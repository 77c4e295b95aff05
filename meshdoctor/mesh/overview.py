"""Every proxy of a mesh on one page: sync state, versions, age; problems first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.proxies import PROXY_OBJECTS, istiod_wants, proxies
from meshdoctor.mesh.sync import (
    CONNECTED,
    DISCONNECTED,
    ERROR,
    NEVER_CONNECTED,
    NO_ISTIOD,
    SYNCED,
    UNTOLD,
    ZTUNNEL,
    ProxySync,
)
from meshdoctor.model import wants as ask
from meshdoctor.model.moment import unix
from meshdoctor.model.snapshot import PodRef, Want

OK, STALE, NACK, LOST, ODD, UNKNOWN = "OK", "STALE", "NACK", "LOST", "ODD", "?"
STATES = (NACK, LOST, STALE, ODD, UNKNOWN, OK)
"""Every state of a proxy, the worst first."""


class ProxyState(NamedTuple):
    """One proxy: *state* in one word, istiod's view, Envoy's version, and its age in seconds (None: no such pod)."""

    pod: PodRef
    state: str
    sync: ProxySync
    envoy_version: str = ""
    age: float | None = None
    recorded: bool = False
    """Whether its configuration can be looked at."""


FEW = 60
"""So many proxies are all asked for their version, also out of sight; of more it would be too much (120 KB each)."""
OVERVIEW_OBJECTS = PROXY_OBJECTS
"""What `overview` reads of the cluster's objects."""


def lacks_version(found: Sequence[ProxyState], in_sight: Iterable[PodRef]) -> bool:
    """Whether Envoy's version is not known of a proxy that it is asked of: those *in_sight*, in a small mesh all."""
    asked = None if len(found) <= FEW else set(in_sight)
    return any(
        not one.envoy_version and one.recorded and one.sync.kind != ZTUNNEL and (asked is None or one.pod in asked)
        for one in found
    )


def overview_wants(inventory: ask.Inventory, versions: Iterable[PodRef] | None = None) -> tuple[Want[Any], ...]:
    """What `overview` reads of the istiods and proxies in *inventory*, besides the cluster's objects.

    *versions*: the proxies that are asked for Envoy's version, all when it is None; of the others it stays unknown.
    """
    return (
        *istiod_wants(inventory),
        *(ask.ProxyServerInfo(pod) for pod in (inventory.proxies if versions is None else versions)),
    )


def overview(mesh: MeshIndex, now: float) -> tuple[ProxyState, ...]:
    """Every proxy, those with a problem first, then by name; *now* in Unix seconds."""
    known = {*mesh.inventory.proxies, *mesh.inventory.ztunnels}
    found = [_state(mesh, sync, now, known) for sync in proxies(mesh, now)]
    return tuple(sorted(found, key=lambda one: (STATES.index(one.state), one.pod)))


def _state(mesh: MeshIndex, sync: ProxySync, now: float, known: Iterable[PodRef]) -> ProxyState:
    pod = mesh.pods.get(sync.pod)
    created = unix(pod.metadata.creation_timestamp) if pod else None
    info = mesh.snapshot.value(ask.ProxyServerInfo(sync.pod))
    return ProxyState(
        sync.pod,
        _word(sync),
        sync,
        _envoy_release(info.version) if info else "",
        None if created is None else now - created,
        sync.pod in known,
    )


def _word(sync: ProxySync) -> str:
    if sync.state in (NEVER_CONNECTED, DISCONNECTED, NO_ISTIOD):
        return LOST
    if sync.state != CONNECTED:
        return UNKNOWN
    return {SYNCED: OK, ERROR: NACK, STALE: STALE, UNTOLD: UNKNOWN}.get(sync.word, ODD)


def _envoy_release(version: str) -> str:
    """`1.40.0` of `<commit>/1.40.0/Clean/RELEASE/BoringSSL`, as `/server_info` gives it."""
    parts = version.split("/")
    return parts[1] if len(parts) > 2 else version
