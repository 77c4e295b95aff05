"""`meshdoctor record` on a cluster: the bundle says of the incident what the cluster said."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
import yaml

from meshdoctor.cli import main
from meshdoctor.guide.examination import Examination
from meshdoctor.model.snapshot import Snapshot
from meshdoctor.recording.bundle.reader import Bundle
from meshdoctor.recording.bundle.upkeep import verify
from meshdoctor.recording.opening import open_any
from meshdoctor.sources.recording import RecordingSource
from tests.live.apiserver import ApiServer
from tests.live.recorded_cluster import serving_recording

FIXTURES = sorted((Path(__file__).resolve().parents[2] / "fixtures").glob("*.tar.xz"))


def causes(source: RecordingSource) -> list[tuple[str, str]]:
    examination = Examination(source.read, Snapshot(source.info, {}))
    for _ in examination.steps():
        continue
    return [(verdict.cause, str(verdict.resources[0])) for verdict in examination.diagnosis().verdicts]


def test_a_recorded_cluster_is_diagnosed_as_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tarfile.open(FIXTURES[0]) as archive:
        archive.extractall(tmp_path / "case", filter="data")
    folder = next(path.parent for path in (tmp_path / "case").rglob("manifest.json"))
    config, path = tmp_path / "kubeconfig", tmp_path / "a.mdb"
    with serving_recording(folder) as api:
        config.write_text(yaml.safe_dump(api.kubeconfig()))
        flags = ["--kubeconfig", str(config), "--since", "1000h"]
        assert main(["record", *flags, "-o", str(path), "--every", "1ms", "--count", "2"]) == 0
        assert main(["record", *flags, "-o", str(tmp_path / "none.mdb"), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "2 moments in" in told
    assert "record  kube/core/v1/pods.json\n" in told
    assert not (tmp_path / "none.mdb").exists()
    assert verify(path) == []
    recorded = open_any([path])
    assert len(recorded.moments) == 2
    before = RecordingSource.open(folder)
    assert causes(RecordingSource.open(path)) == causes(before)
    proxies = {file.rpartition("/")[0] for file in open_any([folder]).files if file.startswith("envoy/")}
    assert {file.rpartition("/")[0] for file in recorded.files if file.startswith("envoy/")} == proxies
    assert any(file.startswith("logs/") for file in recorded.files)


@pytest.mark.parametrize("flag", ["--every", "--since"])
def test_a_time_that_nothing_can_wait_for_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    assert main(["record", flag, "99999999999999999h", "-o", str(tmp_path / "a.mdb")]) == 2
    told = capsys.readouterr().err
    assert f"{flag} '99999999999999999h' cannot be used" in told
    assert "at most ten years" in told
    assert not list(tmp_path.iterdir())


def test_a_password_in_the_server_s_url_is_in_no_bundle(
    cluster: tuple[ApiServer, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api, _ = cluster
    told = api.kubeconfig()
    server = told["clusters"][0]["cluster"]["server"]
    told["clusters"][0]["cluster"]["server"] = server.replace("://", "://me:hunter2@")
    config, path = tmp_path / "own", tmp_path / "a.mdb"
    config.write_text(yaml.safe_dump(told))
    flags = ["--kubeconfig", str(config)]
    assert main(["record", *flags, "-o", str(path)]) == 0
    assert b"hunter2" not in path.read_bytes()
    with Bundle(path) as bundle:
        assert bundle.manifest.source.endswith(f" ({server})")
    for command in (["diagnose"], ["diagnose", "-o", "json"], ["check-access"]):
        main([*command, *flags])
    captured = capsys.readouterr()
    assert "hunter2" not in captured.out + captured.err
