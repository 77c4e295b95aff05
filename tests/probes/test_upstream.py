"""The way to the server: upstream-connect, no-healthy-upstream, connection-pool, timeout, client-left, idle-flow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.envoy_dumps import cluster, clusters, config_dump, limits, object_path, route, routes
from tests.kube_objects import container_status, deployment, event, istio, pod, service
from tests.moments import when
from tests.probes.depot import (
    APP,
    HOST,
    LEDGER,
    LEDGER_IP,
    LEDGERS,
    OUTBOUND,
    PICKER,
    SERVICE_IP,
    Depot,
    accuses,
    causes,
    is_open,
    ledgers,
    spares,
)

PODS = r"kube/core/v1/pods\.json"
OWNER, CALLER = "Deployment books/ledger", "Deployment depot/picker"
TIMED_OUT = "upstream_reset_before_response_started{connection_timeout}"
REFUSED = "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
GONE_IP = "10.40.2.66"


def unconnected(depot: Depot, details: str, *times: float, to: str = LEDGER, **more: Any) -> Depot:
    for at in times:
        depot.request(at, 503, "UF,URX", details, to=to, **more)
    return depot


# -- upstream-connect: pods that are gone


def deleted(depot: Depot) -> Depot:
    """A pod of the server that was deleted at 100: only its events are left."""
    name = "ledger-6c8f5d7b9c-b7c4z"
    probed = f'Readiness probe failed: Get "http://{GONE_IP}:9191/ready": connection refused'
    depot.objects(
        "Event",
        event("Pod", "books", name, "Scheduled", "Successfully assigned", -900),
        event("Pod", "books", name, "Unhealthy", probed, -890),
        event("Pod", "books", name, "Killing", "Stopping container server", 100),
    )
    return unconnected(depot, TIMED_OUT, 101, 102, 103, to=GONE_IP)


def istiod(replicas: int = 1, ready: bool = True) -> list[Any]:
    labels = {"app": "istiod"}
    pods = [pod("istiod-6f7c9d8b5c-q2w4x", "istio-config", "10.40.9.9", labels, sidecar=False, ready=ready)]
    return [deployment("istiod", "istio-config", labels, replicas=replicas), *(pods if replicas else [])]


def with_istiod(depot: Depot, *, replicas: int = 1, ready: bool = True) -> Depot:
    objects = istiod(replicas, ready)
    return depot.objects("Deployment", objects[0]).objects("Pod", *objects[1:])


def test_callers_still_send_to_a_deleted_pod(tmp_path: Path) -> None:
    depot = with_istiod(deleted(Depot(tmp_path).good(1, 2))).good(*range(110, 130))
    finding = depot.ask("upstream-connect")
    accuses(finding, "stale-endpoint-after-delete", OWNER)
    spares(finding, "proxy-stale", "control-plane-down")
    assert [verdict.state for verdict in depot.diagnose().verdicts] == ["over"]


@pytest.mark.parametrize("replicas", [0, 1])
def test_istiod_is_down(tmp_path: Path, replicas: int) -> None:
    depot = with_istiod(deleted(Depot(tmp_path)), replicas=replicas, ready=False)
    accuses(depot.ask("upstream-connect"), "control-plane-down", "Deployment istio-config/istiod")


def test_a_proxy_that_is_cut_off(tmp_path: Path) -> None:
    depot = with_istiod(deleted(Depot(tmp_path))).syncz(*LEDGERS)
    finding = depot.ask("upstream-connect")
    accuses(finding, "proxy-stale", CALLER)


def test_a_proxy_is_not_cut_off_because_syncz_was_not_read(tmp_path: Path) -> None:
    depot = with_istiod(deleted(Depot(tmp_path))).drop("istiod/")
    spares(depot.ask("upstream-connect"), "proxy-stale", "control-plane-down")


def test_a_pod_without_sidecar_is_not_cut_off(tmp_path: Path) -> None:
    """istiod never knows of a pod without a proxy; the caller is known to it."""
    depot = with_istiod(deleted(Depot(tmp_path, servers=ledgers(sidecar=False)))).syncz(PICKER)
    spares(depot.ask("upstream-connect"), "proxy-stale")


def test_deleted_pods_and_nothing_read_of_pods(tmp_path: Path) -> None:
    depot = deleted(Depot(tmp_path)).drop(PODS)
    is_open(depot.ask("upstream-connect"))
    assert causes(depot.diagnose()) == []


def test_an_address_outside_of_the_cluster_is_no_deleted_pod(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    for at in range(100, 105):
        depot.request(at, 503, "UF,URX", TIMED_OUT, to="203.0.113.9", local="203.0.113.9:443", authority="pay.example",
                      cluster="outbound|443||pay.example")  # fmt: skip
    is_open(depot.ask("upstream-connect"))


def test_a_list_of_pods_that_is_not_complete_proves_nobody_gone(tmp_path: Path) -> None:
    """One pod of the list could not be decoded: it may be the one that has the address."""
    depot = with_istiod(unconnected(Depot(tmp_path), TIMED_OUT, 101, 102, 103, to=GONE_IP))
    accuses(depot.ask("upstream-connect"), "stale-endpoint-after-delete", OWNER)
    is_open(depot.objects("Pod", {"metadata": 7}).ask("upstream-connect"))


@pytest.mark.parametrize("cluster", [OUTBOUND, f"outbound|8090|winter|{HOST}"])
def test_a_list_of_pods_that_is_not_complete_proves_no_service_empty(tmp_path: Path, cluster: str) -> None:
    depot = unhealthy(Depot(tmp_path, servers=[]), cluster=cluster).objects("Pod", {"metadata": 7})
    depot.objects("DestinationRule", subset(edition="winter"))
    is_open(depot.ask("no-healthy-upstream"))


# -- upstream-connect: pods that are there


@pytest.mark.parametrize("limit", ["0.010s", "0.001s"])
def test_a_connect_timeout_that_is_too_small(tmp_path: Path, limit: str) -> None:
    owner = object_path("destination-rule", "books", "hasty")
    depot = Depot(tmp_path).configured(connect_timeout=limit, metadata=owner).good(*range(1, 40))
    unconnected(depot, TIMED_OUT, 50, 60, 70, duration=1)
    finding = depot.ask("upstream-connect")
    accuses(finding, "connect-timeout-too-small", "DestinationRule books/hasty")
    spares(finding, "packets-dropped")


def test_a_connect_timeout_that_was_not_read(tmp_path: Path) -> None:
    """Ready pods that do not answer look like dropped packets; with a tiny timeout they are not."""
    depot = unconnected(Depot(tmp_path).good(*range(1, 40)), TIMED_OUT, 50, 60, 70, duration=10)
    is_open(depot.ask("upstream-connect"))
    assert causes(depot.diagnose()) == []


def policy(name: str, *ingress: Any, selector: dict[str, str] | None = None) -> Any:
    spec = {"podSelector": {"matchLabels": selector or APP}, "policyTypes": ["Ingress"], "ingress": list(ingress)}
    return istio(name, "books", spec)


OTHERS = {"from": [{"namespaceSelector": {"matchLabels": {"team": "audit"}}}], "ports": [{"port": 9191}]}


def test_a_network_policy(tmp_path: Path) -> None:
    depot = unconnected(Depot(tmp_path).configured(), TIMED_OUT, *range(100, 106), duration=10_000)
    depot.objects("NetworkPolicy", policy("shelf", OTHERS), policy("elsewhere", selector={"app": "archive"}))
    verdict = accuses(depot.ask("upstream-connect"), "packets-dropped", "NetworkPolicy books/shelf")
    assert len(verdict.resources) == 1


def test_a_network_policy_that_admits_the_caller_is_not_accused(tmp_path: Path) -> None:
    depot = unconnected(Depot(tmp_path).configured(), TIMED_OUT, *range(100, 106), duration=10_000)
    depot.objects("NetworkPolicy", policy("shelf", OTHERS, {"ports": [{"port": 9191}]}))
    verdict = accuses(depot.ask("upstream-connect"), "packets-dropped", OWNER)
    assert "NetworkPolicy" not in {resource.kind for resource in verdict.resources}


def test_a_mesh_wide_connect_timeout(tmp_path: Path) -> None:
    depot = Depot(tmp_path).configured(connect_timeout="0.005s").mesh(connectTimeout="0.005s").good(*range(1, 40))
    unconnected(depot, TIMED_OUT, 50, 60, 70, duration=5)
    accuses(depot.ask("upstream-connect"), "connect-timeout-too-small", "ConfigMap istio-system/istio")


def test_a_small_connect_timeout_that_no_object_sets(tmp_path: Path) -> None:
    depot = Depot(tmp_path).configured(connect_timeout="0.005s").good(*range(1, 40))
    depot.objects("DestinationRule", istio("tls-only", "books", {"host": HOST, "trafficPolicy": {"tls": {}}}))
    is_open(unconnected(depot, TIMED_OUT, 50, 60, 70, duration=5).ask("upstream-connect"))


def test_a_pod_that_is_not_ready_is_no_proof_of_dropped_packets(tmp_path: Path) -> None:
    depot = Depot(tmp_path, servers=ledgers(ready=False)).configured()
    is_open(unconnected(depot, TIMED_OUT, *range(100, 106), duration=10_000).ask("upstream-connect"))


def test_a_refusal_of_a_pod_without_sidecar(tmp_path: Path) -> None:
    depot = unconnected(Depot(tmp_path, servers=ledgers(sidecar=False)), REFUSED, *range(100, 106))
    accuses(depot.ask("upstream-connect"), "nothing-listens-on-target-port", "Service books/ledger", OWNER)


def test_a_refusal_of_a_pod_whose_sidecar_runs_is_left_open(tmp_path: Path) -> None:
    is_open(unconnected(Depot(tmp_path), REFUSED, *range(100, 106)).ask("upstream-connect"))


def test_local_ports_that_ran_out(tmp_path: Path) -> None:
    details = "upstream_reset_before_response_started{local_connection_failure|Cannot_assign_requested_address}"
    accuses(unconnected(Depot(tmp_path), details, 100, 101).ask("upstream-connect"), "local-resource-exhausted", CALLER)


# -- no-healthy-upstream


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


# -- connection-pool


def overflown(depot: Depot, server: bool = False) -> Depot:
    for at in range(100, 106):
        details = "upstream_reset_before_response_started{overflow}"
        if server:
            depot.request(at, 503, server={"flags": "UO", "details": details})
        else:
            depot.request(at, 503, "UO", details, upstream="-")
    return depot


POOL = {"host": HOST, "trafficPolicy": {"connectionPool": {"http": {"http1MaxPendingRequests": 1}}}}


def test_the_callers_pool_overflows(tmp_path: Path) -> None:
    owner = object_path("destination-rule", "books", "narrow")
    breakers = limits(max_pending_requests=1, max_connections=2)
    depot = overflown(Depot(tmp_path).configured(circuit_breakers=breakers, metadata=owner))
    finding = depot.ask("connection-pool")
    verdict = accuses(finding, "client-pool-overflow", "DestinationRule books/narrow")
    assert "max connections 2, max pending requests 1" in verdict.evidence[1].says
    spares(finding, "server-pool-overflow")


def test_the_callers_pool_overflows_and_its_configuration_was_not_read(tmp_path: Path) -> None:
    depot = overflown(Depot(tmp_path))
    is_open(depot.ask("connection-pool"))
    depot.objects("DestinationRule", istio("narrow", "books", POOL))
    accuses(depot.ask("connection-pool"), "client-pool-overflow", "DestinationRule books/narrow")


def test_a_rule_without_a_pool_is_not_accused_of_an_overflow(tmp_path: Path) -> None:
    depot = overflown(Depot(tmp_path))
    depot.objects("DestinationRule", istio("tls-only", "books", {"host": HOST, "trafficPolicy": {"tls": {}}}))
    is_open(depot.ask("connection-pool"))


def test_the_servers_pool_overflows(tmp_path: Path) -> None:
    depot = overflown(Depot(tmp_path), server=True)
    spec = {"workloadSelector": {"labels": APP}, "inboundConnectionPool": {"http": {"http2MaxRequests": 1}}}
    depot.objects("Sidecar", istio("small", "books", spec), istio("scope", "depot", {"egress": [{"hosts": ["*/*"]}]}))
    finding = depot.ask("connection-pool")
    accuses(finding, "server-pool-overflow", "Sidecar books/small")
    spares(finding, "client-pool-overflow")


def test_the_servers_pool_overflows_and_its_object_was_not_read(tmp_path: Path) -> None:
    is_open(overflown(Depot(tmp_path), server=True).ask("connection-pool"))


# -- timeout


def timed_out(depot: Depot, details: str = "response_timeout") -> Depot:
    for at in range(100, 106):
        server = {"code": 0, "flags": "DC", "details": "downstream_remote_disconnect"}
        depot.request(at, 504, "UT", details, server=server, duration=1500)
    return depot


def test_a_route_timeout(tmp_path: Path) -> None:
    owner = object_path("virtual-service", "books", "impatient")
    depot = timed_out(Depot(tmp_path).configured(routed=[route(OUTBOUND, owner=owner, timeout="1.500s")]))
    verdict = accuses(depot.ask("timeout"), "route-timeout", "VirtualService books/impatient")
    assert "1.500s" in verdict.summary
    assert causes(depot.diagnose()) == ["route-timeout"]


def test_a_virtual_service_of_another_host_is_not_accused_of_a_timeout(tmp_path: Path) -> None:
    depot = timed_out(Depot(tmp_path))
    http = [{"timeout": "1s", "route": [{"destination": {"host": "archive"}}]}]
    depot.objects("VirtualService", istio("archive", "books", {"hosts": ["archive"], "http": http}))
    depot.objects("VirtualService", istio("patient", "books", {"hosts": ["ledger"], "http": [{"route": []}]}))
    is_open(depot.ask("timeout"))


# -- client-left


def left(depot: Depot, *durations: float, side: str = "DC") -> Depot:
    for at, ms in enumerate(durations):
        depot.request(100 + at, 0, side, "downstream_remote_disconnect", duration=ms)
    return depot


def test_a_client_with_a_timeout_of_its_own(tmp_path: Path) -> None:
    accuses(left(Depot(tmp_path), 800, 803, 801, 806).ask("client-left"), "client-gave-up", CALLER)


def test_a_client_that_hung_up_once(tmp_path: Path) -> None:
    is_open(left(Depot(tmp_path), 800).ask("client-left"))


def test_a_client_that_was_cut_off_by_its_own_route_did_not_give_up(tmp_path: Path) -> None:
    """At the server such a request looks the same; the caller's own line tells them apart."""
    spares(timed_out(Depot(tmp_path)).ask("client-left"))


