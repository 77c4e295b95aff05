"""What the application may not import before its first paint."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("httpx", "yaml", "kubernetes", "zstandard", "zipfile")


def imported(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_application_imports_nothing_heavy() -> None:
    modules = imported("meshdoctor.tui.app")
    assert "textual.app" in modules
    assert modules.isdisjoint(HEAVY)
    assert "textual.widgets._data_table" not in modules


@pytest.mark.parametrize("module", ["meshdoctor.tui.launch", "meshdoctor.tui.router", "meshdoctor.tui.tablerows"])
def test_these_work_without_textual(module: str) -> None:
    assert "textual" not in imported(module)


def test_no_screen_is_imported_before_it_is_opened() -> None:
    assert not {name for name in imported("meshdoctor.tui.app") if name.startswith("meshdoctor.screens.")}
