"""proxy-config and proxy-status of a cluster print what they print of its recording."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from meshdoctor.cli import main
from tests.live.recorded_cluster import serving_recording

INCIDENTS = Path(__file__).resolve().parents[3] / "shared" / "incidents"
Captured = pytest.CaptureFixture[str]


def unpacked(pattern: str, folder: Path) -> Path:
    packed = sorted(INCIDENTS.glob(f"{pattern}/recording.tar.xz"))
    if not packed:
        pytest.skip(f"no incident {pattern} in {INCIDENTS}")
    with tarfile.open(packed[0]) as archive:
        archive.extractall(folder, filter="data")
    return next(path.parent for path in sorted(folder.rglob("manifest.json")))


@pytest.fixture
def sidecars(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A recorded mesh with sidecars, and the kubeconfig of the cluster that it is served as."""
    folder = unpacked("case-*", tmp_path / "case")
    with serving_recording(folder) as api:
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(api.kubeconfig()))
        yield folder, str(path)


def printed(capsys: Captured, *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_a_proxys_tables(capsys: Captured, sidecars: tuple[Path, str]) -> None:
    folder, kubeconfig = sidecars
    pod = next(path for path in sorted((folder / "envoy/shop").iterdir()))
    for table in ("cluster", "listener", "route", "endpoint", "secret", "bootstrap", "eds", "all"):
        command = ("proxy-config", table, f"{pod.name}.shop", "-o", "istioctl", "--now", "1795430000")
        recorded = printed(capsys, *command, "--recording", str(folder))
        assert printed(capsys, *command, "--kubeconfig", kubeconfig) == recorded, table


def test_the_status_of_proxies(capsys: Captured, sidecars: tuple[Path, str]) -> None:
    folder, kubeconfig = sidecars
    recorded = printed(capsys, "proxy-status", "-o", "istioctl", "--recording", str(folder))
    assert printed(capsys, "proxy-status", "-o", "istioctl", "--kubeconfig", kubeconfig) == recorded
    states = [line.split()[:3] for line in printed(capsys, "proxy-status", "--recording", str(folder)).splitlines()]
    live = [line.split()[:3] for line in printed(capsys, "proxy-status", "--kubeconfig", kubeconfig).splitlines()]
    assert live == states
