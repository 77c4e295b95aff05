"""A proxy of which only the config dump is there: what is not known is not shown as empty, and why is said in full."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from meshdoctor.mesh.overview import ProxyState
from meshdoctor.mesh.sync import ProxySync
from meshdoctor.model.snapshot import PodRef
from meshdoctor.present.mesh_rows import DETAIL_LINES, detail
from meshdoctor.present.words import Words
from meshdoctor.sources.recording import RecordingSource
from meshdoctor.tui.app import MeshDoctorApp
from meshdoctor.tui.examined import ExaminedSession
from tests.screens.shipped import settled

POD = PodRef("books", "api-1")


async def test_tables_that_were_not_read_are_not_empty(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"finishedAt": "2026-01-02T03:04:05Z"}))
    folder = tmp_path / "envoy" / POD.namespace / POD.name
    folder.mkdir(parents=True)
    (folder / "config_dump.json").write_text('{"configs": []}')
    session = ExaminedSession("case", lambda: RecordingSource.open(tmp_path))
    app = MeshDoctorApp(session, start="mesh", theme="md-dark", words=Words("en"))
    async with app.run_test(size=(80, 24)) as pilot:
        text = "\n".join(await settled(pilot))
        assert "what istiod says of its proxies is not in this source" in text
        assert "istioctl proxy-status" not in text
        await pilot.press("enter")
        assert (await settled(pilot))[2] == " 1 listeners[0]  2 routes[0]  3 clusters[0]  4 endpoints[?]  5 certs[?]"
        await pilot.press("5")
        text = "\n".join(await settled(pilot))
        assert "whether this proxy has any is not known" in text
        assert "envoy/books/api-1/certs.json: not recorded" in text
        await pilot.press("3")
        assert "this proxy has none" in "\n".join(await settled(pilot))


async def test_a_proxy_of_which_only_its_hosts_are_there(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"finishedAt": "2026-01-02T03:04:05Z"}))
    folder = tmp_path / "envoy" / POD.namespace / POD.name
    folder.mkdir(parents=True)
    address = {"socket_address": {"address": "10.0.0.7", "port_value": 8080}}
    status = {"name": "outbound|80||cart.shop.svc.cluster.local", "host_statuses": [{"address": address}]}
    (folder / "clusters.json").write_text(json.dumps({"cluster_statuses": [status]}))
    session = ExaminedSession("case", lambda: RecordingSource.open(tmp_path))
    app = MeshDoctorApp(session, start=f"proxy {POD}", theme="md-dark", words=Words("en"))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("4")
        text = await settled(pilot)
        assert text[2] == " 1 listeners[?]  2 routes[?]  3 clusters[?]  4 endpoints[1]  5 certs[?]"
        assert "10.0.0.7:8080" in text[4]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_why_a_proxy_is_ill_is_wrapped(width: int) -> None:
    sync = ProxySync(POD, "sidecar", "unknown", notes=("one two three four five six seven eight nine ten",) * 2)
    state = ProxyState(POD, "?", sync)
    lines = [line.plain for line in detail(state, Words("en"), width)]
    assert len(lines) <= DETAIL_LINES
    assert max(map(cell_len, lines)) < width
    assert "; ".join(sync.notes) == " ".join(" ".join(lines[1:]).split())
    long = ProxyState(POD, "?", ProxySync(POD, "sidecar", "unknown", notes=("words " * 400,)))
    lines = [line.plain for line in detail(long, Words("en"), width)]
    assert len(lines) == DETAIL_LINES
    assert lines[-1].rstrip().endswith("..")
    assert max(map(cell_len, lines)) < width
