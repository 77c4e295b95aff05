"""A recording answers every want with a fact or one reason; one bad file costs one fact, and the rest is used."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from meshdoctor.model import wants as ask
from meshdoctor.model.kubernetes import Pod
from meshdoctor.model.snapshot import Fact, Missing, PodRef, Snapshot, Want
from meshdoctor.sources.recording import RecordingSource
from tests.envoy_dumps import certificates, cluster, clusters, config_dump, server_info
from tests.kube_objects import pod, service
from tests.moments import START
from tests.recordings import Recording, access_line, call_line

PICKER = PodRef("depot", "picker-1")
LOG = ask.LogRef(PICKER, "istio-proxy")
PODS = "kube/core/v1/pods.json"
DUMP = "envoy/depot/picker-1/config_dump.json"


def depot(root: Path) -> Recording:
    recording = Recording(root)
    recording.objects("Pod", pod("picker-1", "depot", "10.40.1.5"), pod("picker-2", "depot", "10.40.1.6"))
    recording.objects("Service", service("ledger", "books", "10.96.44.3", [(8090, "http", 9191)]))
    recording.proxy(
        "depot/picker-1",
        config_dump=config_dump(clusters=[cluster("outbound|8090||ledger.books.svc.cluster.local")]),
        clusters=clusters("outbound|8090||ledger.books.svc.cluster.local", {"10.40.2.7:9191": {}}),
        certs=certificates("spiffe://cluster.local/ns/depot/sa/picker", "1f"),
        server_info=server_info(),
        init_dump={},
        listeners={"listener_statuses": [{"name": "virtualInbound"}]},
    )
    recording.put("envoy/depot/picker-1/ready.txt", "LIVE\n")
    recording.put("envoy/depot/picker-1/stats.prom", 'envoy_cluster_upstream_rq{code="503"} 7\n')
    recording.log("depot/picker-1", "istio-proxy", access_line(1), "not a line")
    recording.log("depot/picker-1", "server", call_line(1, "http://ledger.books:8090/page", 503), "plain")
    recording.log("depot/picker-1", "server", "panic: out of memory", previous=True)
    return recording.syncz("depot/picker-1").mesh(rootNamespace="istio-config")


def answer(source: RecordingSource, want: Want[Any]) -> Fact[Any] | Missing:
    return source.read([want]).get(want)


def every_want() -> list[Want[Any]]:
    istiod = "istiod-6f7c9d8b5c-q2w4x"
    return [
        ask.Contents(),
        ask.Objects("Pod"),
        ask.Objects("Service"),
        ask.ProxyConfig(PICKER),
        ask.ProxyBody(PICKER, "certs.json"),
        ask.ProxyClusters(PICKER),
        ask.ProxyCertificates(PICKER),
        ask.ProxyListeners(PICKER),
        ask.ProxyServerInfo(PICKER),
        ask.ProxyInitDump(PICKER),
        ask.ProxyReady(PICKER),
        ask.ProxyMetrics(PICKER),
        ask.SyncStatus(istiod),
        ask.Mesh(),
        ask.AccessLog(LOG),
        ask.ApplicationLog(ask.LogRef(PICKER, "server")),
        ask.LogText(ask.LogRef(PICKER, "server", previous=True)),
        ask.RecordedFile(DUMP),
    ]


def test_every_want_is_answered(tmp_path: Path) -> None:
    snapshot = depot(tmp_path).source().read(every_want())
    assert snapshot.missing() == {}
    assert snapshot.value(ask.ProxyReady(PICKER)) == "LIVE"
    assert [one.value for one in snapshot.value(ask.ProxyMetrics(PICKER)) or ()] == [7.0]
    assert (snapshot.value(ask.Mesh()) or pytest.fail()).root_namespace == "istio-config"
    records = snapshot.value(ask.SyncStatus("istiod-6f7c9d8b5c-q2w4x")) or ()
    assert [(one.namespace, one.pod) for one in records] == [("depot", "picker-1")]
    log = snapshot.value(ask.AccessLog(LOG)) or pytest.fail()
    assert ([line.code for line in log.lines], log.skipped) == ([200], {"other": 1})
    calls = snapshot.value(ask.ApplicationLog(ask.LogRef(PICKER, "server"))) or pytest.fail()
    assert [(call.host, call.port, call.status) for call in calls.calls] == [("ledger.books", 8090, 503)]
    assert "panic" in (snapshot.value(ask.LogText(ask.LogRef(PICKER, "server", previous=True))) or "")


def test_the_origin_says_which_file_and_when(tmp_path: Path) -> None:
    found = answer(depot(tmp_path).source(), ask.Objects("Pod"))
    assert isinstance(found, Fact)
    assert (found.origin.file, found.origin.read_at) == (PODS, START + 600)


def test_the_inventory(tmp_path: Path) -> None:
    inventory = depot(tmp_path).source().read([ask.Contents()]).value(ask.Contents())
    assert inventory is not None
    assert inventory.proxies == (PICKER,)
    assert inventory.istiods == ("istiod-6f7c9d8b5c-q2w4x",)
    assert set(inventory.logs) == {
        LOG,
        ask.LogRef(PICKER, "server"),
        ask.LogRef(PICKER, "server", previous=True),
    }
    assert set(inventory.kinds) == {"Pod", "Service"}


def test_nothing_is_read_before_it_is_asked_for_and_nothing_twice(tmp_path: Path) -> None:
    source = depot(tmp_path).source()
    snapshot = source.read([ask.Objects("Pod")])
    assert not snapshot.has(ask.ProxyConfig(PICKER))
    assert str(snapshot.get(ask.ProxyConfig(PICKER))) == "not asked for"
    (tmp_path / "recording" / PODS).unlink()
    assert source.read([ask.Objects("Pod")], snapshot).value(ask.Objects("Pod"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b'{"items": [', "not valid JSON"),
        (b"<html>502 Bad Gateway</html>", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b'{"items": [' + b'{"a": [' * 100_000, "not valid JSON"),
        (b'"text"', "unexpected shape"),
        (b'{"items": "none"}', "unexpected shape"),
    ],
    ids=["empty", "blank", "cut", "html", "bytes", "deep", "text", "shape"],
)
def test_a_bad_file_is_one_missing_fact(tmp_path: Path, body: bytes, reason: str) -> None:
    source = depot(tmp_path).put(PODS, body).source()
    snapshot = source.read(every_want())
    (want,) = snapshot.missing()
    missing = snapshot.missing()[want]
    assert want == ask.Objects("Pod")
    assert missing.reason == "unreadable"
    assert reason in missing.detail
    assert missing.file == PODS
    assert "\n" not in str(missing)


@pytest.mark.parametrize("want", [want for want in every_want() if "Proxy" in type(want).__name__], ids=repr)
def test_no_answer_of_a_proxy_crashes_on_any_shape(tmp_path: Path, want: Want[Any]) -> None:
    for body in (b"", b"[]", b"{}", b"null", b"7", b'{"configs": {}}', b'{"configs": [7, null, {"@type": 3}]}', b"\0"):
        recording = depot(tmp_path)
        for name in [name for name in recording.files if name.startswith("envoy/")]:
            recording.put(name, body)
        found = answer(recording.source(), want)
        assert isinstance(found, Fact) or (found.reason, "\n" in found.detail) == ("unreadable", False)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    found = answer(depot(tmp_path).drop(DUMP).source(), ask.ProxyConfig(PICKER))
    assert found == Missing("not recorded", "", DUMP)


def test_what_the_recorder_said_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    recording = depot(tmp_path).drop(DUMP)
    recording.manifest["errors"] = [{"file": DUMP, "error": "exec: \x1b[31mcontainer not found"}]
    found = answer(recording.source(), ask.ProxyConfig(PICKER))
    assert isinstance(found, Missing)
    assert (found.reason, "␛[31mcontainer not found" in found.detail) == ("failed", True)


def test_one_broken_object_costs_only_itself(tmp_path: Path) -> None:
    recording = depot(tmp_path)
    recording.objects("Pod", {"metadata": "x"}, {"metadata": {"name": 3, "labels": []}}, pod("c", "d", "1"))
    found = answer(recording.source(), ask.Objects("Pod"))
    assert isinstance(found, Fact)
    names = [one.name for one in found.value if isinstance(one, Pod)]
    assert names == ["picker-1", "picker-2", "c"]
    assert [problem.partition(":")[0] for problem in found.problems] == ["item 2", "item 3"]


def test_a_list_without_items(tmp_path: Path) -> None:
    bodies: tuple[dict[str, Any], ...] = ({"items": None}, {"kind": "PodList"}, {"items": []})
    for body in bodies:
        found = answer(depot(tmp_path).put(PODS, body).source(), ask.Objects("Pod"))
        assert isinstance(found, Fact) and found.value == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    folder = depot(tmp_path).write()
    (folder / PODS).chmod(0)
    found = answer(RecordingSource.open(folder), ask.Objects("Pod"))
    assert isinstance(found, Missing) and found.reason == "unreadable"


def test_a_file_that_vanishes_while_it_is_read(tmp_path: Path) -> None:
    source = depot(tmp_path).source()
    (tmp_path / "recording" / PODS).unlink()
    found = answer(source, ask.Objects("Pod"))
    assert isinstance(found, Missing)
    assert (found.reason, found.detail) == ("unreadable", "No such file or directory")


def test_hostile_text_is_visible_in_every_fact(tmp_path: Path) -> None:
    recording = depot(tmp_path).put("envoy/depot/picker-1/ready.txt", b"LIVE\x1b]0;x\x07")
    recording.put("logs/depot/picker-1/server.log", b"\x1b[2Jgone \xe2\x80\xae \xff\n")
    recording.objects("Pod", pod("evil\u202e\x1b[2J", "depot", "10.0.0.1"))
    snapshot = recording.source().read([*every_want(), ask.LogText(ask.LogRef(PICKER, "server"))])
    texts = [
        snapshot.value(ask.ProxyReady(PICKER)),
        snapshot.value(ask.LogText(ask.LogRef(PICKER, "server"))),
        *(one.name for one in snapshot.value(ask.Objects("Pod")) or ()),
    ]
    assert not [text for text in texts if text and ("\x1b" in text or "\u202e" in text or "\x07" in text)]


def test_snapshots_share_what_is_known(tmp_path: Path) -> None:
    source = depot(tmp_path).source()
    one = source.read([ask.Objects("Pod")], Snapshot(source.info, {}))
    two = source.read([ask.Objects("Service")], one)
    assert not one.has(ask.Objects("Service"))
    assert two.has(ask.Objects("Pod")) and two.has(ask.Objects("Service"))
    assert two.lacks([ask.Objects("Pod"), ask.Mesh(), ask.Mesh()]) == [ask.Mesh()]


def test_one_object_is_the_bytes_of_its_list(tmp_path: Path) -> None:
    source = depot(tmp_path).source()
    found = answer(source, ask.ObjectBody("Pod", "depot", "picker-2"))
    assert isinstance(found, Fact)
    assert b'"10.40.1.6"' in found.value
    assert b'"10.40.1.5"' not in found.value
    gone = answer(source, ask.ObjectBody("Pod", "depot", "picker-3"))
    assert isinstance(gone, Missing) and gone.reason == "not recorded"
    assert "no Pod picker-3" in gone.detail
    assert isinstance(answer(source, ask.ObjectBody("Gateway", "depot", "edge")), Missing)


def test_one_object_is_found_behind_one_that_does_not_decode(tmp_path: Path) -> None:
    recording = depot(tmp_path)
    recording.put(PODS, json.dumps({"items": ["not kept", pod("picker-2", "depot", "10.40.1.6")]}))
    found = answer(recording.source(), ask.ObjectBody("Pod", "depot", "picker-2"))
    assert isinstance(found, Fact) and b'"10.40.1.6"' in found.value
    unknown = answer(recording.source(), ask.ObjectBody("Pod", "depot", "picker-1"))
    assert isinstance(unknown, Missing) and unknown.reason == "unreadable"
    assert "1 that could not be decoded" in unknown.detail


def gateways(name: str = "") -> dict[str, Any]:
    return {"items": [{"metadata": {"name": name, "namespace": "edge"}, "spec": {}}] if name else []}


@pytest.mark.parametrize("full", ["v1", "v1beta1", "v1alpha3"])
def test_a_list_of_another_version_that_is_empty_hides_nothing(tmp_path: Path, full: str) -> None:
    recording = depot(tmp_path)
    for version in ("v1", "v1beta1", "v1alpha3"):
        listed = gateways("door") if version == full else gateways()
        recording.put(f"kube/networking.istio.io/{version}/gateways.json", listed)
    source = RecordingSource.open(recording.write())
    want = ask.Objects("Gateway")
    assert [found.name for found in source.read([want]).value(want) or ()] == ["door"]


def test_an_unread_list_beside_an_empty_one_is_unread(tmp_path: Path) -> None:
    recording = depot(tmp_path)
    recording.put("kube/networking.istio.io/v1/gateways.json", "<html>")
    recording.put("kube/networking.istio.io/v1beta1/gateways.json", gateways())
    want = ask.Objects("Gateway")
    found = RecordingSource.open(recording.write()).read([want]).get(want)
    assert isinstance(found, Missing)
    assert found.reason == "unreadable"
