"""VirtualServices that hand over to others: what istiod leaves out without a word, and so no Envoy ever shows.

Source: istiod 1.32, pilot/pkg/model/virtualservice.go (mergeVirtualServicesIfNeeded): a delegate has no hosts of its
own, must exist, and may not delegate further; such routes are dropped.
"""

from __future__ import annotations

from typing import Any

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.trace.loose import message, text
from meshdoctor.model.istio import VirtualService

Key = tuple[str, str]


def complaints(mesh: MeshIndex, source: Key) -> tuple[str, ...]:
    """What is wrong with the delegates of the VirtualService *source* (namespace, name), a line each."""
    services = {(each.namespace, each.name): each for each in mesh.objects("VirtualService", VirtualService)}
    root = services.get(source)
    found: list[str] = []
    for target in _delegates(root) if root is not None else ():
        label = "/".join(target)
        delegate = services.get(target)
        if delegate is None:
            found.append(f"its delegate {label} does not exist: istiod drops the route")
        elif delegate.spec.hosts:
            found.append(f"its delegate {label} has hosts of its own: istiod drops the route")
        elif circle := _circle(services, target, (source,)):
            found.append(f"its delegates go in a circle ({' -> '.join(circle)}): istiod drops the route")
        elif any(True for _ in _delegates(delegate)):
            found.append(f"its delegate {label} delegates further: istiod follows one step only")
    return tuple(found)


def _delegates(service: VirtualService) -> list[Key]:
    found: list[Key] = []
    for route in service.spec.http:
        delegate: dict[str, Any] = message(route.delegate)
        if name := text(delegate.get("name")):
            found.append((text(delegate.get("namespace")) or service.namespace, name))
    return found


def _circle(services: dict[Key, VirtualService], at: Key, before: tuple[Key, ...]) -> list[str]:
    """The names along a circle that *at* closes; [] when every way ends."""
    if at in before:
        return ["/".join(key) for key in (*before[before.index(at) :], at)]
    service = services.get(at)
    for target in _delegates(service) if service is not None else ():
        if circle := _circle(services, target, (*before, at)):
            return circle
    return []
