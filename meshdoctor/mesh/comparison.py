"""What changed between two moments of a mesh: objects, endpoints, configuration of proxies, their sync with istiod."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.sync_types import ERROR, NOT_SENT, TypeSync, type_states
from meshdoctor.model import wants as ask
from meshdoctor.model.envoy.config_dump import ConfigDump
from meshdoctor.model.kinds import BY_NAME, KINDS
from meshdoctor.model.kubernetes import EndpointSlice
from meshdoctor.model.snapshot import Missing, PodRef, Want

OBJECT, ENDPOINT, PROXY, SYNC = "object", "endpoint", "proxy", "sync"
ADDED, REMOVED, CHANGED, UNKNOWN = "added", "removed", "changed", "unknown"
_UNCHANGING = ("resourceVersion", "managedFields", "generation", "uid")
_RESOURCES = ("listener", "route", "cluster", "endpoint", "secret")
_SHOWN_FIELDS = 6
# Events come and go by themselves, and slices are told as endpoints.
_NOT_COMPARED = ("Event", "EndpointSlice")
_AT_ONE = "read at one of the two moments only"
_ONCE = (UNKNOWN, "configuration", _AT_ONE)


class Change(msgspec.Struct, frozen=True):
    """One difference: in which *area*, what (*subject*, *name*), how, and *details* (fields, endpoints, proxies)."""

    area: str
    change: str
    subject: str
    name: str
    details: tuple[str, ...] = ()


def wanted(mesh: MeshIndex) -> list[Want[Any]]:
    """What is read of each moment (`Contents` and the objects come first)."""
    inventory = mesh.inventory
    wants: list[Want[Any]] = [ask.SyncStatus(istiod) for istiod in inventory.istiods]
    return wants + [ask.ProxyConfig(pod) for pod in inventory.proxies]


def compare(before: MeshIndex, after: MeshIndex) -> tuple[Change, ...]:
    """Every difference; what could not be read at one of the two moments is `unknown`, never removed."""
    return (
        *_left_out(before, after),
        *_objects(before, after),
        *_endpoints(before, after),
        *_proxies(before, after),
        *_syncs(before, after),
    )


def _was_read(mesh: MeshIndex, kind: str) -> bool:
    return mesh.known(kind) or mesh.in_part(kind)


def _covers(mesh: MeshIndex, kind: str, namespace: str) -> bool:
    """Whether the objects of a namespace would have been among those that were read."""
    return not mesh.in_part(kind) or mesh.known(kind, namespace)


def _undecoded(mesh: MeshIndex, kind: str) -> bool:
    """Whether there are objects of a kind that could not be decoded: what is not among the others may be one."""
    found = mesh.snapshot.get(ask.Objects(kind))
    return not isinstance(found, Missing) and bool(found.problems)


def _left_out(before: MeshIndex, after: MeshIndex) -> Iterator[Change]:
    """The namespaces that were read at one of the two moments only, in one line."""
    found = (mesh.snapshot.get(ask.Objects("Pod")) for mesh in (before, after))
    parts = [None if isinstance(fact, Missing) else fact.part for fact in found]
    told = [", ".join(part.namespaces) if part else "every namespace" for part in parts]
    if told[0] != told[1]:
        yield Change(OBJECT, UNKNOWN, "objects of other namespaces", "", (f"read were {told[0]}, then {told[1]}",))


def _objects(before: MeshIndex, after: MeshIndex) -> Iterator[Change]:
    for kind in KINDS:
        if kind.name in _NOT_COMPARED:
            continue
        if _was_read(before, kind.name) != _was_read(after, kind.name):
            yield Change(OBJECT, UNKNOWN, kind.name, "", (_AT_ONE,))
            continue
        # Of a namespace that was left out at one of the moments, nothing was added or removed.
        old = {
            one.key: one for one in before.objects(kind.name, kind.struct) if _covers(after, kind.name, one.namespace)
        }
        new = {
            one.key: one for one in after.objects(kind.name, kind.struct) if _covers(before, kind.name, one.namespace)
        }
        for change, mine, theirs, there in ((REMOVED, old, new, after), (ADDED, new, old, before)):
            for key in sorted(mine.keys() - theirs.keys()):
                if _undecoded(there, kind.name):
                    yield Change(OBJECT, UNKNOWN, kind.name, key, (_AT_ONE,))
                else:
                    yield Change(OBJECT, change, kind.name, key)
        for key in sorted(old.keys() & new.keys()):
            if old[key] != new[key]:
                fields = list(_fields(_plain(old[key]), _plain(new[key]), ""))
                if fields:
                    more = [f"{len(fields) - _SHOWN_FIELDS} more fields"] if len(fields) > _SHOWN_FIELDS else []
                    yield Change(OBJECT, CHANGED, kind.name, key, (*fields[:_SHOWN_FIELDS], *more))


def _plain(found: Any) -> Any:
    value = msgspec.to_builtins(found)
    metadata = value.get("metadata", {})
    for name in _UNCHANGING:
        metadata.pop(name, None)
    # Whoever is elected leader renews it every few seconds (client-go, tools/leaderelection).
    (metadata.get("annotations") or {}).pop("control-plane.alpha.kubernetes.io/leader", None)
    return value


def _fields(old: Any, new: Any, path: str) -> Iterator[str]:
    """`path: old -> new` of every leaf that differs."""
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            yield from _fields(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _fields(one, other, f"{path}[{number}]")
    else:
        yield f"{path}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    if value is None:
        return "absent"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."


def _endpoints(before: MeshIndex, after: MeshIndex) -> Iterator[Change]:
    read = [_was_read(mesh, "EndpointSlice") for mesh in (before, after)]
    if not all(read):
        if any(read):
            yield Change(ENDPOINT, UNKNOWN, "EndpointSlice", "", (_AT_ONE,))
        return
    old, new = _by_service(before, after), _by_service(after, before)
    for service in sorted(old.keys() | new.keys()):
        one, other = old.get(service, {}), new.get(service, {})
        told = [f"{address} is gone" for address in sorted(one.keys() - other.keys())]
        told += [f"{address} {other[address]} is new" for address in sorted(other.keys() - one.keys())]
        told += [
            f"{address}: {one[address]} -> {other[address]}"
            for address in sorted(one.keys() & other.keys())
            if one[address] != other[address]
        ]
        if told:
            yield Change(ENDPOINT, CHANGED, "Service", service, tuple(told))


def _by_service(mesh: MeshIndex, other: MeshIndex) -> dict[str, dict[str, str]]:
    """The endpoints of each Service that the *other* moment would have, too."""
    found: dict[str, dict[str, str]] = {}
    for entry in mesh.objects("EndpointSlice", EndpointSlice):
        if not _covers(other, "EndpointSlice", entry.namespace):
            continue
        service = f"{entry.namespace}/{entry.metadata.labels.get('kubernetes.io/service-name', entry.name)}"
        for endpoint in entry.endpoints or ():
            # An absent condition counts as ready (discovery.k8s.io/v1, EndpointConditions).
            state = "not ready" if endpoint.conditions.ready is False else "ready"
            state += ", terminating" if endpoint.conditions.terminating else ""
            for address in endpoint.addresses:
                found.setdefault(service, {})[address] = state
    return found


def _proxies(before: MeshIndex, after: MeshIndex) -> Iterator[Change]:
    """Resources of the proxies; the same change in several of them is told once."""
    old = {pod for pod in before.inventory.proxies if _covers(after, "Pod", pod.namespace)}
    new = {pod for pod in after.inventory.proxies if _covers(before, "Pod", pod.namespace)}
    told: dict[tuple[str, str, str], list[str]] = {}
    for change, mine, theirs, there in ((REMOVED, old, new, after), (ADDED, new, old, before)):
        for pod in sorted(mine - theirs):
            if pod in there.pods or not there.complete("Pod", pod.namespace):  # it may well have existed, unanswering
                told.setdefault(_ONCE, []).append(str(pod))
            else:
                yield Change(PROXY, change, "proxy", str(pod))
    for pod in sorted(old & new):
        one, other = before.config(pod), after.config(pod)
        if one is None or other is None:
            if (one is None) != (other is None):
                told.setdefault(_ONCE, []).append(str(pod))
            continue
        for key in _differences(one, other):
            told.setdefault(key, []).append(str(pod))
    for (change, subject, name), pods in told.items():
        yield Change(PROXY, change, subject, name, tuple(pods))


def _differences(one: ConfigDump, other: ConfigDump) -> Iterator[tuple[str, str, str]]:
    for subject in _RESOURCES:
        old, new = _resources(one, subject), _resources(other, subject)
        yield from ((REMOVED, subject, name) for name in sorted(old.keys() - new.keys()))
        yield from ((ADDED, subject, name) for name in sorted(new.keys() - old.keys()))
        for name in sorted(old.keys() & new.keys()):
            if old[name] != new[name] and _decoded(old[name]) != _decoded(new[name]):
                yield CHANGED, subject, name


def _decoded(value: object) -> object:
    """A resource without the order of its keys: Envoy prints protobuf maps in any order (metadata, filters' config)."""
    return msgspec.json.decode(value) if isinstance(value, bytes) else value


def _resources(config: ConfigDump, subject: str) -> Mapping[str, object]:
    if subject == "endpoint":  # istiod gives them in no order
        return {
            entry.body.cluster_name: sorted(
                msgspec.json.encode(endpoint, order="sorted") for endpoint in entry.body.all
            )
            for entry in config.endpoints
        }
    entries = getattr(config, f"{subject}s")
    return {entry.name: bytes(entry.raw) for entry in entries if entry.state in ("active", "static", "warming")}


def _syncs(before: MeshIndex, after: MeshIndex) -> Iterator[Change]:
    old, new = _states(before), _states(after)
    if old is None or new is None:
        if (old is None) != (new is None):
            yield Change(SYNC, UNKNOWN, "istiod", "", (_AT_ONE,))
        return
    silent = {istiod for mesh in (before, after) for istiod in _silent(mesh)}
    if silent:
        yield Change(SYNC, UNKNOWN, "istiod", ", ".join(sorted(silent)), (_AT_ONE,))
    for pod in sorted(old.keys() | new.keys()):
        one, other = old.get(pod), new.get(pod)
        if one is None or other is None:
            if not _silent(before if one is None else after):  # else it may be connected to that one
                yield Change(SYNC, ADDED if one is None else REMOVED, "connection to istiod", str(pod))
            continue
        told = [
            f"{name.rpartition('.')[2]}: {one.get(name, NOT_SENT.lower())} -> {other.get(name, NOT_SENT.lower())}"
            for name in dict.fromkeys((*one, *other))
            if one.get(name) != other.get(name)
        ]
        if told:
            yield Change(SYNC, CHANGED, "proxy", str(pod), tuple(told))


def _silent(mesh: MeshIndex) -> list[str]:
    """The istiods that did not say which proxies they have."""
    asked = mesh.inventory.istiods
    return [istiod for istiod in asked if isinstance(mesh.snapshot.get(ask.SyncStatus(istiod)), Missing)]


def _states(mesh: MeshIndex) -> dict[PodRef, dict[str, str]] | None:
    if len(_silent(mesh)) == len(mesh.inventory.istiods):
        return None
    return {
        pod: {entry.url: _state(entry) for record in records for entry in type_states(record, 0.0)}
        for pod, records in mesh.sync_records.items()
    }


def _state(sync: TypeSync) -> str:
    return f"rejected ({sync.error[:80]})" if sync.status == ERROR else sync.status.lower()


def sides(before: MeshIndex, after: MeshIndex, change: Change) -> tuple[Any, Any]:
    """What *change* is about as it was and as it is, as builtins; None on the side that has none, or where it is no
    one thing. Of a resource that changed in several proxies, that of the first.
    """
    return _side(before, change), _side(after, change)


def _side(mesh: MeshIndex, change: Change) -> Any:
    match change.area:
        case "object" if change.name:
            kind = BY_NAME[change.subject]
            found = next((one for one in mesh.objects(kind.name, kind.struct) if one.key == change.name), None)
            return None if found is None else _told(_plain(found))
        case "endpoint":
            return _by_service(mesh, mesh).get(change.name)
        case "sync":
            return next((told for pod, told in (_states(mesh) or {}).items() if str(pod) == change.name), None)
        case "proxy" if change.subject in _RESOURCES and change.details:
            config = mesh.config(PodRef(*change.details[0].split("/", 1)))
            value = _resources(config, change.subject).get(change.name) if config else None
            if isinstance(value, list):
                return [msgspec.json.decode(entry) for entry in value]
            return None if value is None else _decoded(value)
    return None


def _told(value: Any) -> Any:
    """*value* without the fields that nobody set."""
    if isinstance(value, dict):
        told = {key: _told(entry) for key, entry in value.items()}
        return {key: entry for key, entry in told.items() if entry not in (None, "", {}, [])}
    return [_told(entry) for entry in value] if isinstance(value, list | tuple) else value
