"""What a flag takes and what is said of it is the same in every command that has it."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

import pytest

from meshdoctor.cli import COMMANDS, main
from tests.commands.test_proxy_status import recording

Captured = pytest.CaptureFixture[str]


def parser_of(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(name)
    import_module(COMMANDS[name].module).configure(parser)
    return parser


def test_now_is_a_time_or_unix_seconds(capsys: Captured, tmp_path: Path) -> None:
    path, tables = recording(tmp_path), []
    for now in ("2026-11-23T10:05:00Z", "1795428300"):
        assert main(["proxy-status", "-o", "wide", "--recording", path, "--now", now]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1]
    assert "(5m)" in tables[0]


def test_the_language_is_chosen_in_one_way() -> None:
    said = {
        name: (action.help, action.choices)
        for name in COMMANDS
        for action in parser_of(name)._actions
        if "--lang" in action.option_strings
    }
    assert set(said) == {"diagnose", "explain", "trace", "mtls", "open", "demo"}
    assert len(set(said.values())) == 1
