"""Diagnoses of recordings of some namespaces: what was left out is not called missing, and what was not is found."""

from __future__ import annotations

from pathlib import Path

from meshdoctor.guide.diagnosis import Diagnosis
from meshdoctor.guide.examination import Examination
from meshdoctor.model.snapshot import Snapshot
from meshdoctor.recording.limited import limited
from meshdoctor.recording.opening import open_any
from meshdoctor.sources.recording import RecordingSource
from tests.envoy_dumps import cluster, config_dump, object_path, route
from tests.kube_objects import service
from tests.probes.depot import PICKER, Depot, causes
from tests.probes.test_routes import blocked, scope, unaware
from tests.probes.test_upstream_connect import deleted, with_istiod

LEFT = "downstream_remote_disconnect"


def of(depot: Depot, *namespaces: str) -> Diagnosis:
    """What is said of a recording of these *namespaces*."""
    source = RecordingSource(limited(open_any([depot.write()]), namespaces, "--namespaces"))
    examination = Examination(source.read, Snapshot(source.info, {}))
    for _ in examination.steps():
        continue
    return examination.diagnosis()


def test_a_host_that_another_namespace_may_hide(tmp_path: Path) -> None:
    depot = blocked(unaware(Depot(tmp_path)), authority="rates.example.org", local="203.0.113.9:80")
    assert causes(depot.diagnose()) == ["host-outside-sidecar-scope"]
    assert causes(of(depot, "depot")) == [], "a ServiceEntry of another namespace may declare it for others"


def test_a_service_that_was_left_out_has_no_full_name(tmp_path: Path) -> None:
    depot = blocked(Depot(tmp_path).configured()).objects("Sidecar", scope())
    assert causes(of(depot, "depot")) == []


def test_a_route_to_a_service_that_was_left_out(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    exported = {"networking.istio.io/exportTo": "."}
    depot.objects("Service", service("annex", "books", "10.96.44.8", [(80, "http", 80)], {"app": "annex"}, **exported))
    routed = [
        route("outbound|80||annex.books.svc.cluster.local", owner=object_path("virtual-service", "books", "index"))
    ]
    depot.configured(routed=routed)
    for at in range(100, 110):
        depot.request(at, 503, "NC", "cluster_not_found", cluster="-", upstream="-")
    assert causes(depot.diagnose()) == ["host-outside-sidecar-scope"]
    assert causes(of(depot, "depot")) == []
    assert causes(of(depot, "depot", "books")) == ["host-outside-sidecar-scope"]


def test_requests_that_a_server_that_was_left_out_may_not_have_seen(tmp_path: Path) -> None:
    depot = Depot(tmp_path).good(*range(1, 20))
    for at in range(20, 40):
        depot.request(at, 0, "DC", LEFT, duration=500)
    assert causes(of(depot, "depot")) == []


def test_a_control_plane_that_was_left_out(tmp_path: Path) -> None:
    depot = with_istiod(deleted(Depot(tmp_path)), replicas=0, ready=False)
    assert causes(of(depot, "depot", "books")) == []
    assert causes(of(depot, "depot", "books", "istio-config")) == ["control-plane-down"]


def test_a_cluster_without_the_other_namespaces_objects_is_as_it_is(tmp_path: Path) -> None:
    """Nothing of another namespace is needed: the fault stands in the recorded proxy and its own namespaces."""
    depot = Depot(tmp_path).proxy(
        PICKER, config_dump=config_dump([cluster("outbound|80||label.depot.svc.cluster.local")])
    )
    depot = blocked(depot).objects("Sidecar", scope())
    assert causes(of(depot, "depot", "books")) == causes(depot.diagnose()) == ["host-outside-sidecar-scope"]
