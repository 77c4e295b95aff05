from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from meshdoctor.cli import main
from tests.commands.recordings import pod, write

Captured = pytest.CaptureFixture[str]


def workload(name: str, node: str) -> dict[str, Any]:
    return {
        "uid": name,
        "name": name,
        "namespace": "shop",
        "node": node,
        "workloadIps": ["10.0.0.1"],
        "protocol": "HBONE",
    }


def recording(folder: Path) -> str:
    other = pod("zt-2", "istio-system", kind="ztunnel")
    other["spec"]["nodeName"] = "n2"
    return str(
        write(
            folder,
            {
                "kube/core/v1/pods.json": [pod("zt-1", "istio-system", kind="ztunnel"), other, pod("web", "shop")],
                "ztunnel/istio-system/zt-1/config_dump.json": {
                    "workloads": [workload("web", "n1"), workload("x", "n1")]
                },
                "ztunnel/istio-system/zt-2/config_dump.json": {"workloads": []},
                "ztunnel/istio-system/zt-1/logging.txt": b"current log level is info",
            },
        )
    )


@pytest.mark.parametrize(
    ("arguments", "rows"),
    [
        (["workload"], 2),
        (["workloads", "zt-2.istio-system"], 0),
        (["w", "--node", "n2"], 0),
        (["workload", "web.shop"], 1),
        (["workload", "--workload-namespace", "pay"], 0),
    ],
)
def test_which_ztunnel_is_asked(capsys: Captured, tmp_path: Path, arguments: list[str], rows: int) -> None:
    assert main(["ztunnel-config", *arguments, "--recording", recording(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == rows + 1


@pytest.mark.parametrize("table", ["workload", "service", "policy", "certificate", "connections", "all"])
@pytest.mark.parametrize("output", ["short", "json", "yaml", "istioctl"])
def test_every_table_has_every_format(capsys: Captured, tmp_path: Path, table: str, output: str) -> None:
    assert main(["ztunnel-config", table, "-o", output, "--recording", recording(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed
    if output == "json":
        json.loads(printed)


def test_policies_have_the_fields_that_istioctl_prints(capsys: Captured, tmp_path: Path) -> None:
    policy = {"name": "trial", "namespace": "shop", "scope": "Namespace", "action": "Deny", "rules": [], "dryRun": True}
    file = write(tmp_path, {"ztunnel/istio-system/zt-1/config_dump.json": {"policies": [policy]}})
    dump = file / "ztunnel/istio-system/zt-1/config_dump.json"
    assert main(["ztunnel-config", "policy", "-o", "json", "--file", str(dump)]) == 0
    (printed,) = json.loads(capsys.readouterr().out)
    assert set(printed) == {"name", "namespace", "scope", "action", "rules"}


def test_headers_of_all(capsys: Captured, tmp_path: Path) -> None:
    assert main(["ztunnel-config", "all", "--with-headers", "--recording", recording(tmp_path)]) == 0
    assert "\n------ CONNECTIONS INFO ------\n\nWORKLOAD" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["workload", "--node", "n9"], "no ztunnel on node n9"),
        (["workload", "lost"], 'pods "lost" not found'),
        (["workload", "-o", "xml"], "not supported"),
        (["log", "--level", "xxx"], "unrecognized logging level: xxx"),
        (["log", "zt-2.istio-system"], "not recorded"),
    ],
)
def test_errors(capsys: Captured, tmp_path: Path, arguments: list[str], message: str) -> None:
    assert main(["ztunnel-config", *arguments, "--recording", recording(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_log_changes_nothing(capsys: Captured, tmp_path: Path) -> None:
    assert (
        main(["ztunnel-config", "log", "zt-1.istio-system", "--level", "debug", "--recording", recording(tmp_path)])
        == 0
    )
    printed = capsys.readouterr()
    assert "current log level is info" in printed.out
    assert "meshdoctor changes nothing" in printed.err


def test_the_group_alone_prints_its_help(capsys: Captured) -> None:
    assert main(["ztunnel-config"]) == 0
    assert "A group of commands used to update or retrieve Ztunnel" in capsys.readouterr().out


@pytest.mark.parametrize(("table", "first"), [("all", ""), ("secret", "CERTIFICATE NAME     TYPE")])
def test_proxy_config_shows_a_ztunnels_own_tables(capsys: Captured, tmp_path: Path, table: str, first: str) -> None:
    source = recording(tmp_path)
    assert main(["proxy-config", table, "zt-1.istio-system", "--recording", source]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith(first)


def test_what_a_ztunnel_does_not_have_is_said(capsys: Captured, tmp_path: Path) -> None:
    source = recording(tmp_path)
    assert main(["proxy-config", "cluster", "zt-1.istio-system", "--recording", source]) == 2
    assert "is a ztunnel" in capsys.readouterr().err
    assert main(["proxy-config", "cluster", "-f", f"{source}/ztunnel/istio-system/zt-1/config_dump.json"]) == 2
    assert "a ztunnel's dump; use meshdoctor ztunnel-config" in capsys.readouterr().err
