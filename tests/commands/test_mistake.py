"""A mistake of the program itself is no verdict."""

from __future__ import annotations

import sys

import pytest

from meshdoctor import cli
from meshdoctor.commands import explain

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that fails as no command should."""

    def fail(_: object) -> int:
        raise TypeError("no such thing\x1b[2J")

    monkeypatch.setattr(explain, "run", fail)


@pytest.mark.usefixtures("broken")
def test_it_ends_with_2_and_says_what_to_do(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["meshdoctor", "explain", "UH"])
    assert cli.main() == 2
    told = capsys.readouterr().err
    assert told.splitlines()[-1].startswith("meshdoctor: this is a mistake of the program, please report it")
    assert "TypeError: no such thing" in told
    assert "\x1b" not in told


@pytest.mark.usefixtures("broken")
def test_a_program_around_it_sees_the_mistake() -> None:
    with pytest.raises(TypeError):
        cli.main(["explain", "UH"])
