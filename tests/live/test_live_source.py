"""A recorded incident, served as a cluster, gives the same facts and the same diagnosis as the recording itself."""

from __future__ import annotations

import queue
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshdoctor.guide.examination import Examination
from meshdoctor.kube.errors import ClusterError
from meshdoctor.kube.settings import FanOut, Retry, Settings
from meshdoctor.kube.target import ClusterFlags, resolve_target
from meshdoctor.mesh.question import parse_question
from meshdoctor.model import wants as ask
from meshdoctor.model.kinds import KINDS
from meshdoctor.model.snapshot import Fact, Missing, PodRef, Snapshot
from meshdoctor.sources.live import LiveSource
from meshdoctor.sources.live_watch import Watched
from meshdoctor.sources.recording import RecordingSource
from tests.live.apiserver import ApiServer, Fault
from tests.live.recorded_cluster import serving_recording

ROOT = Path(__file__).resolve().parents[2]
# Recordings that ship with the program, and one of an ambient mesh where the corpora lie beside the repository.
CASES = [
    *sorted((ROOT / "fixtures").glob("*.tar.xz"))[::2],
    next(iter(sorted((ROOT.parent / "shared" / "incidents").glob("ambient-*/recording.tar.xz"))), Path("ambient")),
]
QUICK = Settings(retry=Retry(attempts=2, base=0.01), fan_out=FanOut(per_node=8, deadline=5, new_per_second=10_000))


