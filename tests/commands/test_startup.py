"""What may not be imported before it is needed: `--help` is quick, and the core works without a terminal library."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import meshdoctor

HEAVY = {"textual", "rich", "httpx", "yaml", "msgspec", "kubernetes", "zstandard", "cryptography", "asyncio"}
CORE = ("model", "kube", "recording", "sources", "mesh", "probes", "guide", "present", "commands", "fixtures")


HELP = """
from meshdoctor.cli import main
try:
    main({})
except SystemExit as end:
    assert end.code == 0
"""


def imported_by(code: str) -> set[str]:
    """The top-level modules that are imported once *code* has run in a fresh interpreter."""
    script = f"import sys\n{code}\nprint('\\n'.join(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stderr.split()}


def test_help_imports_nothing_heavy() -> None:
    assert imported_by(HELP.format(["--help"])) & HEAVY == set()


def test_help_of_the_application_imports_no_textual() -> None:
    for command in ("open", "demo", "diagnose"):
        assert "textual" not in imported_by(HELP.format([command, "--help"])), command


def test_the_core_never_imports_textual() -> None:
    names = [
        info.name
        for room in CORE
        for info in pkgutil.walk_packages([f"{meshdoctor.__path__[0]}/{room}"], f"meshdoctor.{room}.")
    ]
    assert len(names) > 60
    code = f"""
from importlib import import_module
for name in {names!r}:
    import_module(name)
    assert "textual" not in sys.modules, name
"""
    assert "textual" not in imported_by(code)


def test_the_lists_of_the_demo_need_no_textual() -> None:
    assert "textual" not in imported_by("from meshdoctor.cli import main\nmain(['demo'])")
