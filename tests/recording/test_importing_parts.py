"""What people have is seldom all: of which namespaces a list of kubectl is, and files in the spelling of Windows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import Fact
from meshdoctor.recording.opening import open_any
from meshdoctor.sources.recording import RecordingSource


def named(kind: str, namespace: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}}


def listed(*items: dict[str, Any]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def fact(kind: str, *paths: Path) -> Fact[Any]:
    found = RecordingSource(open_any(paths)).read([ask.Objects(kind)]).get(ask.Objects(kind))
    assert isinstance(found, Fact)
    return found


def covered(kind: str, *paths: Path) -> list[bool]:
    """Whether shop, pay, and every namespace are covered."""
    found = fact(kind, *paths)
    return [found.covers("shop"), found.covers("pay"), found.covers()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bodies = {
        "shop.json": listed(named("Pod", "shop", "web"), named("Service", "shop", "web")),
        "pay.json": listed(named("Pod", "pay", "till")),
        "all.json": listed(named("Pod", "shop", "web"), named("Pod", "pay", "till"), named("Service", "shop", "web")),
        "one.json": json.dumps(named("Pod", "shop", "web")),
    }
    for name, body in bodies.items():
        (tmp_path / name).write_text(body)
    return tmp_path


def test_a_list_of_one_namespace_says_nothing_of_others(folder: Path) -> None:
    assert covered("Pod", folder / "shop.json") == [True, False, False]
    assert covered("Pod", folder / "shop.json", folder / "pay.json") == [True, True, False]
    assert covered("Service", folder / "shop.json", folder / "pay.json") == [True, False, False]
    assert "listed without -A" in str(fact("Pod", folder / "shop.json").part)


def test_whoever_lists_two_namespaces_has_listed_all(folder: Path) -> None:
    assert covered("Pod", folder / "all.json") == [True, True, True]
    assert covered("Service", folder / "all.json") == [True, True, True], "it was listed with -A, too"
    assert covered("Pod", folder / "one.json", folder / "all.json") == [True, True, True]


def test_one_object_is_no_list(folder: Path) -> None:
    assert covered("Pod", folder / "one.json") == [False, False, False]
    assert "not of a whole namespace (single objects, not a list)" in str(fact("Pod", folder / "one.json").part)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_what_powershell_writes(folder: Path, encoding: str) -> None:
    body = (folder / "all.json").read_text()
    path = folder / "windows.json"
    path.write_bytes((b"\xfe\xff" if encoding == "utf-16-be" else b"") + body.encode(encoding))
    assert [pod.name for pod in fact("Pod", path).value] == ["web", "till"]


def test_parts_of_several_recordings_stay_parts(folder: Path, tmp_path: Path) -> None:
    from meshdoctor.cli import main

    made = []
    for name in ("shop", "pay"):
        path = tmp_path / f"{name}.mdb"
        assert (
            main(["record", "--from-recording", str(folder / "all.json"), "--namespaces", name, "-o", str(path)]) == 0
        )
        made.append(path)
    assert covered("Pod", *made) == [False, True, False], "of two lists of one name the later one counts"
    assert covered("Pod", made[0], folder / "all.json") == [True, False, False]
