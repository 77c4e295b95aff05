"""`meshdoctor check-access` against the test API server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from meshdoctor.cli import main
from meshdoctor.kube.rights import role_yaml, used_rights
from tests.live.apiserver import ApiServer
from tests.live.apiserver.rbac import Rbac

ROOT = Path(__file__).resolve().parents[2]


def test_everything_is_allowed(api: ApiServer, kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-access", "--kubeconfig", str(kubeconfig)]) == 0
    output = capsys.readouterr().out
    assert output.splitlines()[0] == f"test ({api.url}) as tester"
    assert "✗" not in output and "ClusterRole" not in output
    assert output.count("✓") == len(used_rights())


def line_of(output: str, resource: str) -> str:
    """The line about *resource*, blanks put together."""
    (line,) = [line for line in output.splitlines() if line[3:].startswith(f"{resource} ")]
    return " ".join(line.split())


def test_what_is_missing_is_named_with_the_role(
    api: ApiServer, kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.denied = {("create", "pods/portforward"), ("watch", "pods"), ("list", "services"), ("get", "nodes")}
    assert main(["check-access", "--kubeconfig", str(kubeconfig)]) == 1
    output = capsys.readouterr().out
    lost = "proxies' configuration and istiod's sync status are not read"
    assert line_of(output, "pods/portforward") == f"✗ pods/portforward create missing: {lost}"
    assert line_of(output, "pods") == "✗ pods watch missing: live views refresh at an interval instead of at once"
    assert line_of(output, "services") == "✗ services list missing: hosts cannot be matched to workloads"
    assert line_of(output, "nodes") == "✗ nodes get missing: a single object is not shown by its name"
    assert output.endswith(role_yaml())
    assert {method for method, path in api.requests if "review" not in path} <= {"GET"}


def test_before_kubernetes_1_35_get_alone_forwards_a_port(
    api: ApiServer, kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.denied, api.minor = {("create", "pods/portforward")}, "34+"
    assert main(["check-access", "--kubeconfig", str(kubeconfig)]) == 0
    assert line_of(capsys.readouterr().out, "pods/portforward") == "✓ pods/portforward get"


def test_rights_in_one_namespace_are_told_as_such(
    api: ApiServer, kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Role in shop: what the cluster as a whole forbids is read there, as every command does."""
    document = yaml.safe_load(kubeconfig.read_text())
    document["contexts"][0]["context"]["namespace"] = "shop"
    kubeconfig.write_text(yaml.safe_dump(document))
    (role, _) = yaml.safe_load_all(role_yaml())
    api.rbac = Rbac([{**role, "kind": "Role", "metadata": {"namespace": "shop"}}])
    assert main(["check-access", "--kubeconfig", str(kubeconfig)]) == 1
    output = capsys.readouterr().out
    assert line_of(output, "pods") == "◐ pods get, list, watch in shop alone: only shop is read"
    assert line_of(output, "pods/log") == "◐ pods/log get in shop alone: only shop is read"
    assert line_of(output, "nodes") == "✗ nodes get, list missing: faults of a node are not seen"
    assert line_of(output, "configmaps/istio in istio-system").startswith("✗")
    assert "✓" not in output
    # Asked about shop alone, only what is not in a namespace is missing.
    assert main(["check-access", "--kubeconfig", str(kubeconfig), "-n", "shop", "-o", "json"]) == 1
    rights = json.loads(capsys.readouterr().out)["rights"]
    lacking = {right["resource"] for right in rights if right["missing"]}
    assert lacking == {"nodes", "namespaces", "mutatingwebhookconfigurations", "configmaps"}


def test_an_object_is_asked_about_by_its_name(
    api: ApiServer, kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.rbac = Rbac.of_yaml(role_yaml().replace("resourceNames: [istio]", "resourceNames: [another]"))
    assert main(["check-access", "--kubeconfig", str(kubeconfig)]) == 1
    output = capsys.readouterr().out
    assert line_of(output, "configmaps/istio in istio-system").startswith("✗")
    assert output.count("✗") == 1


def test_who_may_not_ask_is_told_so_once(api: ApiServer, kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api.denied = {("create", "selfsubjectaccessreviews"), ("create", "selfsubjectreviews")}
    assert main(["check-access", "--kubeconfig", str(kubeconfig)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"test ({api.url})"
    assert lines[2].startswith("?  nothing could be asked: POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
    assert "resources: [selfsubjectaccessreviews], verbs: [create]" in lines[2]
    assert lines[4].startswith("The minimal role")


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
