"""The real kubectl and MeshDoctor reach the same TLS server; what arrives must be the same, case by case."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from meshdoctor.errors import MeshDoctorError
from meshdoctor.kube.connection import Connection
from meshdoctor.kube.target import ClusterFlags, resolve_target
from tests.kube.auth_cases import MATRIX, Case, Scene
from tests.kube.auth_cases_beyond import BEYOND
from tests.kube.auth_cases_files import FILES
from tests.kube.auth_cases_flags import FLAGS
from tests.kube.wire import Wire, running_wire

KUBECTL = Path(sys.executable).parent / "kubectl"
agreed: list[str] = []


class Outcome(NamedTuple):
    """What a client did: whether it failed, what reached the server and the proxies, what its plugin was told."""

    failed: bool
    requests: list[dict[str, Any]]
    proxied: list[dict[str, str]]
    plugin: list[Any]


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    """The servers, for all cases."""
    with running_wire() as running:
        yield running


def with_kubectl(scene: Scene) -> Outcome:
    """`kubectl get --raw /version` sends exactly one request and no discovery."""
    flags = []
    for name, value in scene.flags.items():
        flags += [f"--{name}={item}" for item in (value if isinstance(value, list) else [value])]
    done = subprocess.run(
        [str(KUBECTL), *flags, "get", "--raw", "/version"],
        env=scene.environment,
        cwd=scene.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return outcome(scene, done.returncode != 0)


async def with_meshdoctor(scene: Scene) -> Outcome:
    """The same request by this program."""
    names = {"as": "impersonate", "as-group": "as_groups"}
    typed: dict[str, Any] = {"true": True, "false": False}
    flags: dict[str, Any] = {
        names.get(name, name.replace("-", "_")): tuple(value) if isinstance(value, list) else typed.get(value, value)
        for name, value in scene.flags.items()
    }
    failed = False
    try:
        with contextlib.chdir(scene.folder):
            target = resolve_target(ClusterFlags(**flags), scene.environment)
        async with Connection(target, environment=scene.environment) as connection:
            failed = (await connection.reads.get("/version")).is_error
    except (MeshDoctorError, httpx.TransportError):
        failed = True
    return outcome(scene, failed)


def outcome(scene: Scene, failed: bool) -> Outcome:
    requests, proxied = scene.wire.seen.take()
    log = scene.folder / "plugin.log"
    lines = [line for line in log.read_text().splitlines() if line] if log.exists() else []
    plugin = [json.loads(line) if line.startswith("{") else line for line in lines]
    log.unlink(missing_ok=True)
    return Outcome(failed, requests, proxied, plugin)


async def both(case: Case, wire: Wire, folder: Path) -> tuple[Scene, Outcome, Outcome]:
    scene = Scene(folder, wire)
    scene.environment["KUBECONFIG"] = str(folder / "config")
    case.lay_out(scene)
    wire.seen.take()
    return scene, with_kubectl(scene), await with_meshdoctor(scene)


def check(scene: Scene, theirs: Outcome, ours: Outcome) -> None:
    assert theirs.failed == scene.fails, "kubectl itself did not behave as the case says"
    assert bool(theirs.requests) != scene.fails
    assert ours == theirs


@pytest.mark.parametrize("case", MATRIX, ids=lambda case: case.name)
async def test_as_kubectl(case: Case, wire: Wire, tmp_path: Path) -> None:
    scene, theirs, ours = await both(case, wire, tmp_path)
    check(scene, theirs, ours)
    agreed.append(case.name)


@pytest.mark.parametrize("case", (*BEYOND, *FLAGS, *FILES), ids=lambda case: case.name)
async def test_as_kubectl_beyond_the_matrix(case: Case, wire: Wire, tmp_path: Path) -> None:
    check(*await both(case, wire, tmp_path))


def test_the_matrix_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(MATRIX) == 23
    with capsys.disabled():
        print(f"\nas kubectl: {len(agreed)} of {len(MATRIX)} in this process")
