"""Why a proxy does not run what it should, in the application: from the view of the mesh with D."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from meshdoctor.present.words import Language, Words
from meshdoctor.sources.recording import RecordingSource
from meshdoctor.tui.app import MeshDoctorApp
from meshdoctor.tui.examined import ExaminedSession
from tests.screens.shipped import FIXTURES, column, move_to, settled, table_of, text_of


def rewritten(path: Path, change: Any) -> None:
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value))


def behind(tmp_path: Path) -> tuple[Path, str]:
    """An incident in which one sidecar refused a listener, is late with its clusters and lost an endpoint."""
    with tarfile.open(FIXTURES / "pine.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    root = next(tmp_path.rglob("manifest.json")).parent
    pod = next((root / "envoy" / "shop").glob("web-*")).name

    def refuse(dump: dict[str, Any]) -> None:
        section = next(each for each in dump["configs"] if each["@type"].endswith("ListenersConfigDump"))
        error = {"details": "no such filter", "last_update_attempt": "2026-11-23T10:00:00Z"}
        section["dynamic_listeners"].append({"name": "0.0.0.0_9999", "error_state": error})
        section = next(each for each in dump["configs"] if each["@type"].endswith("EndpointsConfigDump"))
        for entry in section["dynamic_endpoint_configs"]:
            if "cart.shop" in entry["endpoint_config"]["cluster_name"]:
                entry["endpoint_config"]["endpoints"] = []

    def fall_behind(records: list[dict[str, Any]]) -> None:
        record = next(each for each in records if each["proxy"] == f"{pod}.shop")
        for kind, entry in record["resources"].items():
            if kind.endswith("Cluster"):
                entry["acked"], entry["sentTime"] = "older", "2020-01-01T00:00:00Z"

    rewritten(root / "envoy" / "shop" / pod / "config_dump.json", refuse)
    rewritten(next((root / "istiod").glob("*/syncz.json")), fall_behind)
    return root, pod


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_d_on_a_stale_proxy_shows_all_that_is_known(tmp_path: Path, language: Language) -> None:
    root, pod = behind(tmp_path)
    session = ExaminedSession("behind", lambda: RecordingSource.open(root))
    app = MeshDoctorApp(session, start="mesh", theme="md-dark", words=Words(language))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: cell == pod)
        assert "STALE" in column(app, "state")
        await pilot.press("D")
        await settled(pilot)
        assert app.view and str(app.view.location) == f"difference shop/{pod} istiod"
        what = list(zip(column(app, "what"), column(app, "kind"), strict=True))
        assert ("rejected", "listener") in what
        assert ("lacks", "endpoints") in what
        assert ("not acked", "CDS") in what
        assert what[-1] == ("unknown", "-")
        move_to(app, lambda cell: cell == "rejected")
        assert "no such filter" in text_of(app)
        move_to(app, lambda cell: cell == "lacks")
        assert "10." in text_of(app)
        await pilot.press("enter")
        await settled(pilot)
        assert str(app.view.location).startswith(f"dump shop/{pod} endpoint ")


async def test_a_proxy_that_only_istiod_knows(tmp_path: Path) -> None:
    root, _ = behind(tmp_path)

    def add(records: list[dict[str, Any]]) -> None:
        records.append({**records[0], "proxy": "vm-7.machines", "cluster_id": "elsewhere", "proxy_type": "sidecar"})

    rewritten(next((root / "istiod").glob("*/syncz.json")), add)
    session = ExaminedSession("behind", lambda: RecordingSource.open(root))
    app = MeshDoctorApp(session, start="mesh", theme="md-dark", words=Words("en"))
    async with app.run_test(size=(100, 24)) as pilot:
        await settled(pilot)
        move_to(app, lambda cell: cell == "vm-7")
        assert table_of(app).cursor_row is not None
        await pilot.press("D")
        await settled(pilot)
        assert column(app, "what")[-1] == "unknown"
        move_to(app, lambda cell: cell == "unknown")
        assert "what Envoy runs, and what it refused, is not known" in text_of(app)


async def test_y_shows_just_this_object(tmp_path: Path) -> None:
    root, pod = behind(tmp_path)
    session = ExaminedSession("one", lambda: RecordingSource.open(root))
    app = MeshDoctorApp(session, start=f"proxy shop/{pod} listeners", theme="md-dark", words=Words("en"))
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        for key, kind, field in (
            ("1", "chain", "filters"),
            ("4", "endpoint", "health_status"),
            ("5", "certificate", ""),
        ):
            await pilot.press(key)
            await settled(pilot)
            if kind == "chain":
                move_to(app, lambda cell: cell == "any")  # the first row is the listener without any
            await pilot.press("y")
            await settled(pilot)
            assert app.view and str(app.view.location).startswith(f"dump shop/{pod} {kind} ")
            assert f'"{field or "serial_number"}"' in text_of(app)
            assert '"filter_chains"' not in text_of(app)
            assert '"lb_endpoints"' not in text_of(app)
            await pilot.press("q")
            await settled(pilot)
