"""No endpoint to send to: nothing selected, pods not ready, all ejected, an empty subset, an unresolved name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.envoy_dumps import cluster, clusters, config_dump
from tests.kube_objects import container_status, deployment, event, istio, service
from tests.probes.depot import (
    APP,
    HOST,
    LEDGERS,
    OUTBOUND,
    OWNER,
    PICKER,
    PODS,
    SERVICE_IP,
    Depot,
    accuses,
    causes,
    is_open,
    ledgers,
    spares,
)


def unhealthy(depot: Depot, *times: float, cluster: str = OUTBOUND) -> Depot:
    for at in times or range(100, 108):
        depot.request(at, 503, "UH", "no_healthy_upstream", upstream="-", cluster=cluster)
    return depot


def test_a_selector_that_matches_nothing(tmp_path: Path) -> None:
    depot = Depot(tmp_path).drop(r"kube/core/v1/services\.json")
    depot.objects("Service", service("ledger", "books", SERVICE_IP, [(8090, "http", 9191)], {"app": "ledgers"}))
    verdict = accuses(unhealthy(depot).ask("no-healthy-upstream"), "no-endpoints", "Service books/ledger")
    assert "app=ledgers" in verdict.summary


def test_a_deployment_that_is_scaled_to_zero(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=[]).drop(r"kube/apps/v1/deployments\.json")
    depot.objects("Deployment", deployment("ledger", "books", APP, replicas=0))
    accuses(unhealthy(depot).ask("no-healthy-upstream"), "no-endpoints", OWNER)


def test_no_pods_and_deployments_that_were_not_read(tmp_path: Path) -> None:
    """The selector may be right, and the Deployment be scaled to 0: the Service's selector is not what is accused."""
    depot = unhealthy(Depot(tmp_path, servers=[])).drop(r"kube/apps/v1/deployments")
    verdict = accuses(depot.ask("no-healthy-upstream"), "no-endpoints", "Service books/ledger")
    assert verdict.confidence < 0.85 and not verdict.resources[0].field


def test_a_target_port_that_no_container_names(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=ledgers(ports=[("web", 9191)])).drop(r"kube/core/v1/services\.json")
    depot.objects("Service", service("ledger", "books", SERVICE_IP, [(8090, "http", "pages")], APP))
    verdict = accuses(unhealthy(depot).ask("no-healthy-upstream"), "no-endpoints", "Service books/ledger")
    assert verdict.resources[0].field == "spec.ports[].targetPort"


def test_a_target_port_that_is_named_is_not_accused(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=ledgers(ports=[("pages", 9191)], ready=False)).drop(r"kube/core/v1/services\.json")
    depot.objects("Service", service("ledger", "books", SERVICE_IP, [(8090, "http", "pages")], APP))
    spares(unhealthy(depot).ask("no-healthy-upstream"), "no-endpoints")


def test_pods_that_are_not_ready(tmp_path: Path) -> None:
    statuses = [container_status("server", False), container_status("istio-proxy")]
    depot = unhealthy(Depot(tmp_path, servers=ledgers(ready=False, statuses=statuses)))
    finding = depot.ask("no-healthy-upstream")
    verdict = accuses(finding, "endpoints-not-ready", OWNER)
    assert "container server" in verdict.summary
    spares(finding, "no-endpoints", "sidecar-never-ready", "app-crashed")


def test_sidecars_that_never_became_ready(tmp_path: Path) -> None:
    statuses = [container_status("server"), container_status("istio-proxy", False)]
    depot = unhealthy(Depot(tmp_path, servers=ledgers(ready=False, statuses=statuses)))
    finding = depot.ask("no-healthy-upstream")
    accuses(finding, "sidecar-never-ready", OWNER)
    spares(finding, "endpoints-not-ready")


def test_pods_that_crash(tmp_path: Path) -> None:
    statuses = [
        container_status("server", False, (90, 1, "Error"), waiting="CrashLoopBackOff"),
        container_status("istio-proxy"),
    ]
    depot = unhealthy(Depot(tmp_path, servers=ledgers(ready=False, statuses=statuses)))
    accuses(depot.ask("no-healthy-upstream"), "app-crashed", OWNER)


def test_a_rollout_without_a_ready_pod(tmp_path: Path) -> None:
    old = "ledger-5b9d8c6f7d-k2j8h"
    depot = Depot(tmp_path, servers=ledgers(created=99, ready_at=112)).good(50, 60, 98)
    depot.objects("Event", event("Pod", "books", old, "Killing", "Stopping container server", 99))
    unhealthy(depot, *range(100, 111)).good(*range(113, 160))
    accuses(depot.ask("no-healthy-upstream"), "no-ready-pod-in-rollout", OWNER)


def test_an_outage_of_which_nothing_tells_why(tmp_path: Path) -> None:
    depot = unhealthy(Depot(tmp_path).good(50, 60), *range(100, 111)).good(*range(113, 160))
    is_open(depot.ask("no-healthy-upstream"))


