"""What the arguments of commands can be, for completion: the names in the facts that were read so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from meshdoctor.mesh.failing_flows import case_name
from meshdoctor.model.kinds import BY_NAME

if TYPE_CHECKING:
    from meshdoctor.guide.examination import Examination
    from meshdoctor.mesh.index import MeshIndex


def known_names(mesh: MeshIndex, examination: Examination | None) -> dict[str, Sequence[str]]:
    """By the route, or by what the router calls one word of its argument."""
    inventory = mesh.inventory
    objects = [
        f"{kind} {one.namespace}/{one.name}" if one.namespace else f"{kind} {one.name}"
        for kind in inventory.kinds
        if kind in BY_NAME
        for one in mesh.objects(kind, BY_NAME[kind].struct)
    ]
    return {
        "guide": [case_name(case) for case in (*examination.cases, *examination.traffic.cases)] if examination else [],
        "proxy": [str(pod) for pod in inventory.proxies],
        "ztunnel": [str(pod) for pod in inventory.ztunnels],
        "log": [f"{log.pod} {log.container}{' previous' if log.previous else ''}" for log in inventory.logs],
        "object": objects,
        **_callers_and_called(mesh),
    }


def _callers_and_called(mesh: MeshIndex) -> Mapping[str, Sequence[str]]:
    """Who calls and what is called, for commands that name both."""
    workloads = sorted({str(workload) for workload in mesh.workloads})
    services = sorted(
        (service.namespace, service.name, port.port)
        for service in mesh.services.values()
        for port in service.spec.ports
    )
    return {
        "workload": workloads,
        "client": [*sorted({name.partition("/")[0] for name in workloads}), *workloads],
        "host": [f"{name}.{namespace}:{port}" for namespace, name, port in services],
    }
