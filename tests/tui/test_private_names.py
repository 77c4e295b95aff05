"""Every private name of Textual that is used exists in the pinned version, and none is used that is not listed."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.message_pump import MessagePump
from textual.strip import Strip

from meshdoctor.tui import private_names
from meshdoctor.tui.private_names import PRIVATE_NAMES, PrivateName

TUI = Path(private_names.__file__).parent
PINNED = "8.2.8"


def instance_attributes(cls: type) -> set[str]:
    """The attributes that the methods of *cls* and of its bases set on `self`."""
    found: set[str] = set()
    for base in cls.__mro__[:-1]:
        module = import_module(base.__module__)
        found |= set(getattr(base, "__slots__", ()))
        if module.__file__ and "textual" in module.__file__:
            source = Path(module.__file__).read_text(encoding="utf-8")
            found |= set(re.findall(r"self\.(_\w+)\s*(?::[^=\n]+)?=", source))
    return found


@pytest.mark.parametrize("name", PRIVATE_NAMES, ids=lambda name: name.path)
def test_the_name_exists(name: PrivateName) -> None:
    owner: Any = import_module(name.module)
    for part in name.path.split("."):
        if part.endswith("()"):
            owner = instance_attributes(getattr(owner, part[:-2]))
        elif isinstance(owner, set):
            assert part in owner
        elif part in {"_running", "_closed"}:
            assert part in instance_attributes(MessagePump)
        else:
            owner = getattr(owner, part)


def test_textual_is_the_pinned_version() -> None:
    assert version("textual") == PINNED


def test_no_other_private_name_of_textual_is_used() -> None:
    listed = {name.path.rpartition(".")[2] for name in PRIVATE_NAMES} | {"_compositor"}
    theirs = {n for c in (App, Strip, LinuxDriver, WriterThread) for n in (*dir(c), *instance_attributes(c))}
    for path in TUI.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        ours = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr):
                assert node.attr in listed | ours or node.attr not in theirs, (path.name, node.attr)
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("textual"):
                assert "._" not in node.module or node.module == "textual._compositor", (path.name, node.module)
