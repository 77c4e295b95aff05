"""`meshdoctor record --from-recording`, `bundle` and `compare`, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshdoctor.recording.bundle.reader import Bundle
from tests.acceptance.command import run
from tests.recordings import Recording, access_line

MOMENTS = ("2026-03-03T09:00:00Z", "2026-03-03T09:01:00Z")


def pod(name: str, ready: bool) -> dict[str, object]:
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]}
    return {"metadata": {"name": name, "namespace": "depot"}, "status": status}


def slice_of(*endpoints: tuple[str, bool]) -> dict[str, object]:
    labels = {"kubernetes.io/service-name": "cart"}
    listed = [{"addresses": [address], "conditions": {"ready": ready}} for address, ready in endpoints]
    return {"metadata": {"name": "cart-x", "namespace": "depot", "labels": labels}, "endpoints": listed}


def route(cluster: str) -> dict[str, object]:
    config = {"name": "80", "virtual_hosts": [{"name": "cart", "routes": [{"route": {"cluster": cluster}}]}]}
    section = {"@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump", "dynamic_route_configs": [
        {"version_info": "1", "last_updated": "2026-03-03T09:00:00Z", "route_config": config}]}  # fmt: skip
    return {"configs": [section]}


def synced(acked: str) -> list[dict[str, object]]:
    return [{"proxy": "web-1.depot", "resources": {"envoy.config.cluster.v3.Cluster": {"sent": "2", "acked": acked}}}]


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Two moments: a VirtualService came, a pod became unready, a route changed, a proxy fell behind."""
    recording = Recording(tmp_path)
    for number, moment in enumerate(MOMENTS):
        top = f"snapshots/{moment}"
        recording.put(f"{top}/kube/core/v1/pods.json", {"items": [pod("cart-1", not number)]})
        virtual = (
            [{"metadata": {"name": "canary", "namespace": "depot"}, "spec": {"hosts": ["cart"]}}] if number else []
        )
        recording.put(f"{top}/kube/networking.istio.io/v1/virtualservices.json", {"items": virtual})
        slices = slice_of(("10.1.0.1", not number), ("10.1.0.2", True)) if number else slice_of(("10.1.0.1", True))
        recording.put(f"{top}/kube/discovery.k8s.io/v1/endpointslices.json", {"items": [slices]})
        recording.put(f"{top}/envoy/depot/web-1/config_dump.json", route("v2" if number else "v1"))
        recording.put(f"{top}/istiod/istiod-1/syncz.json", synced("1" if number else "2"))
        recording.put(f"{top}/logs/depot/web-1/istio-proxy.log", access_line(number))
    return recording.write()


