"""`meshdoctor check-access` against the test API server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from meshdoctor.cli import main
from meshdoctor.kube.rights import role_yaml, used_rights
from tests.live.apiserver import ApiServer

ROOT = Path(__file__).resolve().parents[2]


def test_everything_is_allowed(api: ApiServer, kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-access", "--kubeconfig", str(kubeconfig)]) == 0
    output = capsys.readouterr().out
    assert output.splitlines()[0] == f"test ({api.url}) as tester"
    assert "✗" not in output and "ClusterRole" not in output
    assert output.count("✓") == len(used_rights())


def test_what_is_missing_is_named_with_the_role(
    api: ApiServer, kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.denied = {("create", "pods/portforward"), ("watch", "virtualservices")}
    assert main(["check-access", "--kubeconfig", str(kubeconfig)]) == 1
    output = capsys.readouterr().out
    assert "create missing: proxies' configuration and istiod's sync status are not read" in output
    assert "virtualservices.networking.istio.io" in output and "watch missing" in output
    assert output.endswith(role_yaml())
    assert {method for method, path in api.requests if "review" not in path} <= {"GET"}


def test_as_json_in_one_namespace(api: ApiServer, kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api.denied = {("list", "services")}
    assert main(["check-access", "--kubeconfig", str(kubeconfig), "-n", "shop", "-o", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    services = next(right for right in document["rights"] if right["resource"] == "services")
    assert (services["namespace"], services["missing"]) == ("shop", ["list"])
    assert document["user"] == "tester"


def test_the_role_alone_asks_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-access", "--role", "--kubeconfig", "/nowhere"]) == 0
    roles = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [role["kind"] for role in roles] == ["ClusterRole", "Role"]
    used = {verb for role in roles for rule in role["rules"] for verb in rule["verbs"]}
    assert used == {"get", "list", "watch", "create"}
    assert not any("secrets" in rule["resources"] for role in roles for rule in role["rules"])


def test_the_role_in_the_repository_is_the_packaged_one() -> None:
    assert (ROOT / "deploy" / "clusterrole.yaml").read_text() == role_yaml()


def test_an_unreachable_cluster_is_one_line(
    api: ApiServer, kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "check-access",
        "--kubeconfig",
        str(kubeconfig),
        "--server",
        "https://127.0.0.1:1",
        "--request-timeout=1s",
    ]
    assert main(command) == 2
    captured = capsys.readouterr()
    assert "no connection" in captured.out + captured.err
    assert "Traceback" not in captured.err
