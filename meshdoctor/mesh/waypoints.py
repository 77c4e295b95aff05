"""Waypoints as the cluster has them: Gateways of the waypoint class (istioctl/pkg/waypoint/waypoint.go)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from meshdoctor.mesh.texttable import Cells, TextTable
from meshdoctor.model.istio import GenericObject
from meshdoctor.model.labels import REVISION

WAYPOINT_CLASS = "istio-waypoint"
_TRAFFIC = "istio.io/waypoint-for"


class WaypointCondition(NamedTuple):
    """The condition that istioctl shows of a waypoint: Programmed if it is true, else the last one."""

    status: str = ""
    type: str = ""
    reason: str = ""
    message: str = ""

    @property
    def programmed(self) -> bool:
        return self.type == "Programmed" and self.status == "True"


def waypoints(gateways: Iterable[GenericObject], namespace: str) -> list[GenericObject]:
    """The waypoints of a namespace ("": of all), by namespace and name."""
    kept = [
        gateway
        for gateway in gateways
        if gateway.spec.get("gatewayClassName") == WAYPOINT_CLASS and namespace in ("", gateway.namespace)
    ]
    return sorted(kept, key=lambda gateway: (gateway.namespace, gateway.name))


def list_table(found: Sequence[GenericObject], *, all_namespaces: bool) -> TextTable:
    rows: list[Cells] = []
    for gateway in found:
        labels = gateway.metadata.labels
        programmed = "False"
        for condition in _conditions(gateway):
            if condition.get("type") == "Programmed":
                programmed = str(condition.get("status", ""))
        row = (gateway.name, labels.get(REVISION) or "default", labels.get(_TRAFFIC) or "none", programmed)
        rows.append((gateway.namespace, *row) if all_namespaces else row)
    header: Cells = ("NAME", "REVISION", "TRAFFIC TYPE", "PROGRAMMED")
    return TextTable(("NAMESPACE", *header) if all_namespaces else header, rows)


def condition_of(gateway: GenericObject, without: WaypointCondition | None = None) -> WaypointCondition:
    """The condition that counts; *without* any, that one."""
    chosen = without or WaypointCondition()
    for condition in _conditions(gateway):
        parts = (str(condition.get(field, "")) for field in WaypointCondition._fields)
        chosen = WaypointCondition(*parts)
        if chosen.programmed:
            break
    return chosen


def status_table(found: Sequence[GenericObject], *, all_namespaces: bool, exact: bool = False) -> TextTable:
    """A row per waypoint; *exact*: one without conditions repeats those of the one before it, as istioctl's does."""
    rows: list[Cells] = []
    condition: WaypointCondition | None = None
    for gateway in found:
        condition = condition_of(gateway, condition if exact else None)
        row = (gateway.name, *condition)
        rows.append((gateway.namespace, *row) if all_namespaces else row)
    header: Cells = ("NAME", "STATUS", "TYPE", "REASON", "MESSAGE")
    return TextTable(("NAMESPACE", *header) if all_namespaces else header, rows)


def _conditions(gateway: GenericObject) -> list[dict[str, Any]]:
    return list(gateway.status.get("conditions") or ())
