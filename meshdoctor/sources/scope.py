"""Where the control plane is, and which namespaces a recording of some is of: a diagnosis needs these, too.

The control plane (istiod, and the ztunnels that carry ambient traffic) and the mesh's root namespace, whose policies,
EnvoyFilters and Sidecar hold for everybody (MeshConfig.rootNamespace).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from meshdoctor.errors import UsageError
from meshdoctor.model.istiod import MeshConfig
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.labels import REVISION
from meshdoctor.model.meta import Object
from meshdoctor.model.text import visible_line

CONTROL_PLANE = ("istiod", "ztunnel")
"""Values of the label `app` of the pods of the control plane and of the ambient data plane (Istio's Helm charts)."""
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


def named_namespaces(text: str) -> tuple[str, ...]:
    """The names in `a,b`; raises `UsageError` when one can be no namespace's."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    wrong = next((name for name in names if not _NAMESPACE.fullmatch(name)), None)
    if wrong is not None or (text and not names):
        shown = visible_line(text if wrong is None else wrong)
        raise UsageError(f"--namespaces {shown!r} names no namespace", "write it as --namespaces shop,pay")
    return names


def require_namespaces(named: Sequence[str], namespaces: Iterable[Object]) -> None:
    """Raises `UsageError` when one of those *named* is not among the cluster's *namespaces*."""
    known = {found.name for found in namespaces}
    for name in named:
        if name not in known:
            others = ", ".join(sorted(known)[:8]) + (", …" if len(known) > 8 else "")
            raise UsageError(f"there is no namespace {name}", f"there are {visible_line(others)}" if known else "")


def scope(named: Sequence[str], pods: Iterable[Pod], mesh: MeshConfig) -> tuple[str, ...]:
    """Those *named*, those of the control plane's *pods*, and the root namespace of the *mesh*."""
    control = {pod.namespace for pod in pods if pod.metadata.labels.get("app") in CONTROL_PLANE}
    return tuple(dict.fromkeys((*named, *sorted(control), mesh.root_namespace)))


def mesh_config_maps(istiods: Iterable[Pod]) -> tuple[tuple[str, str], ...]:
    """Namespace and name of the ConfigMaps that hold the mesh config of *istiods*, the usual one if there are none.

    A revision's is `istio-REVISION` beside its istiod (istio-discovery's chart, `templates/configmap.yaml`, 1.32).
    """
    found = ((pod.namespace, _config_map(pod.metadata.labels.get(REVISION, ""))) for pod in istiods)
    return tuple(dict.fromkeys(found)) or ((MeshConfig().root_namespace, _config_map("")),)


def _config_map(revision: str) -> str:
    return "istio" if revision in ("", "default") else f"istio-{revision}"
