"""The shell in tmux: a second real terminal emulator, with its own parser and clipboard."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.terminal.ptyterminal import PATIENCE, ROOT

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")
Tmux = Callable[..., str]


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    """A tmux server of its own that runs the shell at 80x24."""
    socket = f"meshdoctor-{uuid.uuid4().hex[:8]}"

    def run(*arguments: str) -> str:
        command = ["tmux", "-u", "-L", socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=30).stdout

    shell = f"{sys.executable} -m tests.tui.shell; echo status=$?; exec sleep 60"
    run("new-session", "-d", "-x", "80", "-y", "24", "env", "LANG=C.UTF-8", "sh", "-c", shell)
    yield run
    subprocess.run(["tmux", "-L", socket, "kill-server"], capture_output=True, check=False, timeout=30)


def wait(tmux: Tmux, needle: str) -> str:
    """The pane, once *needle* is in it."""
    end = time.monotonic() + PATIENCE
    while needle not in (text := tmux("capture-pane", "-p")):
        if time.monotonic() > end:
            raise AssertionError(f"{needle!r} is not in the pane:\n{text}")
        time.sleep(0.05)
    return text


def test_a_walk_through_the_shell(tmux: Tmux) -> None:
    first = wait(tmux, "load-015").splitlines()
    assert first[4] == " STALE  결제         정산-배치-6c9d7-k8s2m          38s CDS LDS"
    assert len(first) == 24
    tmux("send-keys", "/", "결제", "Enter", "Enter")
    wait(tmux, "line 0 of 정산-배치")
    tmux("send-keys", "?")
    wait(tmux, "> help")
    tmux("send-keys", ":pods", "Enter")
    wait(tmux, "pods[1 of 63]")
    tmux("resize-window", "-x", "60", "-y", "15")
    wait(tmux, "RO captured")  # the header of 60 columns
    tmux("send-keys", "C-c")
    left = wait(tmux, "status=0")
    assert "pods" not in left  # the alternate screen is gone


def test_copying_reaches_the_buffer_of_tmux(tmux: Tmux) -> None:
    wait(tmux, "<enter>open")
    tmux("send-keys", "j", "c")
    wait(tmux, "copied 정산-배치-6c9d7-k8s2m to tmux")
    assert tmux("show-buffer") == "정산-배치-6c9d7-k8s2m"