def test_from_a_recording_to_a_bundle_and_back(series: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mdb"
    done = run(["record", "--from-recording", str(series), "-o", str(path)])
    assert (done.exit, done.stdout) == (0, f"2 moments in {path}\n")
    shown = run(["bundle", "inspect", str(path), "--redaction-report"]).stdout
    assert f"{MOMENTS[1]}  6 ok; 1 of 1 proxies" in shown
    found = json.loads(run(["bundle", "inspect", str(path), "-o", "json"]).stdout)
    assert [index["name"] for index in found["snapshots"]] == list(MOMENTS)
    whole = run(["bundle", "verify", str(path)])
    assert (whole.exit, whole.stdout[:17]) == (0, "whole: 2 moments,")
    again = run(["bundle", "redact", str(path), "-o", str(tmp_path / "b.mdb")])
    assert again.exit == 0
    with Bundle(path) as one, Bundle(tmp_path / "b.mdb") as other:
        assert [one.index(n).entries[0].size for n in (1, 2)] == [other.index(n).entries[0].size for n in (1, 2)]


def test_what_would_be_recorded(series: Path, tmp_path: Path) -> None:
    done = run(["record", "--from-recording", str(series), "-o", str(tmp_path / "a.mdb"), "--dry-run"])
    assert "record  envoy/depot/web-1/config_dump.json" in done.stdout
    assert not (tmp_path / "a.mdb").exists()


def test_repair_says_where_the_saved_moments_are(series: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mdb"
    run(["record", "--from-recording", str(series), "-o", str(path)])
    cut = tmp_path / "a.mdb.part"
    cut.write_bytes(path.read_bytes()[:-200])
    assert run(["bundle", "verify", str(cut)]).stderr.startswith(f"meshdoctor: {cut}: the bundle")
    done = run(["bundle", "repair", str(cut)])
    assert done.stdout == f"2 moments saved: {tmp_path / 'a.repaired.mdb'}\n"
    assert run(["bundle", "verify", str(tmp_path / "a.repaired.mdb")]).exit == 0
    assert "exists" in run(["bundle", "repair", str(cut)]).stderr


def test_what_changed_between_two_moments(series: Path) -> None:
    told = run(["compare", str(series)])
    assert told.exit == 0
    for line in (
        f"{MOMENTS[0]} -> {MOMENTS[1]}",
        "  added    VirtualService depot/canary",
        "  changed  Pod depot/cart-1",
        "           status.conditions[0].status: True -> False",
        "           10.1.0.1: ready -> not ready",
        "           10.1.0.2 ready is new",
        "  changed  route 80",
        "           Cluster: synced -> stale",
    ):
        assert line in told.stdout.splitlines()
    same = run(["compare", str(series), "--at", MOMENTS[1], "--with", MOMENTS[1]])
    assert "Nothing changed" in same.stdout
    found = json.loads(run(["compare", str(series), "-o", "json"]).stdout)
    assert {change["area"] for change in found["changes"]} == {"object", "endpoint", "proxy", "sync"}


def test_mistakes_are_told_in_one_line(series: Path, tmp_path: Path) -> None:
    for arguments, words in (
        (["compare", str(series), "--at", "yesterday"], "is no time"),
        (["compare", str(series), "--at", "2020-01-01T00:00:00Z"], "begins at"),
        (["record", "--from-recording", str(series), "--every", "soon"], "--every 'soon' cannot be used"),
        (["record", "--from-recording", str(tmp_path / "none")], "no such file"),
        (["record", "--from-recording", str(series), "-o", str(tmp_path / "no" / "a.mdb")], "another place"),
        (["bundle", "inspect", str(series)], "Is a directory"),
    ):
        done = run(arguments)
        assert (done.exit, done.stderr.count("\n")) == (2, 1), done.stderr
        assert words in done.stderr


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["record", "--limit", "0"], "--limit '0' cannot be used"),
        (["record", "--every", "1s", "--count", "-1"], "--count '-1' cannot be used"),
        (["record", "--count", "3"], "--count 3 needs --every"),
        (["record", "--every", "5"], "--every '5' cannot be used"),
        (["record", "--from-recording", "SERIES", "--every", "5s"], "files have the moments that they have"),
        (["record", "--from-recording", "SERIES", "--namespaces", "no one"], "names no namespace"),
        (["bundle", "repair", "."], "Is a directory"),
        (["bundle", "inspect", "SERIES"], "not a bundle"),
        (["compare", "SERIES", "--at", "soon"], "--at 'soon' is no time"),
    ],
)
def test_what_cannot_be_done_is_one_line(series: Path, tmp_path: Path, flags: list[str], says: str) -> None:
    file = tmp_path / "file"
    file.write_text("no bundle")
    inspected = flags[:2] == ["bundle", "inspect"]
    named = [str(file if inspected else series) if flag == "SERIES" else flag for flag in flags]
    done = run([*named, *(["-o", str(tmp_path / "x.mdb")] if flags[0] == "record" else [])])
    assert done.exit == 2
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert not list(tmp_path.glob("x.mdb*"))


def test_of_a_recording_some_namespaces(series: Path, tmp_path: Path) -> None:
    whole, part = tmp_path / "a.mdb", tmp_path / "b.mdb"
    assert run(["record", "--from-recording", str(series), "-o", str(whole)]).exit == 0
    done = run(["record", "--from-recording", str(whole), "-o", str(part), "--namespaces", "elsewhere"])
    assert (done.exit, done.stdout) == (0, f"2 moments in {part}\n")
    shown = run(["bundle", "inspect", str(part)]).stdout
    assert "3 partial" in shown
    assert "    3 lists are of elsewhere, istio-system only (--namespaces)" in shown
    with Bundle(part) as bundle:
        entries = {entry.file: entry for entry in bundle.index(1).entries}
    assert entries["kube/core/v1/pods.json"].namespaces == ["elsewhere", "istio-system"]
    assert not any(file.startswith(("envoy/", "logs/")) for file in entries)
    # And once more: what a part is of, is not forgotten.
    again = tmp_path / "c.mdb"
    assert run(["record", "--from-recording", str(part), "-o", str(again), "--namespaces", "depot"]).exit == 0
    with Bundle(again) as bundle:
        entries = {entry.file: entry for entry in bundle.index(1).entries}
    assert entries["kube/core/v1/pods.json"].namespaces == ["istio-system"]


def test_the_order_in_which_maps_are_printed_is_no_change(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    metadata = [{"istio": {"a": 1}, "envoy.lb": {"b": 2}}, {"envoy.lb": {"b": 2}, "istio": {"a": 1}}]
    for number, moment in enumerate(MOMENTS):
        config = {"name": "80", "metadata": {"filter_metadata": metadata[number]}, "virtual_hosts": []}
        section = {"@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump", "dynamic_route_configs": [
            {"version_info": "1", "last_updated": "2026-03-03T09:00:00Z", "route_config": config}]}  # fmt: skip
        recording.put(f"snapshots/{moment}/envoy/depot/web-1/config_dump.json", {"configs": [section]})
        leader = {"control-plane.alpha.kubernetes.io/leader": f"renewed {number}"}
        lock = {"metadata": {"name": "istio-leader", "namespace": "istio-system", "annotations": leader}}
        recording.put(f"snapshots/{moment}/kube/core/v1/configmaps.json", {"items": [lock]})
    assert "Nothing changed" in run(["compare", str(recording.write())]).stdout
