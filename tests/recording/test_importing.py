"""What other tools write becomes a recording: the right file, of the right pod, and what is missing is said."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshdoctor.errors import RecordingError
from meshdoctor.mesh.connections import IstiodFacts
from meshdoctor.mesh.sync import connected_proxies
from meshdoctor.model import wants as ask
from meshdoctor.model.snapshot import PodRef
from meshdoctor.present.sync_tables import why
from meshdoctor.recording.importing import recognise
from meshdoctor.recording.importing.envoy_text import clusters_json, listeners_json, stats_json
from meshdoctor.recording.importing.layouts import place, tool
from meshdoctor.recording.opening import open_any
from meshdoctor.sources.recording import RecordingSource
from tests.recordings import access_line

CLUSTERS = """\
outbound|80||cart.depot.svc.cluster.local::observability_name::outbound|80||cart.depot.svc.cluster.local;
outbound|80||cart.depot.svc.cluster.local::default_priority::max_connections::10
outbound|80||cart.depot.svc.cluster.local::high_priority::max_connections::20
outbound|80||cart.depot.svc.cluster.local::added_via_api::true
outbound|80||cart.depot.svc.cluster.local::eds_service_name::outbound|80||cart.depot.svc.cluster.local
outbound|80||cart.depot.svc.cluster.local::10.1.0.7:8080::cx_total::5
outbound|80||cart.depot.svc.cluster.local::10.1.0.7:8080::rq_active::1
outbound|80||cart.depot.svc.cluster.local::10.1.0.7:8080::health_flags::/failed_outlier_check/failed_eds_health
outbound|80||cart.depot.svc.cluster.local::10.1.0.7:8080::weight::3
outbound|80||cart.depot.svc.cluster.local::10.1.0.7:8080::zone::a
outbound|80||cart.depot.svc.cluster.local::[fd00::7]:8080::health_flags::healthy
outbound|80||empty.depot.svc.cluster.local::added_via_api::true
agent::/etc/istio/proxy/XDS::cx_total::1
"""
PREFIX = "type.googleapis.com/envoy.admin.v3."


def dump(pod: str, *more: dict[str, Any]) -> str:
    node = {"id": f"sidecar~10.1.0.9~{pod}.depot~depot.svc.cluster.local", "metadata": {}}
    configs = [{"@type": f"{PREFIX}BootstrapConfigDump", "bootstrap": {"node": node}}, *more]
    return json.dumps({"configs": configs}, indent=1)


def pod(name: str, namespace: str = "depot", address: str = "10.1.0.9") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
            "spec": {"containers": [{"name": "istio-proxy"}]}, "status": {"podIP": address}}  # fmt: skip


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return folder


def bug_report(path: Path, files: dict[str, str], top: str = "bug-report/") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, body in files.items():
            info = tarfile.TarInfo(top + name)
            info.size = len(body.encode())
            archive.addfile(info, io.BytesIO(body.encode()))
    return path


def test_clusters_in_text_say_what_the_json_says() -> None:
    found = json.loads(clusters_json(CLUSTERS.encode()))["cluster_statuses"]
    cart, empty, agent = found
    assert cart["added_via_api"] is True
    assert cart["circuit_breakers"]["thresholds"] == [
        {"max_connections": 10}, {"priority": "HIGH", "max_connections": 20}]  # fmt: skip
    host, other = cart["host_statuses"]
    assert host["address"] == {"socket_address": {"address": "10.1.0.7", "port_value": 8080}}
    assert host["health_status"] == {"eds_health_status": "UNHEALTHY", "failed_outlier_check": True}
    assert {stat["name"]: (stat["value"], stat["type"]) for stat in host["stats"]} == {
        "cx_total": ("5", "COUNTER"), "rq_active": ("1", "GAUGE")}  # fmt: skip
    assert (host["weight"], host["locality"]) == (3, {"zone": "a"})
    assert other["address"]["socket_address"]["address"] == "fd00::7"
    assert empty["host_statuses"] == []
    assert agent["host_statuses"][0]["address"] == {"pipe": {"path": "/etc/istio/proxy/XDS"}}


def test_listeners_and_stats_in_text() -> None:
    listeners = json.loads(listeners_json(b"virtualInbound::0.0.0.0:15006\nv6::[::]:15001\n"))["listener_statuses"]
    assert [entry["local_address"]["socket_address"]["port_value"] for entry in listeners] == [15006, 15001]
    stats = json.loads(stats_json(b'cluster.a;.upstream_cx_total: 12\nserver.version: "1.31"\n'))["stats"]
    assert stats == [
        {"name": "cluster.a;.upstream_cx_total", "value": 12},
        {"name": "server.version", "value": "1.31"},
    ]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b'{\n "configs": [', recognise.CONFIG_DUMP),
        (b'{"cluster_statuses":[]}', recognise.CLUSTERS),
        (CLUSTERS.encode(), recognise.CLUSTERS_TEXT),
        (b"virtualInbound::0.0.0.0:15006\n", recognise.LISTENERS_TEXT),
        (b"cluster.xds-grpc;.x: 0\nserver.live: 1\n", recognise.STATS_TEXT),
        (b'# TYPE a counter\na{b="c"} 1\n', recognise.PROMETHEUS),
        (b'{"certificates":[{"ca_cert":[]}]}', recognise.CERTS),
        (b'{\n "certificates": [{"certChain": []}], "workloads": []}', recognise.ZTUNNEL),
        (b'{"version":"a","state":"LIVE","hot_restart_version":"x"}', recognise.SERVER_INFO),
        (b'{"apiVersion":"v1","items":[]}', recognise.KUBE_JSON),
        (b"apiVersion: v1\nitems: []\nkind: List\n", recognise.KUBE_YAML),
        (b"---\nkind: Pod\n", recognise.KUBE_YAML),
        (b"NAME   CLUSTER   CDS   LDS   EDS   RDS   ECDS   ISTIOD   VERSION\n", recognise.SYNC_TABLE),
        (b'[{"proxy":"a.b"}]', recognise.SYNCZ),
        (access_line(1).encode(), recognise.LOG),
        (b'{"start_time":"2026","path":"/"}\n{"start_time"', recognise.LOG),
        (b"\x89PNG\r\n", recognise.UNKNOWN),
        (b"", recognise.UNKNOWN),
    ],
)
def test_what_a_file_is_is_told_by_its_begin(head: bytes, kind: str) -> None:
    assert recognise.recognise(head) == kind


def test_a_bug_report(tmp_path: Path) -> None:
    files = {
        "bug-report.log": "",
        "versions": "x",
        "cluster/k8s-resources": yaml.safe_dump_all([{"apiVersion": "v1", "kind": "List", "items": [
            pod("web-1"), pod("web-2"), pod("web-3"), {"apiVersion": "v1", "kind": "Secret", "metadata": {}}]}]),
        "proxies/depot/web-1/config_dump?include_eds": dump("web-1"),
        "proxies/depot/web-1/clusters": CLUSTERS,
        "proxies/depot/web-1/stats/prometheus": "# TYPE a counter\na 1\n",
        "proxies/depot/web-1/istio-proxy.log": access_line(1, 503, "UH"),
        "proxies/depot/web-1/netstat": "x",
        "proxies/depot/web-2/config_dump?include_eds": dump("web-2"),
        "istio/istio-system/istiod-1/debug/syncz": json.dumps([{"proxy": "web-1.depot"}, {"proxy": "web-9.depot"}]),
    }  # fmt: skip
    for top in ("bug-report/", ""):
        source = RecordingSource.open(bug_report(tmp_path / f"a{len(top)}.tar.gz", files, top))
        inventory = source.read([ask.Contents()]).value(ask.Contents())
        assert inventory is not None
        assert inventory.proxies == (PodRef("depot", "web-1"), PodRef("depot", "web-2"))
        assert inventory.istiods == ("istiod-1",)
        found = source.read([ask.Objects("Pod"), ask.ProxyClusters(inventory.proxies[0])])
        assert len(found.value(ask.Objects("Pod")) or ()) == 3
        clusters = found.value(ask.ProxyClusters(inventory.proxies[0]))
        assert clusters is not None and clusters.cluster_statuses[0].host_statuses[0].count("cx_total") == 5
        assert "configuration of 2 of 4 proxies" in source.info.problems
        assert source.info.note == "imported from istioctl bug-report"


def test_pods_that_are_evidently_not_all_are_not_used(tmp_path: Path) -> None:
    files = {
        "cluster/pods": json.dumps(pod("istiod-1", "istio-system")),
        "proxies/depot/web-1/config_dump": dump("web-1"),
    }
    source = RecordingSource.open(bug_report(tmp_path / "a.tar.gz", files))
    assert source.read([ask.Objects("Pod")]).value(ask.Objects("Pod")) is None
    assert any("not complete: depot/web-1 is not in it" in problem for problem in source.info.problems)


def test_a_must_gather_folder_with_noise_around_its_json(tmp_path: Path) -> None:
    top = "must-gather.local/quay-io-sha/namespaces/depot/pods/web-1"
    folder = write(tmp_path / "gathered", {
        f"{top}/config_dump_proxy.json": f"200\nDefaulted container\n{dump('web-1')}\n",
        f"{top}/web-1.yaml": yaml.safe_dump(pod("web-1")),
        f"{top}/istio-proxy/istio-proxy/logs/current.log": access_line(1),
        f"{top}/istio-proxy/istio-proxy/logs/previous.log": access_line(2),
        "must-gather.local/quay-io-sha/namespaces/istio-system/pods/istiod-1/debug-syncz.json": "warning: x\n[]\n",
        "must-gather.local/quay-io-sha/namespaces/depot/core/services.yaml": "apiVersion: v1\nkind: ServiceList\n"
        "items:\n- metadata: {name: cart, namespace: depot}\n",
        "must-gather.local/offline-manifest.json": '{"cluster": "east", "timestamp": "2026-03-03T09:00:00Z"}',
        "must-gather.local/event-filter.html": "<html>",
    })  # fmt: skip
    source = RecordingSource.open(folder)
    inventory = source.read([ask.Contents()]).value(ask.Contents())
    assert inventory is not None
    web = PodRef("depot", "web-1")
    assert inventory.proxies == (web,)
    assert [(log.container, log.previous) for log in inventory.logs] == [("istio-proxy", False), ("istio-proxy", True)]
    found = source.read([ask.ProxyConfig(web), ask.Objects("Service"), ask.SyncStatus("istiod-1")])
    assert found.value(ask.ProxyConfig(web)) is not None
    assert [service.name for service in found.value(ask.Objects("Service")) or ()] == ["cart"]
    assert found.value(ask.SyncStatus("istiod-1")) == ()
    assert source.info.finished_at == 1772528400.0
    assert any("lines around its JSON were left out: 200 Defaulted container" in line for line in source.info.problems)
    assert any("not recognised" in line and "event-filter.html" in line for line in source.info.problems)


def test_the_tools_that_are_known_by_their_paths() -> None:
    assert tool(["proxies/a/b/certs"]) == "istioctl bug-report"
    assert tool(["x/offline-manifest.json"]) == "Kiali"
    assert tool(["x/namespaces/a/pods/b/b.yaml"]) == "must-gather"
    assert tool(["web.json"]) == ""
    assert place("namespaces/operator/pods/x/x.yaml") is None, "a namespace of that name is not bug-report's folder"


def test_files_side_by_side_belong_to_one_pod(tmp_path: Path) -> None:
    write(tmp_path, {
        "web.config_dump": dump("web-1"), "web.clusters": CLUSTERS, "web.listeners": "a::0.0.0.0:1\n",
        "cart_config_dump.json": dump("cart-1"), "cart_clusters.txt": CLUSTERS,
    })  # fmt: skip
    found = open_any(sorted(tmp_path.iterdir()))
    assert set(found.files) == {
        "envoy/depot/web-1/config_dump.json", "envoy/depot/web-1/clusters.json", "envoy/depot/web-1/listeners.json",
        "envoy/depot/cart-1/config_dump.json", "envoy/depot/cart-1/clusters.json"}  # fmt: skip
    alone = open_any([tmp_path / "web.clusters"])
    assert set(alone.files) == {"envoy/unknown/web/clusters.json"}
    assert "no pod is named in it" in alone.problems[0]


def test_of_two_dumps_the_one_with_endpoints_counts(tmp_path: Path) -> None:
    endpoints = {"@type": f"{PREFIX}EndpointsConfigDump"}
    write(tmp_path, {"web.config_dump": dump("web-1"), "web.config_dump_include_eds": dump("web-1", endpoints)})
    for names in (("config_dump", "config_dump_include_eds"), ("config_dump_include_eds", "config_dump")):
        found = open_any([tmp_path / f"web.{name}" for name in names])
        assert b"EndpointsConfigDump" in found.files["envoy/depot/web-1/config_dump.json"]()


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("web-58c64c75d8-hf8fl.log", ""),
        (
            "any.log",
            "2026-01-01T00:00:00Z\tinfo\tProxy role\tips=[] type=sidecar id=web-58c64c75d8-hf8fl.depot domain=x\n",
        ),
        ("any.log", ""),
    ],
)
def test_whose_log_it_is(tmp_path: Path, name: str, before: str) -> None:
    lines = "".join(
        f"{access_line(n, remote=f'10.1.0.9:{40000 + n}', local='10.96.0.1:80', cluster='outbound|80||cart')}\n"
        for n in range(30)
    )
    kubectl = json.dumps({"kind": "List", "apiVersion": "v1", "items": [
        pod("web-58c64c75d8-hf8fl"), pod("cart-58c64c75d8-aaaaa", address="10.1.0.8")]})  # fmt: skip
    write(tmp_path, {name: before + lines, "pods.json": kubectl})
    found = open_any([tmp_path / name, tmp_path / "pods.json"])
    assert "logs/depot/web-58c64c75d8-hf8fl/istio-proxy.log" in found.files


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress), ("", bytes)])
def test_a_single_file_may_be_compressed(tmp_path: Path, ending: str, pack: Any) -> None:
    path = tmp_path / f"web.config_dump.json{ending}"
    path.write_bytes(pack(dump("web-1").encode()))
    assert set(open_any([path]).files) == {"envoy/depot/web-1/config_dump.json"}


PROXY_STATUS = """\
NAME            CLUSTER        CDS        LDS        EDS        RDS          ECDS         ISTIOD       VERSION
web-1.depot     Kubernetes     SYNCED     SYNCED     STALE      NOT SENT     NOT SENT     istiod-1     1.24.0
cart-1.depot    Kubernetes     SYNCED     SYNCED     SYNCED     SYNCED                    istiod-2     1.24.0
"""


def test_a_proxy_status_table_of_older_releases(tmp_path: Path) -> None:
    write(tmp_path, {"proxy-status.txt": PROXY_STATUS})
    source = RecordingSource.open(tmp_path / "proxy-status.txt")
    found = source.read([ask.SyncStatus("istiod-1"), ask.SyncStatus("istiod-2")])
    (web,) = found.value(ask.SyncStatus("istiod-1")) or ()
    states = {name.rpartition(".")[2]: (sync.sent, sync.acked) for name, sync in web.resources.items()}
    assert states["Cluster"][0] == states["Cluster"][1] != ""
    assert states["ClusterLoadAssignment"][0] and not states["ClusterLoadAssignment"][1]
    assert states["RouteConfiguration"] == ("", "")
    (cart,) = found.value(ask.SyncStatus("istiod-2")) or ()
    assert (cart.pod, cart.istio_version) == ("cart-1", "1.24.0")


SUBSCRIPTIONS = """\
NAME                       CLUSTER        ISTIOD       VERSION     SUBSCRIBED TYPES
web-1.shop                 Kubernetes     istiod-1     1.28.0      4 (CDS,LDS,EDS,RDS)
ztunnel-a.istio-system     Kubernetes     istiod-1     1.28.0      2 (WADS,WDS)
"""


def test_what_istioctl_prints_of_subscriptions_is_no_state(tmp_path: Path) -> None:
    """From istioctl 1.27 on the table names the types, not whether they are in sync."""
    write(tmp_path, {"proxy-status.txt": SUBSCRIPTIONS})
    source = RecordingSource.open(tmp_path / "proxy-status.txt")
    records = source.read([ask.SyncStatus("istiod-1")]).value(ask.SyncStatus("istiod-1"))
    assert records is not None
    found = {sync.name: sync for sync in connected_proxies([IstiodFacts("istiod-1", records)], 0.0)}
    assert found["web-1.shop"].word == "UNKNOWN"
    assert {entry.status for entry in found["web-1.shop"].types} == {"UNKNOWN"}
    assert not found["web-1.shop"].notes
    assert found["ztunnel-a.istio-system"].kind == "ztunnel"
    assert "not known" in why(found["web-1.shop"])


def test_many_kinds_in_one_list_and_in_many_documents(tmp_path: Path) -> None:
    gateway = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "a", "namespace": "depot"},
    }
    other = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "b", "namespace": "depot"},
    }
    stamp = "2026-01-01T00:00:00Z"
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "creationTimestamp": stamp}}
    write(tmp_path, {"a.yaml": f"# note\n{yaml.safe_dump_all([gateway, other])}---\n{yaml.safe_dump(event)}---\n"})
    source = RecordingSource.open(tmp_path / "a.yaml")
    found = source.read([ask.Objects("Gateway"), ask.Objects("K8sGateway"), ask.Objects("Event"), ask.Objects("Pod")])
    assert [entry.name for entry in found.value(ask.Objects("Gateway")) or ()] == ["a"]
    assert [entry.name for entry in found.value(ask.Objects("K8sGateway")) or ()] == ["b"]
    (read,) = found.value(ask.Objects("Event")) or ()
    assert read.metadata.creation_timestamp == stamp, "a time stays the text that it is"
    assert found.value(ask.Objects("Pod")) is None, "a kind that is not in it is missing, not empty"


def test_nothing_in_it_is_one_clear_line(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": "hello\n", "b.bin": b"\x00\x01"})
    with pytest.raises(RecordingError, match=r"a\.txt.*nothing in it is known.*expected a recording"):
        open_any([tmp_path / "a.txt", tmp_path / "b.bin"])
