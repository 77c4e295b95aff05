from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import pytest

from meshdoctor.cli import main
from meshdoctor.commands.kept_dumps import KEPT, KeptDumps, identity_of
from meshdoctor.commands.proxy_dump import FileDump
from meshdoctor.errors import SourceError
from tests.mesh.proxy.dumps import clusters, dump

Captured = pytest.CaptureFixture[str]


def large(path: Path, name: str, **more: object) -> str:
    """A dump of more than a MB with a thousand clusters of that name."""
    bodies = [{"name": f"outbound|80||{name}-{number}", "type": "EDS", "x": "y" * 1000} for number in range(1100)]
    path.write_bytes(dump(ClustersConfigDump=clusters(*bodies), **more))  # type: ignore[arg-type]
    return str(path)


def opened(kept: KeptDumps, path: str) -> FileDump:
    """The dump at *path* after a command that read its sections, in a process that goes on."""
    with kept.dump(identity_of(asked(path)), lambda: FileDump(path)) as dump:
        assert isinstance(dump, FileDump)
        assert dump.sections.parts
        return dump


def asked(path: str, *, goes_on: bool = True) -> argparse.Namespace:
    return argparse.Namespace(file=path, recording=None, goes_on=goes_on)


def test_a_large_file_is_read_once_and_its_tables_are_laid_out(tmp_path: Path) -> None:
    kept, path = KeptDumps(), large(tmp_path / "a.json", "cart")
    first = opened(kept, path)
    assert "cart-7 " in first.texts["cluster short"]
    assert opened(kept, path) is first


def test_a_process_that_ends_with_the_command_keeps_nothing(tmp_path: Path) -> None:
    path = large(tmp_path / "a.json", "cart")
    assert identity_of(asked(path)) is not None
    assert identity_of(asked(path, goes_on=False)) is None
    assert identity_of(asked("-")) is None


def test_a_table_that_the_dump_lacks_does_not_lose_it(tmp_path: Path) -> None:
    kept, path = KeptDumps(), large(tmp_path / "a.json", "cart")
    first = opened(kept, path)
    with pytest.raises(SourceError), kept.dump(identity_of(asked(path)), lambda: FileDump(path)):
        raise SourceError("config dump has no configuration type")
    assert opened(kept, path) is first


def test_a_file_taken_for_what_it_is_not_is_still_what_it_is(tmp_path: Path) -> None:
    kept, path = KeptDumps(), large(tmp_path / "a.json", "cart")
    first = opened(kept, path)
    with kept.dump(identity_of(asked(path)), lambda: FileDump(path)) as dump:
        assert dump.hosts.problems
    assert opened(kept, path) is first
    assert first.problems == []
    assert "cart-7 " in first.texts["cluster short"]


def test_of_a_recording_both_answers_of_a_pod_are_laid_out(capsys: Captured, tmp_path: Path) -> None:
    pod = tmp_path / "envoy/shop/web-1"
    pod.mkdir(parents=True)
    large(pod / "config_dump.json", "cart")
    address = {"socket_address": {"address": "10.0.0.7", "port_value": 8080}}
    status = {"name": "outbound|80||cart-7", "host_statuses": [{"address": address}]}
    (pod / "clusters.json").write_text(json.dumps({"cluster_statuses": [status]}))
    recorded = ["web-1.shop", "--recording", str(tmp_path)]
    assert main(["proxy-config", "cluster", *recorded]) == 0
    capsys.readouterr()
    (kept,) = [dump for dump in KEPT.kept if dump.name == "web-1.shop"]
    assert "10.0.0.7:8080" in kept.texts["endpoint short"]
    assert main(["proxy-config", "endpoint", *recorded]) == 0
    assert "10.0.0.7:8080" in capsys.readouterr().out
    status["name"] = "outbound|80||till"
    (pod / "clusters.json").write_text(json.dumps({"cluster_statuses": [status]}))
    assert main(["proxy-config", "endpoint", *recorded]) == 0
    assert "till" in capsys.readouterr().out


def test_a_changed_file_is_another_one(capsys: Captured, tmp_path: Path) -> None:
    path = large(tmp_path / "a.json", "cart")
    assert main(["proxy-config", "cluster", "--file", path]) == 0
    assert "cart-7 " in capsys.readouterr().out
    large(tmp_path / "a.json", "till")
    os.utime(path, ns=(1, 1))
    assert main(["proxy-config", "cluster", "--file", path]) == 0
    printed = capsys.readouterr().out
    assert "till-7 " in printed
    assert "cart-7 " not in printed


def test_what_could_not_be_read_is_said_by_every_command_that_shows_it(capsys: Captured, tmp_path: Path) -> None:
    path = Path(large(tmp_path / "a.json", "cart"))
    parsed = json.loads(path.read_bytes())
    parsed["configs"][0]["dynamic_active_clusters"][3]["cluster"]["name"] = 7
    path.write_text(json.dumps(parsed))
    for _ in range(2):
        assert main(["proxy-config", "cluster", "--file", str(path)]) == 0
        assert "dynamic_active_clusters[3]" in capsys.readouterr().err


def test_of_small_files_nothing_is_laid_out_and_missing_ones_are_not_kept(tmp_path: Path) -> None:
    kept, path = KeptDumps(), tmp_path / "a.json"
    path.write_bytes(dump(ClustersConfigDump=clusters({"name": "c"})))
    assert opened(kept, str(path)).texts == {}
    missing = str(tmp_path / "none")
    with pytest.raises(SourceError):
        opened(kept, missing)
    assert len(kept.kept) == 1
