"""`kubectl meshdoctor …`: found and run by the real kubectl, with kubectl's own flags in kubectl's own places."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from meshdoctor.cli import main
from meshdoctor.commands.cluster_flags import VALUED, add_cluster_flags, cluster_flags
from meshdoctor.kube.target import ClusterFlags
from tests.live.apiserver import ApiServer
from tests.live.certificates import authority
from tests.live.conftest import KUBECTL

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
# What is about kubectl itself and not about which cluster is reached, how and as whom.
ABOUT_KUBECTL = {
    "--kuberc",
    "--log-flush-frequency",
    "--match-server-version",
    "--profile",
    "--profile-output",
    "--v",
    "--vmodule",
    "--warnings-as-errors",
}


@pytest.fixture
def kubectl_meshdoctor(tmp_path: Path) -> Run:
    """The real kubectl with the plugin on its PATH, as the package's entry point makes it."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["kubectl-meshdoctor"].partition(":")
    plugin = tmp_path / "bin" / "kubectl-meshdoctor"
    plugin.parent.mkdir()
    plugin.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    plugin.chmod(0o755)

    def run(*arguments: str, command: str = "meshdoctor") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(KUBECTL), command, *arguments],
            env={
                "PATH": f"{plugin.parent}{os.pathsep}/usr/bin:/bin",
                "HOME": str(tmp_path),
                "PYTHONPATH": str(ROOT),
                "COLUMNS": "80",
            },
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_kubectl_finds_it(kubectl_meshdoctor: Run) -> None:
    assert "kubectl-meshdoctor" in kubectl_meshdoctor("list", command="plugin").stdout


@pytest.mark.parametrize("arguments", [["--help"], ["diagnose", "--help"], ["check-access", "-h"]])
def test_its_help_says_how_it_was_called(kubectl_meshdoctor: Run, arguments: list[str]) -> None:
    done = kubectl_meshdoctor(*arguments)
    assert done.returncode == 0
    command = "" if arguments[0].startswith("-") else f" {arguments[0]}"
    assert done.stdout.startswith(f"usage: kubectl meshdoctor{command} [-h]")


def test_under_its_own_name_it_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert capsys.readouterr().out.startswith("usage: meshdoctor [-h]")


def test_flags_before_and_behind_the_command(kubectl_meshdoctor: Run, kubeconfig: Path) -> None:
    flags = ["--context", "test", f"--kubeconfig={kubeconfig}", "-n", "shop"]
    behind = kubectl_meshdoctor("check-access", *flags)
    before = kubectl_meshdoctor(*flags, "check-access")
    assert behind.returncode == before.returncode == 0, behind.stderr
    assert "as tester" in behind.stdout
    assert "virtualservices.networking.istio.io in shop" in behind.stdout
    assert before.stdout == behind.stdout
    assert "web-1.shop" in kubectl_meshdoctor(*flags, "ps").stdout  # an alias


def test_without_a_kubeconfig_as_kubectl_is_given_everything(
    kubectl_meshdoctor: Run, api: ApiServer, tmp_path: Path
) -> None:
    (tmp_path / "ca.crt").write_bytes(authority().pem)
    done = kubectl_meshdoctor(
        *("-s", api.url, "--token", "test-token", "--certificate-authority", "ca.crt", "--tls-server-name=localhost"),
        *("check-access", "--request-timeout=20s", "--cache-dir", "none", "--disable-compression=true"),
    )
    assert done.returncode == 0, done.stderr
    assert f"({api.url}) as tester" in done.stdout
    refused = kubectl_meshdoctor("check-access", "-s", api.url, "--insecure-skip-tls-verify=true", "--token=wrong")
    assert refused.returncode == 2
    assert "does not accept the credential" in refused.stdout + refused.stderr
    untrusted = kubectl_meshdoctor("check-access", "-s", api.url, "--insecure-skip-tls-verify=false", "--token=t")
    assert "check certificate-authority" in untrusted.stdout + untrusted.stderr


def test_a_wrong_word_is_refused_like_kubectl_does(kubectl_meshdoctor: Run, kubeconfig: Path) -> None:
    done = kubectl_meshdoctor("--context", "test", "chekc-access", "--kubeconfig", str(kubeconfig))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_every_flag_of_kubectl_is_known_or_about_kubectl_itself() -> None:
    options = subprocess.run([str(KUBECTL), "options"], capture_output=True, text=True, check=True).stdout
    kubectls = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)=", options, re.MULTILINE))
    parser = argparse.ArgumentParser()
    add_cluster_flags(parser, exec_flag=False)
    ours = set(re.findall(r"(?:^|[\s\[])(--[a-z-]+)", parser.format_help())) - {"--help"}
    assert len(kubectls) > 20
    assert kubectls - ABOUT_KUBECTL == ours
    assert kubectls >= ABOUT_KUBECTL
    assert VALUED - {"-n", "-s"} == ours - {"--insecure-skip-tls-verify", "--disable-compression"}


def test_each_flag_arrives_where_it_belongs() -> None:
    parser = argparse.ArgumentParser()
    add_cluster_flags(parser)
    given = [
        *("--kubeconfig=kubeconfig", "--context=context", "--cluster=cluster", "--user=user", "-n", "namespace"),
        *("-s", "server", "--token=token", "--username=username", "--password=password", "--as=impersonate"),
        *("--as-group=a", "--as-group=b", "--as-uid=as_uid", "--as-user-extra=a=b", "--client-key=client_key"),
        *("--certificate-authority=certificate_authority", "--client-certificate=client_certificate"),
        *("--tls-server-name=tls_server_name", "--proxy-url=proxy_url", "--insecure-skip-tls-verify=1"),
        "--disable-compression",
    ]
    flags = cluster_flags(parser.parse_args(given))
    for name in ClusterFlags.__struct_fields__:
        value = getattr(flags, name)
        known = {"as_groups": ("a", "b"), "as_user_extra": ("a=b",)}.get(name, name)
        assert value == (True if name in ("insecure_skip_tls_verify", "disable_compression") else known)
    assert "password" not in repr(flags)


@pytest.mark.parametrize(("time", "status"), [("5", 0), ("1m30s", 0), ("0m", 0), ("", 0), ("1d", 2), ("0.5", 2)])
def test_a_request_timeout_is_written_as_for_kubectl(
    kubeconfig: Path, tmp_path: Path, time: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-access", "--kubeconfig", str(kubeconfig), f"--request-timeout={time}"]) == status
    assert ("write it as 30s or 2m" in capsys.readouterr().err) == (status == 2)
    theirs = subprocess.run(
        [str(KUBECTL), "--kubeconfig", str(kubeconfig), f"--request-timeout={time}", "get", "--raw", "/version"],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
    )
    assert bool(theirs.returncode) == bool(status), theirs.stderr