@pytest.mark.parametrize("missing", [PODS, r"kube/discovery", r"kube/core/v1/services"])
def test_no_endpoints_without_the_objects(tmp_path: Path, missing: str) -> None:
    depot = Depot(tmp_path, servers=[])
    depot = unhealthy(depot).drop(missing)
    is_open(depot.ask("no-healthy-upstream"))
    assert causes(depot.diagnose()) == []


OUTLIERS = {"host": HOST, "trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": 2}}}


def test_endpoints_that_were_ejected(tmp_path: Path) -> None:
    depot = unhealthy(Depot(tmp_path).configured())
    depot.objects("DestinationRule", istio("strict", "books", OUTLIERS))
    hosts = {f"{ip}:9191": {"failed_outlier_check": True} for ip in LEDGERS.values()}
    depot.proxy(PICKER, clusters=clusters(OUTBOUND, hosts))
    accuses(depot.ask("no-healthy-upstream"), "all-endpoints-ejected", "DestinationRule books/strict")


def test_one_endpoint_that_was_ejected_is_not_all(tmp_path: Path) -> None:
    depot = unhealthy(Depot(tmp_path).configured())
    depot.objects("DestinationRule", istio("strict", "books", OUTLIERS))
    first, second = (f"{ip}:9191" for ip in LEDGERS.values())
    depot.proxy(PICKER, clusters=clusters(OUTBOUND, {first: {"failed_outlier_check": True}, second: {}}))
    spares(depot.ask("no-healthy-upstream"), "all-endpoints-ejected")


def test_ejection_without_envoys_view_of_the_hosts(tmp_path: Path) -> None:
    depot = unhealthy(Depot(tmp_path).configured())
    depot.objects("DestinationRule", istio("strict", "books", OUTLIERS))
    is_open(depot.ask("no-healthy-upstream"))


def subset(name: str = "winter", **labels: str) -> Any:
    return istio("editions", "books", {"host": "ledger", "subsets": [{"name": name, "labels": labels}]})


def test_a_subset_without_pods(tmp_path: Path) -> None:
    depot = unhealthy(Depot(tmp_path).configured(), cluster=f"outbound|8090|winter|{HOST}")
    depot.objects("DestinationRule", subset(edition="winter"))
    accuses(depot.ask("no-healthy-upstream"), "subset-without-pods", "DestinationRule books/editions")


def test_a_subset_whose_pods_are_not_ready(tmp_path: Path) -> None:
    statuses = [container_status("server", False), container_status("istio-proxy")]
    servers = ledgers(ready=False, statuses=statuses)
    for one in servers:
        one["metadata"]["labels"] = {**APP, "edition": "winter"}
    depot = unhealthy(Depot(tmp_path, servers=servers).configured(), cluster=f"outbound|8090|winter|{HOST}")
    depot.objects("DestinationRule", subset(edition="winter"))
    finding = depot.ask("no-healthy-upstream")
    spares(finding, "subset-without-pods")
    accuses(finding, "endpoints-not-ready", OWNER)


def test_a_subset_and_pods_that_were_not_read(tmp_path: Path) -> None:
    depot = unhealthy(Depot(tmp_path).configured(), cluster=f"outbound|8090|winter|{HOST}")
    depot.objects("DestinationRule", subset(edition="winter")).drop(PODS)
    is_open(depot.ask("no-healthy-upstream"))


OUTSIDE = "outbound|443||rates.example.org"


def outside(depot: Depot, entry: bool = True) -> Depot:
    dump = config_dump(clusters=[cluster(OUTSIDE, "STRICT_DNS")])
    depot.proxy(PICKER, config_dump=dump, clusters={"cluster_statuses": [{"name": OUTSIDE}]})
    for at in range(100, 104):
        depot.request(at, 503, "UH", "no_healthy_upstream", upstream="-", cluster=OUTSIDE, local="240.240.0.7:443",
                      authority="rates.example.org")  # fmt: skip
    spec = {"hosts": ["rates.example.org"], "resolution": "DNS", "endpoints": [{"address": "rates.internal.example"}]}
    return depot.objects("ServiceEntry", *([istio("rates", "depot", spec)] if entry else []))


def test_an_outside_host_that_does_not_resolve(tmp_path: Path) -> None:
    finding = outside(Depot(tmp_path)).ask("no-healthy-upstream")
    verdict = accuses(finding, "external-host-unresolved", "ServiceEntry depot/rates")
    assert "rates.internal.example" in verdict.summary


def test_an_outside_host_whose_entry_was_not_read(tmp_path: Path) -> None:
    is_open(outside(Depot(tmp_path), entry=False).ask("no-healthy-upstream"))


def test_an_outside_host_whose_cluster_was_not_read(tmp_path: Path) -> None:
    is_open(outside(Depot(tmp_path)).drop("envoy/").ask("no-healthy-upstream"))


@pytest.mark.parametrize("cluster", [OUTBOUND, f"outbound|8090|winter|{HOST}"])
def test_a_list_of_pods_that_is_not_complete_proves_no_service_empty(tmp_path: Path, cluster: str) -> None:
    depot = unhealthy(Depot(tmp_path, servers=[]), cluster=cluster).objects("Pod", {"metadata": 7})
    depot.objects("DestinationRule", subset(edition="winter"))
    is_open(depot.ask("no-healthy-upstream"))
