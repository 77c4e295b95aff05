"""Which generic Istio objects (EnvoyFilter, WasmPlugin …) apply to a pod."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdoctor.mesh.index import MeshIndex
from meshdoctor.model.istio import GenericObject
from meshdoctor.model.labels import selects
from meshdoctor.model.snapshot import PodRef


def applying(mesh: MeshIndex, pod: PodRef, kind: str, words: Iterable[str] = ()) -> tuple[GenericObject, ...]:
    """The objects of *kind* in the pod's namespace or the root namespace that select it and, if any are given, mention
    one of *words*.
    """
    found = mesh.pods.get(pod)
    labels = found.metadata.labels if found else {}
    wanted = tuple(words)
    return tuple(
        one
        for one in mesh.objects(kind, GenericObject)
        if one.namespace in (pod.namespace, mesh.mesh_config.root_namespace)
        and selects(_selector(one.spec), labels)
        and (not wanted or any(word in repr(one.spec) for word in wanted))
    )


def _selector(spec: dict[str, Any]) -> dict[str, str]:
    selector = spec.get("workloadSelector") or spec.get("selector") or {}
    found: dict[str, str] = selector.get("labels") or selector.get("matchLabels") or {}
    return found
