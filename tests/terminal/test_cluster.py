"""The installed program on a cluster, in a real pseudo-terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.apiserver import Fault
from tests.live.clusters import Cluster, serving
from tests.terminal.ptyterminal import ROOT, PtyTerminal
from tests.terminal.test_pty import restored

Open = Callable[..., PtyTerminal]
MESHDOCTOR = (sys.executable, "-m", "meshdoctor")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """An incident as a cluster."""
    with serving("cedar", tmp_path) as (api, _):
        yield Cluster(api, tmp_path)


def test_a_walk_through_a_cluster(terminal: Open, cluster: Cluster) -> None:
    t = terminal((*MESHDOCTOR, "open", "--kubeconfig", str(cluster.path), "--refresh", "1s"))
    t.wait("test  live  RO")
    t.wait("CULPRIT")
    t.wait("s ago")
    t.keys("m")
    t.wait("CLERX")
    cluster.api.tokens = set()
    t.wait("LOGIN REFUSED for")
    t.keys("q")
    t.wait("CULPRIT")
    t.keys(":q\r")
    assert t.wait_end() == 0
    assert restored(t.raw)


def test_without_a_word_it_opens_the_cluster_of_the_kubeconfig(terminal: Open, cluster: Cluster) -> None:
    t = terminal((*MESHDOCTOR, "--view", "mesh"), KUBECONFIG=str(cluster.path))
    t.wait("CLERX")
    t.keys(":q\r")
    assert t.wait_end() == 0


def test_leaving_while_the_cluster_does_not_answer(terminal: Open, cluster: Cluster) -> None:
    cluster.api.faults.append(Fault("/", hang=True))
    t = terminal((*MESHDOCTOR, "--kubeconfig", str(cluster.path)))
    t.wait("reading for")
    t.keys(":q\r")
    assert t.wait_end() == 0
    assert restored(t.raw)
    assert b"Traceback" not in t.raw


LOGIN = """#!/bin/sh
# Asks at the terminal where it may, as cloud logins do.
if [ -t 0 ] && grep -q '"interactive":true' <<END
$KUBERNETES_EXEC_INFO
END
then printf 'code please: ' >&2; read -r token; else token=$(cat "$0.token"); fi
printf '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"%s"}}' "$token"
"""


def test_a_login_program_asks_at_the_terminal(terminal: Open, cluster: Cluster) -> None:
    program = cluster.home / "login"
    program.write_text(LOGIN)
    program.chmod(0o755)
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(program),
        "interactiveMode": "IfAvailable",
    }
    cluster.write(cluster.api.kubeconfig(exec=plugin))
    (cluster.home / "login.token").write_text("expired")
    t = terminal((*MESHDOCTOR, "open", "--kubeconfig", str(cluster.path), "--view", "mesh", "--refresh", "1s"))
    t.wait("code please:")
    t.keys("test-token\r")
    t.wait("CLERX")
    cluster.api.tokens = {"tomorrow"}
    t.wait("LOGIN REFUSED for")
    t.keys("A")
    t.wait("code please:")
    t.keys("tomorrow\r")
    t.wait("logged in again")
    t.wait("s ago")
    t.keys(":q\r")
    assert t.wait_end() == 0
    assert restored(t.raw)


@pytest.mark.parametrize("arguments", [("open",), (), ("--context", "nowhere")])
def test_no_kubeconfig_is_one_line(terminal: Open, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    t = terminal((*MESHDOCTOR, *arguments), columns=200, HOME=str(tmp_path), KUBECONFIG=str(tmp_path / "none"))
    assert t.wait_end() == 2
    assert t.raw.count(b"meshdoctor: ") == 1
    assert b"Traceback" not in t.raw
    assert b"\x1b[?1049h" not in t.raw


def test_no_terminal_is_one_line(cluster: Cluster) -> None:
    done = subprocess.run(
        [*MESHDOCTOR, "open", "--kubeconfig", str(cluster.path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ | {"TERM": "xterm"},
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "meshdoctor diagnose" in done.stderr
