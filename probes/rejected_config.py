"""Did the caller's proxy refuse its configuration (NACK)? Then what it lacks is a symptom, not the cause."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from meshdoctor.mesh.applying import applying
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.control_plane import rejected
from meshdoctor.mesh.finding import Finding, Resource, Verdict, cleared, culprit, inconclusive, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import lines_say, listed, logged, remedy
from meshdoctor.model.snapshot import PodRef, Want
from meshdoctor.model.wants import ProxyConfig

LACKING = ("NC", "NR", "UH")
"""The flags of a proxy that lacks something it should have been sent."""


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = case.with_flag(*LACKING)
    if not lines:
        return not_applicable("no proxy lacked a cluster, a route or an endpoint")
    pods = dict.fromkeys(seen.pod for seen in lines)
    refused = {pod: found for pod in pods if (found := rejected(mesh, pod))}
    if not refused:
        unread = [pod for pod in pods if pod not in mesh.sync_records]
        if unread:
            return inconclusive(f"istiod's record of {listed(str(pod) for pod in unread)} was not read")
        return cleared("the proxy accepted every update that it was sent")
    pod = next(iter(refused))
    resources = _blamed(mesh, pod, " ".join(one.says for one in refused[pod]))
    if not resources:
        return inconclusive(
            "the proxy rejects its configuration, and no object was found that explains it", *refused[pod]
        )
    chosen = tuple(seen for seen in lines if seen.pod in refused)
    return culprit(
        Verdict(
            "config-rejected",
            0.95,
            f"Envoy rejects the configuration that {resources[0]} makes, so the caller's proxy works on an old one",
            resources,
            (*refused[pod], lines_say(chosen, logged(chosen[-1]))),
            remedy(f"Correct or remove {resources[0]}; the proxy then takes up everything it was sent since."),
            chosen,
        )
    )


def _blamed(mesh: MeshIndex, pod: PodRef, error: str) -> tuple[Resource, ...]:
    """The EnvoyFilters that apply to the pod, those first whose patch sets a field that the error names."""
    filters = applying(mesh, pod, "EnvoyFilter")
    named = [one for one in filters if any(word in error for word in _fields(one.spec))]
    return tuple(Resource("EnvoyFilter", one.namespace, one.name, "spec.configPatches") for one in named or filters)


def _fields(value: Any) -> Iterator[str]:
    """Field names of a patch as Envoy's validation errors spell them (`max_ejection_percent` as MaxEjectionPercent)."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if re.search(r"[_a-z][A-Z_]", key):
                yield "".join(part[:1].upper() + part[1:] for part in key.split("_"))
            yield from _fields(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _fields(inner)


def needs(case: Case, mesh: MeshIndex) -> Iterable[Want[Any]]:
    return [ProxyConfig(pod) for pod in dict.fromkeys(seen.pod for seen in case.with_flag(*LACKING))]


PROBE = Probe("rejected-config", "Did the proxy reject its configuration?", ("config-rejected",), examine, needs)
