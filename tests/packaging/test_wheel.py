"""What is installed: the wheel and the sdist, built from this checkout and opened."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("screens", "probes", "fixtures")
"""Folders of the top level that are part of the package by a link in it."""
DATA = (".toml", ".yaml", ".tcss", ".xz", ".typed")


def tracked() -> list[str]:
    """The files of the package as git knows them, the linked folders under their names in the package."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout, so there is no list of files to compare with")
    files = [file for file in done.stdout.split("\0") if file and (ROOT / file).is_file()]
    inside = [file for file in files if file.startswith("meshdoctor/") and not (ROOT / file).is_symlink()]
    return inside + [f"meshdoctor/{file}" for file in files if file.partition("/")[0] in LINKED and "/" in file]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and an sdist, built without a network."""
    pytest.importorskip("hatchling", reason="hatchling is not installed (it is one of the dev dependencies)")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    # The date is fixed so that the archive needs no clock; build prints to both streams.
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def wheel_names(built: Path) -> set[str]:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        return set(opened.namelist())


def sdist_names(built: Path) -> set[str]:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as opened:
        return {name.partition("/")[2] for name in opened.getnames()}


def test_the_wheel_has_one_package(built: Path) -> None:
    tops = {name.partition("/")[0] for name in wheel_names(built)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"meshdoctor"}
    assert len(tops) == 2


def test_the_wheel_has_every_file_of_the_package(built: Path) -> None:
    files = tracked()
    for folder in LINKED:
        assert any(file.startswith(f"meshdoctor/{folder}/") for file in files)
    assert any(file.endswith(".tar.xz") for file in files)
    assert set(files) - wheel_names(built) == set()


def test_the_sdist_has_every_file_of_the_package(built: Path) -> None:
    names = sdist_names(built)
    assert set(tracked()) - names == set()
    assert {"pyproject.toml", "README.md"} <= names


def test_data_files_that_are_used_are_inside(built: Path) -> None:
    """What the checkout holds now, tracked or not yet: a new data file must not be forgotten by the build."""
    here = {
        f"meshdoctor/{path.relative_to(ROOT / 'meshdoctor').as_posix()}"
        for path in (ROOT / "meshdoctor").rglob("*")
        if path.suffix in DATA and path.is_file()
    }
    assert len(here) > 5
    assert here - wheel_names(built) == set()


def test_the_program_runs_from_the_wheel(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(tmp_path)
    code = "import sys; from meshdoctor.cli import main; sys.exit(main(['demo', '--first']))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "% sure" in done.stdout
