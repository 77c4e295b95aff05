"""What pyproject.toml declares is what the program imports: no package more, none by way of another."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = {"PyYAML": "yaml", "google-re2": "re2"}
"""Packages whose module has another name."""


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = (entry.partition(">")[0].partition("=")[0] for entry in project["dependencies"])
    return {MODULES.get(name, name) for name in names}


def imported() -> set[str]:
    found: set[str] = set()
    for room in ("meshdoctor", "screens", "probes", "fixtures"):
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_bytes())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    found.add((node.module or "").partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"meshdoctor"}


def test_what_is_imported_is_declared_and_the_other_way_round() -> None:
    assert imported() == declared()