def test_a_client_that_is_not_known(tmp_path: Path) -> None:
    """Only the server's line is there: any proxy on the way may have hung up."""
    depot = Depot(tmp_path)
    for at in range(100, 104):
        server = {"details": "downstream_remote_disconnect", "flags": "DC"}
        depot.request(at, 0, "DC", "downstream_remote_disconnect", duration=800, server=server)
    depot.drop(f"logs/{PICKER}")
    spares(depot.ask("client-left"))
    assert causes(depot.diagnose()) == []


# -- idle-flow


def rested(depot: Depot, seconds: float) -> Depot:
    for number in range(4):
        local = f"10.40.1.5:{46000 + number}"
        depot.request(10 * number, server={}, upstream_local=local)
        details = "upstream_reset_before_response_started{connection_termination}"
        depot.request(10 * number + seconds, 503, "UC", details, upstream_local=local)
    return depot


def test_idle_flows_are_dropped(tmp_path: Path) -> None:
    accuses(rested(Depot(tmp_path), 350).ask("idle-flow"), "idle-flow-dropped", CALLER)


def test_resets_on_flows_that_rested_shortly(tmp_path: Path) -> None:
    spares(rested(Depot(tmp_path), 5).ask("idle-flow"))


def test_resets_on_rested_flows_to_pods_that_were_stopped(tmp_path: Path) -> None:
    is_open(rested(Depot(tmp_path, servers=ledgers(stopped=340)), 350).ask("idle-flow"))


