from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meshdoctor.cli import main
from tests.commands.recordings import write

Captured = pytest.CaptureFixture[str]


def gateway(name: str, namespace: str, status: str, *, kind: str = "istio-waypoint", **labels: str) -> dict[str, Any]:
    condition = {"type": "Programmed", "status": status, "reason": "R", "message": "M"}
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {k.replace("_", "/"): v for k, v in labels.items()},
        },
        "spec": {"gatewayClassName": kind},
        "status": {"conditions": [condition]},
    }


def recording(folder: Path, *gateways: dict[str, Any]) -> str:
    return str(write(folder, {"kube/gateway.networking.k8s.io/v1/gateways.json": list(gateways)}))


def test_list(capsys: Captured, tmp_path: Path) -> None:
    source = recording(
        tmp_path,
        gateway("b", "shop", "False", **{"istio.io_waypoint-for": "all", "istio.io_rev": "canary"}),
        gateway("a", "shop", "True"),
        gateway("edge", "shop", "True", kind="istio"),
        gateway("c", "pay", "True"),
    )
    assert main(["waypoint", "list", "-n", "shop", "--recording", source]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "NAME     REVISION     TRAFFIC TYPE     PROGRAMMED",
        "a        default      none             True",
        "b        canary       all              False",
    ]
    assert main(["waypoint", "list", "-A", "--recording", source]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["NAMESPACE", "pay", "shop", "shop"]
    assert main(["waypoint", "list", "-n", "none", "--recording", source]) == 0
    assert capsys.readouterr().out == "No waypoints found.\n"


def test_status(capsys: Captured, tmp_path: Path) -> None:
    source = recording(tmp_path, gateway("a", "shop", "True"))
    assert main(["waypoint", "status", "-n", "shop", "--recording", source]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "a        True       Programmed     R          M"


def test_one_that_is_not_ready_is_an_error_unless_nobody_waits(capsys: Captured, tmp_path: Path) -> None:
    source = recording(tmp_path, gateway("a", "shop", "False"))
    assert main(["waypoint", "status", "-n", "shop", "--recording", source]) == 1
    assert "timed out while retrieving status for waypoint\tshop/a" in capsys.readouterr().err
    assert main(["waypoint", "status", "-n", "shop", "--wait=false", "--recording", source]) == 0
    assert "False" in capsys.readouterr().out


def test_without_conditions_istioctls_form_repeats_those_of_the_waypoint_before(
    capsys: Captured, tmp_path: Path
) -> None:
    silent = gateway("b", "shop", "True")
    del silent["status"]["conditions"]
    source = recording(tmp_path, gateway("a", "shop", "True"), silent)
    asked = ["waypoint", "status", "-w=false", "--name", "a", "-n", "shop", "--recording", source]
    assert main([*asked, "-o", "istioctl"]) == 0
    assert capsys.readouterr().out.splitlines()[2] == "b        True       Programmed     R          M"
    assert main(asked) == 0
    assert capsys.readouterr().out.splitlines()[2].split() == ["b"]
