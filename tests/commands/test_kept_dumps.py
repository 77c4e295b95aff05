from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from meshdoctor.cli import main
from meshdoctor.commands.kept_dumps import KEPT, KeptDumps
from meshdoctor.errors import SourceError
from tests.mesh.proxy.dumps import clusters, dump

Captured = pytest.CaptureFixture[str]


def large(path: Path, name: str, **more: object) -> str:
    """A dump of more than a MB with a thousand clusters of that name."""
    bodies = [{"name": f"outbound|80||{name}-{number}", "type": "EDS", "x": "y" * 1000} for number in range(1100)]
    path.write_bytes(dump(ClustersConfigDump=clusters(*bodies), **more))  # type: ignore[arg-type]
    return str(path)


def test_a_large_file_is_read_once_and_its_tables_are_prepared(tmp_path: Path) -> None:
    kept, path = KeptDumps(), large(tmp_path / "a.json", "cart")
    with kept.opened(path) as first:
        assert first.sections.decoded == {}
    kept.settle()
    assert first.sections.decoded
    with kept.opened(path) as second:
        assert second is first
    kept.settle()


def test_a_changed_file_is_another_one(capsys: Captured, tmp_path: Path) -> None:
    path = large(tmp_path / "a.json", "cart")
    assert main(["proxy-config", "cluster", "--file", path]) == 0
    assert "cart-7 " in capsys.readouterr().out
    KEPT.settle()
    large(tmp_path / "a.json", "till")
    os.utime(path, ns=(1, 1))
    assert main(["proxy-config", "cluster", "--file", path]) == 0
    printed = capsys.readouterr().out
    assert "till-7 " in printed
    assert "cart-7 " not in printed
    KEPT.settle()


def test_what_could_not_be_read_is_said_by_every_command_that_shows_it(capsys: Captured, tmp_path: Path) -> None:
    path = Path(large(tmp_path / "a.json", "cart"))
    parsed = json.loads(path.read_bytes())
    parsed["configs"][0]["dynamic_active_clusters"][3]["cluster"]["name"] = 7
    path.write_text(json.dumps(parsed))
    for _ in range(2):
        assert main(["proxy-config", "cluster", "--file", str(path)]) == 0
        assert "dynamic_active_clusters[3]" in capsys.readouterr().err
        KEPT.settle()


def test_small_files_and_missing_ones_are_not_kept(tmp_path: Path) -> None:
    kept, path = KeptDumps(), tmp_path / "a.json"
    path.write_bytes(dump(ClustersConfigDump=clusters({"name": "c"})))
    with kept.opened(str(path)) as first:
        assert first.sections.parts
    with kept.opened(str(path)) as second:
        assert second is not first
    with pytest.raises(SourceError), kept.opened(str(tmp_path / "none")) as missing:
        missing.body("config_dump.json")