@pytest.fixture(params=CASES, ids=lambda path: path.name.partition(".")[0])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An unpacked incident."""
    packed: Path = request.param
    if not packed.is_file():
        pytest.skip("no recording of an ambient mesh in ../shared/incidents")
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path / "case", filter="data")
    return next(path.parent for path in sorted((tmp_path / "case").rglob("manifest.json")))


@pytest.fixture
def cluster(folder: Path) -> Iterator[ApiServer]:
    """The incident as a cluster."""
    with serving_recording(folder) as api:
        yield api


def live(api: ApiServer, folder: Path, **options: Any) -> LiveSource:
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(api.kubeconfig()))
    target = resolve_target(ClusterFlags(kubeconfig=str(path)), {"HOME": str(folder)})
    return LiveSource(target, QUICK, environment={}, **options)


def comparable(fact: Any) -> Any:
    if isinstance(fact, Missing):
        return ("missing", fact.file)
    value = fact.value
    sections = getattr(value, "sections", None)
    return {name: [bytes(raw) for raw in raws] for name, raws in sections.items()} if sections else value


def test_the_same_facts(folder: Path, cluster: ApiServer, tmp_path: Path) -> None:
    recorded = RecordingSource.open(folder)
    contents = recorded.read([ask.Contents()]).value(ask.Contents())
    assert contents is not None
    wants: list[Any] = [ask.Objects(kind) for kind in contents.kinds if kind != "ConfigMap"]
    for pod in contents.proxies:
        wants += [ask.ProxyConfig(pod), ask.ProxyClusters(pod), ask.ProxyCertificates(pod), ask.ProxyListeners(pod)]
        wants += [ask.ProxyServerInfo(pod), ask.ProxyInitDump(pod), ask.ProxyReady(pod), ask.ProxyMetrics(pod)]
    wants += [ask.ZtunnelConfig(pod) for pod in contents.ztunnels]
    wants += [want for istiod in contents.istiods for want in (ask.SyncStatus(istiod), ask.Registry(istiod))]
    wants += [ask.Mesh(), *(ask.LogText(log) for log in contents.logs), *(ask.AccessLog(log) for log in contents.logs)]
    expected = recorded.read(wants)
    with live(cluster, tmp_path).open() as source:
        found = source.read(wants)
        running = source.read([ask.Contents()]).value(ask.Contents())
    for want in wants:
        before, now = expected.get(want), found.get(want)
        if isinstance(before, Fact):
            assert comparable(now) == comparable(before), want
        else:
            assert isinstance(now, Missing), want
    assert running is not None
    assert set(running.istiods) <= set(contents.istiods)
    assert set(running.proxies) == set(contents.proxies)
    assert set(running.ztunnels) == set(contents.ztunnels)


def test_the_same_diagnosis(folder: Path, cluster: ApiServer, tmp_path: Path) -> None:
    question = parse_question("", "")

    def verdicts(source: Any) -> list[str]:
        examination = Examination(source.read, Snapshot(source.info, {}), question)
        for _ in examination.steps():
            continue
        return [verdict.cause for verdict in examination.diagnosis().verdicts]

    recorded = RecordingSource.open(folder)
    now = recorded.info.finished_at
    assert now is not None
    with live(cluster, tmp_path, clock=lambda: now) as source:
        assert verdicts(source) == verdicts(recorded)
    written = {method for method, _ in cluster.requests}
    assert written == {"GET"}
    assert not any("secrets" in path for _, path in cluster.requests)


def test_nothing_is_asked_twice(folder: Path, cluster: ApiServer, tmp_path: Path) -> None:
    with live(cluster, tmp_path) as source:
        wants: list[Any] = [ask.Objects(kind.name) for kind in KINDS if kind.name != "ConfigMap"]
        source.read([*wants, ask.Contents()])
    paths = [path for _, path in cluster.requests]
    assert len(paths) == len(set(paths))


def test_partial_rights_are_told_fact_by_fact(folder: Path, cluster: ApiServer, tmp_path: Path) -> None:
    cluster.denied = {("list", "services"), ("create", "pods/portforward"), ("get", "pods/log")}
    with live(cluster, tmp_path) as source:
        contents = source.read([ask.Contents()]).value(ask.Contents())
        assert contents is not None
        proxy: Any = ask.ZtunnelConfig(contents.ztunnels[0]) if contents.ztunnels else None
        proxy = ask.ProxyServerInfo(contents.proxies[0]) if contents.proxies else proxy
        wants = [ask.Objects("Service"), proxy, ask.LogText(contents.logs[0]), ask.Objects("Node")]
        snapshot = source.read(wants)
    reasons = [fact.reason if isinstance(fact := snapshot.get(want), Missing) else "read" for want in wants]
    assert reasons == ["forbidden", "forbidden", "forbidden", "read"]
    assert "resources: [services], verbs: [list]" in str(snapshot.get(wants[0]))
    assert "resources: [pods/portforward], verbs: [get, create]" in str(snapshot.get(wants[1]))
    assert "resources: [pods/log], verbs: [get]" in str(snapshot.get(wants[2]))


def test_what_is_gone_or_broken_has_a_reason(folder: Path, cluster: ApiServer, tmp_path: Path) -> None:
    with live(cluster, tmp_path) as source:
        contents = source.read([ask.Contents()]).value(ask.Contents())
        assert contents is not None
        gone = ask.ProxyServerInfo(PodRef("nowhere", "gone-1"))
        broken = ask.Objects("Namespace")
        cluster.faults.append(Fault("/namespaces", 500))
        snapshot = source.read([gone, broken, ask.Objects("Node")])
    assert isinstance(missed := snapshot.get(gone), Missing) and missed.reason == "no such pod"
    assert isinstance(failed := snapshot.get(broken), Missing) and failed.reason == "failed"
    assert isinstance(snapshot.get(ask.Objects("Node")), Fact)


def test_everything_read_can_be_captured(folder: Path, cluster: ApiServer, tmp_path: Path) -> None:
    captured: dict[str, bytes] = {}
    with live(cluster, tmp_path, capture=captured.__setitem__) as source:
        contents = source.read([ask.Contents()]).value(ask.Contents())
        assert contents is not None
        wants: list[Any] = [ask.Objects("Service"), *(ask.ProxyServerInfo(pod) for pod in contents.proxies)]
        source.read([*wants, *(ask.SyncStatus(istiod) for istiod in contents.istiods)])
    assert {"kube/core/v1/pods.json", "kube/core/v1/services.json"} <= set(captured)
    for file, body in captured.items():
        if file.startswith(("envoy/", "istiod/")):
            assert (folder / file).read_bytes() == body


def test_without_istiods_port_the_mesh_config_is_the_config_maps(
    folder: Path, cluster: ApiServer, tmp_path: Path
) -> None:
    cluster.denied = {("create", "pods/portforward")}
    mesh = {"data": {"mesh": "accessLogFile: /dev/stdout\nrootNamespace: istio-system\n"}}
    config_map = {"metadata": {"name": "istio", "namespace": "istio-system"}, **mesh}
    cluster.objects.add("/api/v1/configmaps", "ConfigMap", [config_map])
    with live(cluster, tmp_path) as source:
        found = source.read([ask.Mesh()]).value(ask.Mesh())
        cluster.denied.add(("get", "configmaps"))
        assert found is not None and found.access_log_file == "/dev/stdout"
    with live(cluster, tmp_path) as source:
        missed = source.read([ask.Mesh()]).get(ask.Mesh())
        assert isinstance(missed, Missing)
        assert "pods/portforward" in missed.detail and "configmaps" in missed.detail


def test_the_mesh_config_of_a_revision_is_beside_its_istiod(folder: Path, cluster: ApiServer, tmp_path: Path) -> None:
    cluster.denied = {("create", "pods/portforward")}
    labels = {"app": "istiod", "istio.io/rev": "canary"}
    istiod = {"metadata": {"name": "istiod-canary-1", "namespace": "mesh-control", "labels": labels}}
    cluster.objects.lists["/api/v1/pods"].clear()
    cluster.objects.add("/api/v1/pods", "Pod", [istiod])
    names = {"name": "istio-canary", "namespace": "mesh-control"}
    cluster.objects.add("/api/v1/configmaps", "ConfigMap", [{"metadata": names, "data": {"mesh": "trustDomain: td"}}])
    with live(cluster, tmp_path) as source:
        found = source.read([ask.Mesh(), ask.Objects("ConfigMap")])
    mesh, listed = found.value(ask.Mesh()), found.value(ask.Objects("ConfigMap"))
    assert mesh is not None and mesh.trust_domain == "td"
    assert [each.name for each in listed or ()] == ["istio-canary"]


@pytest.mark.parametrize("data", [{"meshNetworks": "networks: {}"}, {"mesh": "- a list"}, {"mesh": "a: &x [*x]"}, None])
def test_a_config_map_without_a_mesh_config_is_none(
    folder: Path, cluster: ApiServer, tmp_path: Path, data: dict[str, str] | None
) -> None:
    cluster.denied = {("create", "pods/portforward")}
    config_map = {"metadata": {"name": "istio", "namespace": "istio-system"}, "data": data}
    cluster.objects.add("/api/v1/configmaps", "ConfigMap", [config_map])
    with live(cluster, tmp_path) as source:
        missed = source.read([ask.Mesh()]).get(ask.Mesh())
    assert isinstance(missed, Missing)
    assert "no readable mesh config" in missed.detail


def test_a_watched_kind_stays_up_to_date_and_tells_when_it_is_lost(
    folder: Path, cluster: ApiServer, tmp_path: Path
) -> None:
    told: queue.Queue[Watched] = queue.Queue()
    with live(cluster, tmp_path) as source:
        stop = source.watch("Namespace", told.put)
        first = told.get(timeout=20)
        cluster.objects.change("ADDED", "/api/v1/namespaces", {"metadata": {"name": "brand-new"}})
        second = told.get(timeout=20)
        cluster.faults.append(Fault("/namespaces", 503, "ServiceUnavailable", times=5))
        cluster.objects.forget()
        lost = told.get(timeout=20)
        while (back := told.get(timeout=20)).lost:
            continue
        stop()
    assert {item.name for item in second.objects} == {item.name for item in first.objects} | {"brand-new"}
    assert "HTTP 503" in lost.lost and lost.objects == second.objects
    assert {item.name for item in back.objects} == {item.name for item in second.objects}


def test_what_a_watch_cannot_decode_is_told_and_not_merely_gone(
    folder: Path, cluster: ApiServer, tmp_path: Path
) -> None:
    told: queue.Queue[Watched] = queue.Queue()
    odd = {"metadata": {"name": "odd", "labels": 7}}
    with live(cluster, tmp_path) as source:
        cluster.objects.change("ADDED", "/api/v1/namespaces", odd)
        source.watch("Namespace", told.put)
        first = told.get(timeout=20)
        assert len(first.problems) == 1 and "labels" in first.problems[0]
        cluster.objects.change("ADDED", "/api/v1/namespaces", {"metadata": {"name": "even", "labels": 8}})
        second = told.get(timeout=20)
        assert len(second.problems) == 2 and second.problems[1].startswith("even: ")
        cluster.objects.change("MODIFIED", "/api/v1/namespaces", {"metadata": {"name": "even"}})
        third = told.get(timeout=20)
        assert third.problems == first.problems
        assert {item.name for item in third.objects} == {item.name for item in first.objects} | {"even"}


def test_many_changes_are_told_together_and_none_is_lost(folder: Path, cluster: ApiServer, tmp_path: Path) -> None:
    told: queue.Queue[Watched] = queue.Queue()
    with live(cluster, tmp_path) as source:
        source.watch("Namespace", told.put)
        before = told.get(timeout=20)
        for number in range(200):
            cluster.objects.change("ADDED", "/api/v1/namespaces", {"metadata": {"name": f"new-{number}"}})
        tellings = 0
        while len((last := told.get(timeout=20)).objects) < len(before.objects) + 200:
            tellings += 1
    assert tellings < 20
    assert {item.name for item in last.objects} >= {f"new-{number}" for number in range(200)}


def test_pods_that_were_listed_are_watched_without_another_list(
    folder: Path, cluster: ApiServer, tmp_path: Path
) -> None:
    told: queue.Queue[Watched] = queue.Queue()
    with live(cluster, tmp_path) as source:
        known = source.read([ask.Objects("Pod")]).value(ask.Objects("Pod"))
        assert known is not None
        listed = cluster.requests.count(("GET", "/api/v1/pods"))
        source.watch("Pod", told.put)
        assert told.get(timeout=20).objects == known
        cluster.objects.change("ADDED", "/api/v1/pods", {"metadata": {"name": "late", "namespace": "shop"}})
        assert len(told.get(timeout=20).objects) == len(known) + 1
        assert cluster.requests.count(("GET", "/api/v1/pods")) == listed + 1  # the watch itself
        cluster.objects.forget()
        assert len(told.get(timeout=20).objects) == len(known) + 1


def test_exec_takes_over_where_port_forward_is_forbidden(folder: Path, cluster: ApiServer, tmp_path: Path) -> None:
    cluster.denied = {("create", "pods/portforward")}
    with live(cluster, tmp_path, allow_exec=True) as source:
        contents = source.read([ask.Contents()]).value(ask.Contents())
        assert contents is not None
        if not contents.proxies:
            pytest.skip("an ambient mesh has no pilot-agent to ask")
        pod = contents.proxies[0]
        wants: list[Any] = [ask.ProxyServerInfo(pod), ask.ProxyConfig(pod)]
        found = source.read(wants)
        assert source.whoami()[0] == "tester"
    expected = RecordingSource.open(folder).read(wants)
    assert [comparable(found.get(want)) for want in wants] == [comparable(expected.get(want)) for want in wants]
    assert any(path.endswith("/exec") for _, path in cluster.requests)


def test_a_dropped_impersonation_is_noticed(folder: Path, cluster: ApiServer, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(cluster.kubeconfig()))
    flags = ClusterFlags(kubeconfig=str(path), impersonate="carol")
    target = resolve_target(flags, {"HOME": str(tmp_path)})
    refused = pytest.raises(ClusterError, match="sees user 'tester', not 'carol'")
    with LiveSource(target, QUICK, environment={}) as source, refused:
        source.open()
