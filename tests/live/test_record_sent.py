"""`meshdoctor record` asks istiod what it would send the sidecars that do not run it, and no others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from meshdoctor.cli import main
from meshdoctor.commands.recorded_moment import MOST_SENT, out_of_sync
from meshdoctor.mesh.proxy.protojson import to_protojson
from meshdoctor.model.istiod import ResourceSync, SyncRecord
from meshdoctor.model.moment import rfc3339
from meshdoctor.model.snapshot import PodRef
from meshdoctor.recording.bundle.reader import Bundle
from meshdoctor.recording.opening import open_any
from tests.live.apiserver import ApiServer

NOW = 1_770_000_000.0
Captured = pytest.CaptureFixture[str]


def syncz(folder: Path) -> Path:
    return next(iter(sorted(folder.glob("istiod/*/syncz.json"))))


def fall_behind(folder: Path, kind: str = "sidecar") -> list[str]:
    """Every proxy of a kind has not acknowledged its clusters; returns their names."""
    known = json.loads(syncz(folder).read_bytes())
    changed = [entry for entry in known if entry["proxy_type"] == kind]
    for entry in changed:
        url = next(name for name in entry["resources"] if name.endswith(".Cluster"))
        entry["resources"][url] |= {"sent": "new", "acked": "old", "sentTime": "2026-01-01T00:00:00Z"}
    syncz(folder).write_text(json.dumps(known))
    return [entry["proxy"] for entry in changed]


def serve_sent(folder: Path, proxy: str) -> None:
    """istiod would send *proxy*'s own configuration with another timeout, as Go's protojson prints it."""
    pod, _, namespace = proxy.partition(".")
    body = (folder / "envoy" / namespace / pod / "config_dump.json").read_bytes()
    body = body.replace(b'"connect_timeout": "10s"', b'"connect_timeout": "11s"')
    sections = [{"@type": one["@type"], **to_protojson(one)} for one in json.loads(body)["configs"]]
    (syncz(folder).parent / "config_dump.json").write_text(json.dumps({"configs": sections}))


def record(kubeconfig: str, path: Path, *flags: str) -> Path:
    assert main(["record", "--kubeconfig", kubeconfig, "--since", "1000h", "-o", str(path), *flags]) == 0
    return path


def sent_entries(path: Path) -> dict[str, Any]:
    with Bundle(path) as bundle:
        return {entry.file: entry for entry in bundle.index(1).entries if "/config_dump/" in entry.file}


def printed(capsys: Captured, *arguments: str) -> str:
    capsys.readouterr()
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_what_istiod_would_send_is_in_the_bundle(
    cluster: tuple[ApiServer, str], folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    behind = fall_behind(folder)
    assert len(behind) > MOST_SENT
    serve_sent(folder, behind[0])
    path = record(cluster[1], tmp_path / "a.mdb")
    found = sent_entries(path)
    assert len(found) == len(behind)
    kept = [file for file, entry in found.items() if entry.status == "ok"]
    assert len(kept) == MOST_SENT
    rest = {entry.error for entry in found.values() if entry.status == "not asked for"}
    assert rest == {f"istiod is asked about {MOST_SENT} proxies at each moment, and was asked about others"}
    stems = {file.rpartition("/")[2].rsplit("-", 2)[0] for file in found}
    assert {file.rpartition("/")[2].rsplit("-", 2)[0] for file in kept} == stems, "one of each workload first"
    *_, namespace, file = kept[0].split("/")
    asked = f"{file.removesuffix('.json')}.{namespace}"
    told = printed(capsys, "proxy-status", asked, "--recording", str(path))
    assert "STALE" in told
    assert re.search('connect_?[tT]imeout: istiod "11s", Envoy "10s"', told)
    skipped = next(file for file, entry in found.items() if entry.status == "not asked for").split("/")
    told = printed(
        capsys, "proxy-status", f"{skipped[-1].removesuffix('.json')}.{skipped[-2]}", "--recording", str(path)
    )
    assert "what istiod would send is not known" in told
    assert "asked about others" in told
    # The reason stays when the bundle is redacted into another one.
    assert main(["bundle", "redact", str(path), "-o", str(tmp_path / "b.mdb")]) == 0
    assert {file: entry.status for file, entry in sent_entries(tmp_path / "b.mdb").items()} == {
        file: entry.status for file, entry in found.items()
    }


def test_proxies_in_sync_and_gateways_are_not_asked_about(
    cluster: tuple[ApiServer, str], folder: Path, tmp_path: Path
) -> None:
    fall_behind(folder, "router")
    serve_sent(folder, json.loads(syncz(folder).read_bytes())[0]["proxy"])
    assert sent_entries(record(cluster[1], tmp_path / "a.mdb")) == {}


def test_an_istiod_that_does_not_answer_costs_nothing_else(
    cluster: tuple[ApiServer, str], folder: Path, tmp_path: Path
) -> None:
    fall_behind(folder)  # and nothing is served at /debug/config_dump: 404, as for a proxy of another istiod
    path = record(cluster[1], tmp_path / "a.mdb")
    assert {entry.status for entry in sent_entries(path).values()} == {"failed", "not asked for"}
    assert any(file.startswith("logs/") for file in open_any([path]).files)


def test_a_large_configuration_is_not_generated_for_us(
    cluster: tuple[ApiServer, str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_sent(folder, fall_behind(folder)[0])
    monkeypatch.setattr("meshdoctor.commands.recorded_moment.LARGEST_SENT", 1 << 10)
    found = sent_entries(record(cluster[1], tmp_path / "a.mdb", "--namespaces", "shop"))
    assert {entry.status for entry in found.values()} == {"not asked for"}
    assert all("istiod is asked about configurations of up to" in entry.error for entry in found.values())
    assert {file.split("/")[3] for file in found} == {"shop"}


def test_istiod_is_not_asked_when_it_would_take_one_proxy_for_another(
    cluster: tuple[ApiServer, str], folder: Path, tmp_path: Path
) -> None:
    one = fall_behind(folder)[0]
    serve_sent(folder, one)
    known = json.loads(syncz(folder).read_bytes())
    twin = next(entry for entry in known if entry["proxy"] == one) | {"proxy": f"my-{one}-east", "resources": {}}
    syncz(folder).write_text(json.dumps([*known, twin]))
    found = sent_entries(record(cluster[1], tmp_path / "a.mdb"))
    pod, _, namespace = one.partition(".")
    entry = next(entry for file, entry in found.items() if file.endswith(f"/{namespace}/{pod}.json"))
    assert (entry.status, f"that of my-{one}-east has the same part" in entry.error) == ("not asked for", True)


def waiting(proxy: str, seconds: float, error: str = "", kind: str = "sidecar") -> SyncRecord:
    state = ResourceSync("new", "old", sent_time=rfc3339(NOW - seconds), last_error=error)
    return SyncRecord(proxy, proxy_type=kind, resources={"type.googleapis.com/envoy.config.cluster.v3.Cluster": state})


def test_the_rejected_first_then_the_longest_waiting() -> None:
    records = [
        waiting("a-1.depot", 60),
        waiting("b-1.depot", 600),
        waiting("c-1.depot", 1, "bad route"),
        waiting("d-1.depot", 5),  # its answer may still be on the way
        waiting("gate-1.depot", 600, "bad", "router"),
        waiting("way-1.depot", 600, "bad", "waypoint"),
        SyncRecord("e-1.depot", proxy_type="sidecar"),
    ]
    chosen = [want.pod for want in out_of_sync("istiod-1", records, NOW)]
    assert chosen == [PodRef("depot", name) for name in ("c-1", "b-1", "a-1")]
