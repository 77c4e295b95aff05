"""The installed program on an incident that ships, in a real pseudo-terminal and in tmux."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.terminal.ptyterminal import PATIENCE, ROOT, PtyTerminal
from tests.terminal.test_pty import restored

Open = Callable[..., PtyTerminal]
MESHDOCTOR = (sys.executable, "-m", "meshdoctor")
SLOW_GUIDE = (sys.executable, "-m", "tests.terminal.slow_guide")


def walk(keys: Callable[[str], object], wait: Callable[[str], object]) -> None:
    """guide -> evidence -> back -> mesh -> a proxy's tables -> help -> leave."""
    wait("CULPRIT  mtls-plaintext-to-strict")
    keys("/istio-proxy line\r")
    wait("guide  /istio-proxy line")
    keys("\r")
    wait("> log shop/web-")
    wait("connection_termination")
    keys("q\x1b")
    wait("CULPRIT  mtls-plaintext-to-strict")
    keys(":mesh\r")
    wait("CLERX")
    keys("/web-\r")
    wait(" of ")
    keys("\r")
    wait("1 listeners")
    wait("route 80")
    keys("3")
    wait("USABLE")
    keys("?")
    wait("> help")
    keys("q")
    wait("USABLE")


def test_a_walk_through_an_incident(terminal: Open) -> None:
    t = terminal((*MESHDOCTOR, "demo", "--first"))
    walk(t.keys, t.wait)
    t.keys(":q\r")
    assert t.wait_end() == 0
    assert restored(t.raw)


def walk_matrix_and_trace(keys: Callable[[str], object], wait: Callable[[str], object]) -> None:
    """The mTLS matrix, one of its cells, and the trace of a request, as a person types them."""
    wait("[REFUSED]")
    keys("\r")
    wait("client: plaintext, cluster EDS")
    keys("q:trace shop/web cart/items\r")
    wait("FAILS    filter chain")
    wait("no chain takes")
    keys("\r")
    wait("PeerAuthentication shop/strict")


def test_the_matrix_and_a_trace(terminal: Open) -> None:
    t = terminal((*MESHDOCTOR, "open", "fixtures/pine.tar.xz", "mtls"))
    walk_matrix_and_trace(t.keys, t.wait)
    t.keys(":q\r")
    assert t.wait_end() == 0
    assert restored(t.raw)


def test_up_from_an_endpoint_and_against_another_pod(terminal: Open) -> None:
    t = terminal((*MESHDOCTOR, "open", "fixtures/pine.tar.xz", "mesh"))
    t.wait("cart-")
    t.keys("/cart-\r\r")
    t.wait("1 listeners[32]")
    t.keys("4")
    t.wait("ENDPOINT")
    t.keys("u")
    t.wait("who uses endpoint")
    t.wait("has this endpoint")
    t.keys("u")
    t.wait("who uses cluster")
    t.keys("qqD")
    t.wait("both hold the same")
    t.keys(":q\r")
    assert t.wait_end() == 0


def test_keys_typed_before_anything_was_read_act_in_order(terminal: Open) -> None:
    t = terminal((*MESHDOCTOR, "demo", "--first"))
    t.wait("guide")
    t.keys(":mesh\r:traffic\r?")
    t.wait("> traffic > help")
    t.keys("q")
    t.wait("503  UC")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_while_the_guide_runs_restores_the_terminal(
    terminal: Open, number: signal.Signals, status: int
) -> None:
    t = terminal(SLOW_GUIDE)
    t.wait("the next step runs")
    t.process.send_signal(number)
    assert t.wait_end() == status
    assert restored(t.raw)
    assert b"Traceback" not in t.raw


def test_leaving_while_the_guide_runs(terminal: Open) -> None:
    t = terminal(SLOW_GUIDE)
    t.wait("the next step runs")
    t.keys(":q\r")
    assert t.wait_end() == 0
    assert restored(t.raw)


def test_korean_at_80x24(terminal: Open) -> None:
    t = terminal(
        (*MESHDOCTOR, "open", "fixtures/cedar.tar.xz", "--from", "shop/web", "--to", "cart.shop", "--lang", "ko")
    )
    t.wait("확신")
    t.wait("지금 실패 중")
    t.keys("m")
    t.wait("LOST")
    t.keys("?")
    t.wait("명령")


def test_bad_input_is_one_line(terminal: Open, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tar.xz"
    broken.write_bytes((ROOT / "fixtures" / "pine.tar.xz").read_bytes()[:5000])
    for arguments, says in (
        ((str(tmp_path / "nothing.tar"),), b"no such file"),
        ((str(broken),), b"broken.tar.xz"),
        ((str(ROOT / "fixtures" / "pine.tar.xz"), "--from", "shop/wob"), b"did you mean shop/web"),
    ):
        t = terminal((*MESHDOCTOR, "open", *arguments), columns=200)
        assert t.wait_end() == 2
        left = t.raw[max(0, t.raw.rfind(b"\x1b[?1049l")) :]
        assert says in left
        assert left.count(b"meshdoctor: ") == 1
        assert b"Traceback" not in t.raw


@pytest.mark.parametrize("environment", [{}, {"TERM": "dumb"}])
def test_without_a_terminal_it_says_what_to_use(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [*MESHDOCTOR, "open", "fixtures/pine.tar.xz"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "meshdoctor diagnose" in done.stderr


@pytest.fixture
def pane() -> Iterator[Callable[..., str]]:
    """A tmux server of its own that opens an incident at 80x24."""
    if not shutil.which("tmux"):
        pytest.skip("tmux is not installed")
    socket = f"meshdoctor-{uuid.uuid4().hex[:8]}"

    def run(*arguments: str) -> str:
        command = ["tmux", "-u", "-L", socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=30).stdout

    program = f"{sys.executable} -m meshdoctor demo --first; echo status=$?; exec sleep 60"
    run("new-session", "-d", "-x", "80", "-y", "24", "env", "LANG=C.UTF-8", "sh", "-c", program)
    yield run
    subprocess.run(["tmux", "-L", socket, "kill-server"], capture_output=True, check=False, timeout=30)


def test_a_walk_in_tmux(pane: Callable[..., str]) -> None:
    def wait(needle: str) -> None:
        end = time.monotonic() + PATIENCE
        while needle not in (text := pane("capture-pane", "-p")):
            assert time.monotonic() < end, f"{needle!r} is not in the pane:\n{text}"
            time.sleep(0.05)

    def keys(text: str) -> None:
        pane("send-keys", "-l", text)

    walk(keys, wait)
    keys(":q\r")
    wait("status=0")
