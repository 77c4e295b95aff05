"""The caller's proxy gets no connection: the pod is gone, a timeout is too small, packets are dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.envoy_dumps import config_dump, object_path, route, routes
from tests.kube_objects import deployment, event, istio, pod
from tests.moments import when
from tests.probes.depot import (
    APP,
    CALLER,
    HOST,
    LEDGER,
    LEDGER_IP,
    LEDGERS,
    OUTBOUND,
    OWNER,
    PICKER,
    PODS,
    Depot,
    accuses,
    causes,
    is_open,
    ledgers,
    spares,
)

TIMED_OUT = "upstream_reset_before_response_started{connection_timeout}"
REFUSED = "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
GONE_IP = "10.40.2.66"


def unconnected(depot: Depot, details: str, *times: float, to: str = LEDGER, **more: Any) -> Depot:
    for at in times:
        depot.request(at, 503, "UF,URX", details, to=to, **more)
    return depot


# -- pods that are gone


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


def test_a_second_istiod_that_was_not_read_may_know_the_proxy(tmp_path: Path) -> None:
    depot = with_istiod(deleted(Depot(tmp_path))).syncz(*LEDGERS)
    accuses(depot.ask("upstream-connect"), "proxy-stale", CALLER)
    depot.objects("Pod", pod("istiod-canary-5c8d7f6b9-h4j2k", "istio-config", "10.40.9.8", {"app": "istiod"}))
    spares(depot.ask("upstream-connect"), "proxy-stale")


# -- pods that are there


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


def test_a_network_policy_that_was_made_afterwards(tmp_path: Path) -> None:
    depot = unconnected(Depot(tmp_path).configured(), TIMED_OUT, *range(100, 106), duration=10_000)
    late = policy("shelf", OTHERS)
    late["metadata"]["creationTimestamp"] = when(500)
    depot.objects("NetworkPolicy", late)
    accuses(depot.ask("upstream-connect"), "packets-dropped", OWNER)


def egress(name: str, *rules: Any) -> Any:
    return istio(name, "depot", {"podSelector": {}, "policyTypes": ["Egress"], "egress": list(rules)})


DNS_ONLY = {"ports": [{"protocol": "UDP", "port": 53}, {"port": 53}]}


def test_a_policy_that_does_not_let_the_caller_send(tmp_path: Path) -> None:
    depot = unconnected(Depot(tmp_path).configured(), TIMED_OUT, *range(100, 106), duration=10_000)
    depot.objects("NetworkPolicy", egress("lock-in", DNS_ONLY))
    verdict = accuses(depot.ask("upstream-connect"), "packets-dropped", "NetworkPolicy depot/lock-in")
    assert verdict.resources[0].field == "spec.egress"
    to_books = {"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": APP}}], "ports": [{"port": 9191}]}
    depot.objects("NetworkPolicy", egress("way-out", to_books))
    accuses(depot.ask("upstream-connect"), "packets-dropped", OWNER)


@pytest.mark.parametrize(("block", "kept"), [("203.0.113.0/24", False), ("198.51.100.0/24", True), ("nonsense", False)])
def test_an_address_outside_that_no_egress_rule_admits(tmp_path: Path, block: str, kept: bool) -> None:
    depot = Depot(tmp_path).configured()
    unconnected(depot, TIMED_OUT, *range(100, 106), to="203.0.113.8", duration=10_000)
    depot.objects("NetworkPolicy", egress("lock-in", {"to": [{"ipBlock": {"cidr": block}}]}))
    depot.objects("Event").drop(r"kube/core/v1/services")
    finding = depot.ask("upstream-connect")
    assert ["NetworkPolicy depot/lock-in" in map(str, one.resources) for one in finding.verdicts] == [True] * kept


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