def test_resets_on_rested_flows_to_pods_that_were_not_read(tmp_path: Path) -> None:
    depot = rested(Depot(tmp_path), 350).drop(PODS)
    is_open(depot.ask("idle-flow"))
    assert "idle-flow-dropped" not in causes(depot.diagnose())


# -- idle-timeout


def quiet(depot: Depot) -> Depot:
    for at in range(100, 104):
        depot.request(at, 504, "SI", "stream_idle_timeout", duration=30_000)
    return depot


def test_a_stream_idle_timeout(tmp_path: Path) -> None:
    pool = {"host": HOST, "trafficPolicy": {"connectionPool": {"http": {"idleTimeout": "30s"}}}}
    depot = quiet(Depot(tmp_path)).objects("DestinationRule", istio("restless", "books", pool))
    accuses(depot.ask("idle-timeout"), "proxy-idle-timeout", "DestinationRule books/restless")


def test_a_stream_idle_timeout_that_no_object_sets(tmp_path: Path) -> None:
    depot = quiet(Depot(tmp_path)).objects("DestinationRule", istio("narrow", "books", POOL))
    is_open(depot.ask("idle-timeout"))


# -- connection-limit


def limited(depot: Depot, filters: list[Any]) -> Depot:
    for at in range(100, 106):
        depot.request(at, 503, "UC", "upstream_reset_before_response_started{connection_termination}")
    listener = {"name": "virtualInbound", "filter_chains": [{"filters": filters}]}
    depot.proxy(LEDGER, config_dump=config_dump(listeners=[listener]))
    patch = {"configPatches": [{"patch": {"value": {"name": "envoy.filters.network.connection_limit"}}}]}
    return depot.objects("EnvoyFilter", istio("doorman", "books", {"workloadSelector": {"labels": APP}, **patch}))


