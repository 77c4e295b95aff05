"""Connections reset at accept: does the server's proxy limit how many it takes? (no access-log line tells of it)"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdoctor.mesh import blame
from meshdoctor.mesh.applying import applying
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.finding import Finding, Resource, Verdict, culprit, not_applicable
from meshdoctor.mesh.index import MeshIndex
from meshdoctor.mesh.probe import Probe
from meshdoctor.mesh.quoting import config_says, lines_say, listed, logged, remedy
from meshdoctor.mesh.traffic import CLIENT, GATEWAY, SERVER, Seen
from meshdoctor.model.snapshot import PodRef, Want
from meshdoctor.model.wants import ProxyConfig

FILTER = "envoy.filters.network.connection_limit"
GLOBAL = "max_active_downstream_connections"
NO_LIMIT = 1_000_000
OTHERWISE = ("connection_timeout", "Connection_refused", "connect_error:_111", "CERTIFICATE", "WRONG_VERSION")
"""A limit closes what was connected already: who had no answer, or one about certificates, did not meet it."""


def _reset(case: Case) -> tuple[Seen, ...]:
    """Connections that ended before the server's proxy logged anything of them."""
    told = {seen.access.request_id for seen in case.seen if seen.side == SERVER and seen.access}
    return tuple(
        seen
        for seen in case.with_flag("UC", "UF")
        if seen.side in (CLIENT, GATEWAY)
        and seen.access
        and seen.access.request_id not in told
        and not any(word in (seen.access.details or "") for word in OTHERWISE)
    )


def _servers(mesh: MeshIndex, lines: Iterable[Seen]) -> list[PodRef]:
    pods = [mesh.pod_by_ip(seen.upstream[0]) for seen in lines]
    return list(dict.fromkeys(pod.ref for pod in pods if pod))


def examine(case: Case, mesh: MeshIndex) -> Finding:
    lines = _reset(case)
    limited = [pod for pod in _servers(mesh, lines) if _limits(mesh, pod)]
    if not limited:
        return not_applicable("no server's proxy limits its connections")
    filters = tuple(
        Resource("EnvoyFilter", one.namespace, one.name, "spec.configPatches")
        for one in applying(mesh, limited[0], "EnvoyFilter", ("connection_limit",))
    )
    resources = filters or (blame.of_workload(mesh.workload(limited[0]), "spec.template.metadata.annotations"),)
    shown = f"its listener has {FILTER}" if _filtered(mesh, limited[0]) else "its overload manager limits connections"
    return culprit(
        Verdict(
            "connection-limit",
            0.88,
            f"{listed(str(one) for one in resources)} limits the connections of the server's proxy; more are "
            "closed at once",
            resources,
            (
                lines_say(lines, f"{logged(lines[-1])}, of which the server's proxy logged nothing"),
                config_says(limited[0], shown, FILTER),
            ),
            remedy(f"Raise max_connections in {resources[0]}, or make callers reuse connections."),
            lines,
        )
    )


def _limits(mesh: MeshIndex, pod: PodRef) -> bool:
    return _filtered(mesh, pod) or _overall(mesh, pod)


def _overall(mesh: MeshIndex, pod: PodRef) -> bool:
    """Whether the overload manager limits connections; istiod's bootstrap sets 2147483647, which is none (1.32)."""
    config = mesh.config(pod)
    bootstrap = config.bootstrap if config else None
    monitors = bootstrap.overload_manager.get("resource_monitors") or [] if bootstrap else []
    limits = [(one.get("typed_config") or {}).get(GLOBAL) for one in monitors if isinstance(one, dict)]
    return any(str(limit).isdigit() and int(str(limit)) < NO_LIMIT for limit in limits if limit is not None)


def _filtered(mesh: MeshIndex, pod: PodRef) -> bool:
    config = mesh.config(pod)
    return config is not None and any(
        entry.name == FILTER or "connection_limit" in entry.name
        for listener in config.listeners
        for chain in listener.body.chains
        for entry in chain.filters
    )


def needs(case: Case, mesh: MeshIndex) -> Iterable[Want[Any]]:
    return [ProxyConfig(pod) for pod in _servers(mesh, _reset(case))]


PROBE = Probe(
    "connection-limit", "Does the server's proxy limit its connections?", ("connection-limit",), examine, needs
)
