"""Which workload or pod a person means: one reading of names for every command.

`NS/WORKLOAD`, `NS/POD`, `WORKLOAD`, `POD`, either with `.NS` behind it, and `kind/name[.NS]` as kubectl and istioctl
write it (`deploy/web.shop`, `svc/cart`). istioctl's own reading, byte for byte, is `mesh.proxy.target`.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from meshdoctor.errors import NothingMatches
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.owners import Workload
from meshdoctor.mesh.proxy.target import kind_of
from meshdoctor.model.labels import GATEWAY_NAME
from meshdoctor.model.snapshot import PodRef

MOST_NAMES = 3


class Named(NamedTuple):
    """A workload and those of its pods that were meant, the best recorded ones first: all of them, or the one named."""

    workload: Workload
    pods: tuple[PodRef, ...]


def named(mesh: MeshIndex, text: str, namespace: str = "") -> tuple[Named, ...]:
    """Everything that *text* can mean, by the first reading that means anything; *namespace* is that of `-n`."""
    for kind, where, name in _readings(text, namespace):
        found = tuple(_found(mesh, kind, where, name))
        if found:
            return found
    return ()


def one_named(mesh: MeshIndex, text: str, namespace: str = "") -> Named:
    """The one workload or pod of *text*; raises `NothingMatches` with the nearest names, or with all that match."""
    found = named(mesh, text, namespace)
    if not found:
        raise NothingMatches(f"no workload or pod is called {text}", near_names(mesh, text))
    if len(found) > 1:
        where = "namespaces" if len({one.workload.namespace for one in found}) > 1 else "workloads"
        names = tuple(dict.fromkeys(str(one.workload) for one in found))
        if len(names) == 1:
            names = tuple(f"{one.workload.kind.lower()}/{one.workload.name}" for one in found)
        raise NothingMatches(f"{text} exists in several {where}", names)
    return found[0]


def near_names(mesh: MeshIndex, text: str) -> tuple[str, ...]:
    """Names of workloads (else of pods) that are spelt like *text*, as `NS/NAME`, nearest first."""
    asked = {name for _, _, name in _readings(text, "")}
    whole = {"/".join(part for part in (where, name) if part) for _, where, name in _readings(text, "")}
    for known in (list(mesh.workloads), [ref for refs in mesh.workloads.values() for ref in refs]):
        by_name: dict[str, list[str]] = {}
        for one in known:
            by_name.setdefault(one.name, []).append(f"{one.namespace}/{one.name}")
        close = [str(found) for name in sorted(whole) for found in _close(name, [str(one) for one in known])]
        close += [found for name in sorted(asked) for match in _close(name, list(by_name)) for found in by_name[match]]
        if close:
            return tuple(dict.fromkeys(close))[:MOST_NAMES]
    return ()


def best_first(mesh: MeshIndex, refs: tuple[PodRef, ...]) -> tuple[PodRef, ...]:
    """Pods that run and whose proxy was recorded come first, then by name."""
    recorded = set(mesh.inventory.proxies)
    return tuple(sorted(refs, key=lambda ref: (_phase(mesh, ref), ref not in recorded, ref.name)))


def _phase(mesh: MeshIndex, ref: PodRef) -> int:
    pod = mesh.pods.get(ref)
    if pod is None:
        return 2
    return 0 if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp else 1


def _close(name: str, names: list[str]) -> list[str]:
    return get_close_matches(name, names, MOST_NAMES, 0.6)


def _readings(text: str, namespace: str) -> Iterator[tuple[str, str, str]]:
    """(kind, namespace, name), "" for any of the first two; a pod's name may hold dots, a namespace does not."""
    head, slash, rest = text.partition("/")
    if slash and (kind := kind_of(head)):
        yield kind, namespace, rest
        name, dot, where = rest.rpartition(".")
        if dot:
            yield kind, where, name
    if slash:
        yield "", head, rest
        return
    yield "", namespace, text
    name, dot, where = text.rpartition(".")
    if dot:
        yield "", where, name


def _found(mesh: MeshIndex, kind: str, namespace: str, name: str) -> Iterator[Named]:
    if kind in ("Service", "Gateway"):
        yield from _selected(mesh, kind, namespace, name)
        return
    for workload, refs in mesh.workloads.items():
        if namespace and workload.namespace != namespace:
            continue
        if workload.name == name and (kind in ("", workload.kind)):
            yield Named(workload, best_first(mesh, refs))
        elif kind in ("", "Pod"):
            yield from (Named(workload, (ref,)) for ref in refs if ref.name == name)
        elif kind == "ReplicaSet":
            owned = tuple(ref for ref in refs if ref.name.startswith(f"{name}-"))
            if owned and name.startswith(f"{workload.name}-"):
                yield Named(workload, best_first(mesh, owned))


def _selected(mesh: MeshIndex, kind: str, namespace: str, name: str) -> Iterator[Named]:
    if kind == "Service":
        services = [one for one in mesh.services.values() if one.name == name and namespace in ("", one.namespace)]
        groups = [mesh.selected_pods(service) for service in services]
    else:
        chosen = [pod for pod in mesh.pods.values() if pod.metadata.labels.get(GATEWAY_NAME) == name]
        groups = [tuple(pod for pod in chosen if namespace in ("", pod.namespace))]
    for pods in groups:
        refs = best_first(mesh, tuple(pod.ref for pod in pods))
        if refs:
            yield Named(mesh.workload(refs[0]), refs)