LIMIT = [{"name": "envoy.filters.network.connection_limit"}]


def test_a_connection_limit(tmp_path: Path) -> None:
    accuses(limited(Depot(tmp_path), LIMIT).ask("connection-limit"), "connection-limit", "EnvoyFilter books/doorman")


def test_resets_of_a_proxy_without_a_limit(tmp_path: Path) -> None:
    spares(limited(Depot(tmp_path), []).ask("connection-limit"))


def test_a_limit_whose_configuration_was_not_read(tmp_path: Path) -> None:
    depot = limited(Depot(tmp_path), LIMIT).drop("envoy/")
    spares(depot.ask("connection-limit"))
    assert "connection-limit" not in causes(depot.diagnose())


# -- proxies that acknowledge nothing


def test_a_proxy_that_acknowledges_nothing(tmp_path: Path) -> None:
    """Known to istiod, but its endpoints were sent minutes ago and never acknowledged, and are old."""
    dump = config_dump(
        clusters=[{"name": OUTBOUND, "type": "EDS"}], endpoints={OUTBOUND: [f"{GONE_IP}:9191", f"{LEDGER_IP}:9191"]},
        route_configs=[routes("8090", ["ledger.books:8090"], route(OUTBOUND))],
    )  # fmt: skip
    depot = with_istiod(deleted(Depot(tmp_path))).proxy(PICKER, config_dump=dump)
    late = {"sent": "n2", "acked": "n1", "sentTime": when(200)}
    depot.syncz(*LEDGERS, PICKER, errors={"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment": late})
    accuses(depot.ask("upstream-connect"), "proxy-stale", CALLER)
