"""What a proxy does by itself: missing clusters and routes, own answers, faults, unknown hosts, rejected updates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.envoy_dumps import cluster, config_dump, object_path, route, routes
from tests.kube_objects import istio, service
from tests.probes.depot import HOST, LEDGERS, OUTBOUND, PICKER, SERVICE_IP, Depot, accuses, causes, is_open, spares

OWNER = object_path("virtual-service", "books", "index")
NAMES = ["ledger.books:8090", "ledger.books", HOST]


def own(depot: Depot, code: int, flags: str, details: str, *times: float, **more: Any) -> Depot:
    for at in times or range(100, 106):
        depot.request(at, code, flags, details, **{"upstream": "-", "cluster": "-"} | more)
    return depot


# -- missing-cluster


def no_cluster(depot: Depot, *times: float) -> Depot:
    return own(depot, 503, "NC", "cluster_not_found", *times)


def routed(depot: Depot, *found: Any, known: tuple[str, ...] = (OUTBOUND,)) -> Depot:
    dump = config_dump([cluster(name) for name in known], [routes("8090", NAMES, *found)])
    return depot.proxy(PICKER, config_dump=dump)


@pytest.mark.parametrize("name", [f"outbound|8090|third|{HOST}", "outbound|80||folio.books.svc.cluster.local"])
def test_a_route_to_a_cluster_that_does_not_exist(tmp_path: Path, name: str) -> None:
    depot = no_cluster(routed(Depot(tmp_path), route(name, owner=OWNER)))
    verdict = accuses(depot.ask("missing-cluster"), "missing-cluster", "VirtualService books/index")
    assert verdict.evidence[1].at == name
    assert causes(depot.diagnose()) == ["missing-cluster"]


def test_a_route_whose_cluster_exists_is_not_accused(tmp_path: Path) -> None:
    is_open(no_cluster(routed(Depot(tmp_path), route(OUTBOUND, owner=OWNER))).ask("missing-cluster"))


def test_a_route_for_another_path_is_not_accused(tmp_path: Path) -> None:
    other = route("outbound|80||gone.books.svc.cluster.local", prefix="/archive", owner=OWNER)
    is_open(no_cluster(routed(Depot(tmp_path), other)).ask("missing-cluster"))


def test_a_single_missing_cluster_is_no_incident(tmp_path: Path) -> None:
    depot = no_cluster(routed(Depot(tmp_path), route("outbound|80||folio.books", owner=OWNER)), 100)
    is_open(depot.ask("missing-cluster"))


def test_a_missing_cluster_and_no_configuration(tmp_path: Path) -> None:
    depot = no_cluster(Depot(tmp_path))
    is_open(depot.ask("missing-cluster"))
    assert causes(depot.diagnose()) == []


def late(root: Path, at: float) -> Depot:
    """NC for two seconds, then well; the objects were made *at*."""
    depot = Depot(root).good(80, 90)
    no_cluster(depot, 100, 100.5, 101, 101.5).good(*range(103, 140))
    name = f"outbound|8090|third|{HOST}"
    routed(depot, route(name, owner=OWNER), known=(OUTBOUND, name))
    http = [{"route": [{"destination": {"host": "ledger", "subset": "third"}}]}]
    depot.objects("VirtualService", istio("index", "books", {"hosts": ["ledger"], "http": http}, at))
    rule = {"host": "ledger", "subsets": [{"name": "third", "labels": {"edition": "third"}}]}
    return depot.objects("DestinationRule", istio("editions", "books", rule, at + 2))


def test_configuration_that_was_on_its_way(tmp_path: Path) -> None:
    depot = late(tmp_path, 99)
    accuses(depot.ask("missing-cluster"), "config-not-yet-propagated")
    assert depot.diagnose().exit_status == 0


def test_old_objects_are_not_on_their_way(tmp_path: Path) -> None:
    is_open(late(tmp_path, -4000).ask("missing-cluster"))


def test_configuration_on_its_way_and_objects_not_read(tmp_path: Path) -> None:
    is_open(late(tmp_path, 99).drop(r"kube/networking\.istio").ask("missing-cluster"))


# -- missing-route


def no_route(depot: Depot, **more: Any) -> Depot:
    return own(depot, 404, "NR", "route_not_found", **more)


def test_no_route_for_the_path(tmp_path: Path) -> None:
    depot = no_route(routed(Depot(tmp_path), route(OUTBOUND, prefix="/cover", owner=OWNER)))
    verdict = accuses(depot.ask("missing-route"), "no-route", "VirtualService books/index")
    assert "/page" in verdict.summary


def test_no_route_and_nothing_read(tmp_path: Path) -> None:
    is_open(no_route(Depot(tmp_path)).ask("missing-route"))


def test_the_applications_own_404_is_no_missing_route(tmp_path: Path) -> None:
    depot = routed(Depot(tmp_path), route(OUTBOUND, prefix="/cover", owner=OWNER))
    depot.request(100, 404, server={}).request(101, 503, server={})
    spares(depot.ask("missing-route"))


# -- own-answer and fault-injection


def test_a_direct_response(tmp_path: Path) -> None:
    depot = own(Depot(tmp_path), 503, "-", "direct_response")
    routed(depot, route(owner=OWNER, direct_response={"status": 503}))
    accuses(depot.ask("own-answer"), "direct-response", "VirtualService books/index")
    assert causes(depot.diagnose()) == ["direct-response"]


def test_a_direct_response_by_the_objects_alone(tmp_path: Path) -> None:
    depot = own(Depot(tmp_path), 503, "-", "direct_response")
    depot.objects(
        "VirtualService",
        istio("closed", "books", {"hosts": ["ledger"], "http": [{"directResponse": {"status": 503}}]}),
        istio("open", "books", {"hosts": ["ledger"], "http": [{"route": []}]}),
        istio("other", "books", {"hosts": ["folio"], "http": [{"directResponse": {"status": 503}}]}),
    )
    verdict = accuses(depot.ask("own-answer"), "direct-response", "VirtualService books/closed")
    assert len(verdict.resources) == 1


def test_a_direct_response_of_nobody_that_was_read(tmp_path: Path) -> None:
    depot = own(Depot(tmp_path), 503, "-", "direct_response")
    assert accuses(depot.ask("own-answer"), "direct-response").confidence < 0.8
    is_open(depot.objects("VirtualService").ask("own-answer"))


def test_istiods_own_answers_are_no_direct_response(tmp_path: Path) -> None:
    is_open(own(Depot(tmp_path), 500, "-", "direct_response").ask("own-answer"))


def test_an_invalid_backend_of_an_http_route(tmp_path: Path) -> None:
    depot = own(Depot(tmp_path), 500, "-", "direct_response")
    owner = object_path("http-route", "books", "index~0~istio-autogenerated")
    routed(depot, route(owner=owner, direct_response={"status": 500}))
    finding = depot.ask("own-answer")
    accuses(finding, "route-backend-invalid", "HTTPRoute books/index")
    spares(finding, "direct-response")


def test_an_injected_fault(tmp_path: Path) -> None:
    depot = own(Depot(tmp_path), 503, "FI", "fault_filter_abort").good(200, 201)
    fault = {"abort": {"httpStatus": 503, "percentage": {"value": 50}}}
    depot.objects(
        "VirtualService",
        istio("drill", "books", {"hosts": ["ledger"], "http": [{"fault": fault}]}),
        istio("drill", "depot", {"hosts": ["ledger"], "http": [{"fault": fault}]}),
    )
    verdict = accuses(depot.ask("fault-injection"), "fault-injected", "VirtualService books/drill")
    assert len(verdict.resources) == 1, "a short name is a Service of the object's own namespace"
    assert causes(depot.diagnose()) == ["fault-injected"]


def test_a_fault_rule_is_not_accused_of_an_applications_error(tmp_path: Path) -> None:
    depot = Depot(tmp_path).request(100, 503, server={}).request(101, 503, server={})
    depot.objects("VirtualService", istio("drill", "books", {"hosts": ["ledger"], "http": [{"fault": {"abort": {}}}]}))
    spares(depot.ask("fault-injection"))


def test_a_fault_whose_object_was_not_read_names_the_pod(tmp_path: Path) -> None:
    finding = own(Depot(tmp_path), 503, "FI", "fault_filter_abort").ask("fault-injection")
    accuses(finding, "fault-injected", f"Pod {PICKER}")


# -- unknown-host


def blocked(depot: Depot, **more: Any) -> Depot:
    return own(depot, 502, "-", "direct_response", route="block_all", **more)


def scope(where: str = "depot", name: str = "narrow", **spec: Any) -> Any:
    return istio(name, where, {"egress": [{"hosts": ["./*"]}], **spec})


def unaware(depot: Depot) -> Depot:
    return depot.proxy(PICKER, config_dump=config_dump([cluster("outbound|80||label.depot.svc.cluster.local")]))


def test_a_sidecar_scope_hides_the_host(tmp_path: Path) -> None:
    depot = blocked(unaware(Depot(tmp_path)))
    depot.objects("Sidecar", scope(), scope(name="mine", workloadSelector={"labels": {"app": "scanner"}}))
    verdict = accuses(depot.ask("unknown-host"), "host-outside-sidecar-scope", "Sidecar depot/narrow")
    assert len(verdict.resources) == 1
    assert causes(depot.diagnose()) == ["host-outside-sidecar-scope"]


def test_a_scope_that_lets_the_host_in_is_not_accused(tmp_path: Path) -> None:
    depot = blocked(unaware(Depot(tmp_path)))
    depot.objects("Sidecar", istio("wide", "depot", {"egress": [{"hosts": ["./*", "books/*"]}]}))
    is_open(depot.ask("unknown-host"))


def outside(depot: Depot) -> Depot:
    for at in range(100, 106):
        depot.request(at, 502, "-", "direct_response", cluster="-", upstream="-", local="203.0.113.7:443",
                      authority="rates.example.com", route="block_all")  # fmt: skip
    return depot


@pytest.mark.parametrize(("export_to", "named"), [(["."], "ServiceEntry vault/rates"), (["depot"], "")])
def test_a_service_entry_that_is_not_exported(tmp_path: Path, export_to: list[str], named: str) -> None:
    depot = outside(unaware(Depot(tmp_path)))
    entry = istio("rates", "vault", {"hosts": ["rates.example.com"], "exportTo": export_to})
    depot.objects("ServiceEntry", entry)
    if named:
        accuses(depot.ask("unknown-host"), "host-outside-sidecar-scope", named)
    else:
        is_open(depot.ask("unknown-host"))
    unknown = outside(unaware(Depot(tmp_path / "b"))).objects("ServiceEntry")
    accuses(unknown.ask("unknown-host"), "host-outside-sidecar-scope", "ConfigMap istio-system/istio")


def test_the_scope_that_selects_the_pod_comes_first(tmp_path: Path) -> None:
    depot = blocked(unaware(Depot(tmp_path)))
    depot.objects("Sidecar", scope(), scope(name="mine", workloadSelector={"labels": {"app": "picker"}}))
    accuses(depot.ask("unknown-host"), "host-outside-sidecar-scope", "Sidecar depot/mine")


def test_a_service_that_is_not_exported(tmp_path: Path) -> None:
    depot = blocked(unaware(Depot(tmp_path))).drop(r"kube/core/v1/services\.json")
    exported = service("ledger", "books", SERVICE_IP, [(8090, "http", 9191)], {"app": "ledger"},
                       **{"networking.istio.io/exportTo": "."})  # fmt: skip
    depot.objects("Service", exported)
    accuses(depot.ask("unknown-host"), "host-outside-sidecar-scope", "Service books/ledger")


def test_an_outside_host_that_is_not_registered(tmp_path: Path) -> None:
    depot = blocked(unaware(Depot(tmp_path)), authority="rates.example.org", local="203.0.113.9:80")
    accuses(depot.ask("unknown-host"), "host-outside-sidecar-scope", "ConfigMap istio-system/istio")


def test_a_sidecar_scope_is_not_accused_where_the_cluster_is_there(tmp_path: Path) -> None:
    depot = blocked(Depot(tmp_path).configured()).objects("Sidecar", scope())
    is_open(depot.ask("unknown-host"))


def test_a_hidden_host_and_no_configuration(tmp_path: Path) -> None:
    depot = blocked(Depot(tmp_path)).objects("Sidecar", scope())
    is_open(depot.ask("unknown-host"))
    assert causes(depot.diagnose()) == []


def test_a_hidden_host_and_no_objects(tmp_path: Path) -> None:
    is_open(blocked(unaware(Depot(tmp_path))).ask("unknown-host"))


# -- rejected-config


def rejecting(depot: Depot, error: str = "outlier_detection: MaxEjectionPercent: value must be at most 100") -> Depot:
    depot.drop("istiod/")
    refused = {"type.googleapis.com/envoy.config.cluster.v3.Cluster": {"sent": "n2", "acked": "n1", "lastError": error}}
    return depot.syncz(*LEDGERS, PICKER, errors=refused)


def patching(name: str, where: str = "depot", field: str = "max_ejection_percent", **spec: Any) -> Any:
    patch = {"patch": {"value": {"outlier_detection": {field: 250}}}}
    return istio(name, where, {"configPatches": [patch], **spec})


def test_a_configuration_that_envoy_rejects(tmp_path: Path) -> None:
    depot = rejecting(no_cluster(routed(Depot(tmp_path), route("outbound|80||new.books", owner=OWNER))))
    depot.objects(
        "EnvoyFilter", patching("eject-all"), patching("of-others", "books"), patching("fine", field="interval_of")
    )
    verdict = accuses(depot.ask("rejected-config"), "config-rejected", "EnvoyFilter depot/eject-all")
    assert len(verdict.resources) == 1
    assert causes(depot.diagnose())[0] == "config-rejected"


def test_a_rejected_listener_in_the_proxys_own_dump(tmp_path: Path) -> None:
    depot = no_cluster(Depot(tmp_path))
    depot.proxy(PICKER, config_dump=config_dump(rejected={"0.0.0.0_8090": "MaxEjectionPercent: value must be …"}))
    depot.objects("EnvoyFilter", patching("eject-all"))
    accuses(depot.ask("rejected-config"), "config-rejected", "EnvoyFilter depot/eject-all")


def test_a_proxy_that_accepted_everything(tmp_path: Path) -> None:
    depot = no_cluster(routed(Depot(tmp_path), route("outbound|80||new.books", owner=OWNER)))
    depot.objects("EnvoyFilter", patching("eject-all"))
    finding = depot.ask("rejected-config")
    assert finding.outcome == "cleared"
    assert "config-rejected" not in causes(depot.diagnose())


def test_a_rejection_of_which_istiod_was_not_read(tmp_path: Path) -> None:
    depot = no_cluster(routed(Depot(tmp_path), route("outbound|80||new.books", owner=OWNER)))
    depot.objects("EnvoyFilter", patching("eject-all")).drop("istiod/")
    is_open(depot.ask("rejected-config"))


def test_a_rejection_without_the_objects(tmp_path: Path) -> None:
    is_open(rejecting(no_cluster(Depot(tmp_path))).ask("rejected-config"))
