"""Where copied text goes."""

from __future__ import annotations

import base64

import pytest

from meshdoctor.tui.clipboard import MOST, copy


def test_outside_tmux_the_terminal_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    sent: list[str] = []
    assert copy("정산", sent.append) == "terminal (OSC 52)"
    assert sent == [f"\x1b]52;c;{base64.b64encode('정산'.encode()).decode()}\x07"]


def test_what_is_too_long_is_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    sent: list[str] = []
    assert copy("x" * (MOST + 1), sent.append) == "terminal (OSC 52), first 74,994 bytes"
    assert len(base64.b64decode(sent[0][7:-1])) == MOST
