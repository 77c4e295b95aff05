"""Services without endpoints, applications that refuse, waypoints that are missing, seen through ztunnel."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import ambient_objects as world
from tests.ambient_objects import ZTUNNEL_LOG, calls, early_denial, examined, mesh, step, sure, tunnel_line
from tests.kube_objects import container_status, deployment, istio
from tests.moments import Json
from tests.recordings import Recording

NOBODY = f"no healthy upstream: {world.STOCK_VIP}:8000"
REFUSED = "connection failed: Connection refused (os error 111)"


def called(found: Recording, *statuses: tuple[float, int]) -> Recording:
    return found.log(f"depot/{world.TILL}", "server", *calls(*statuses))


def unanswered(found: Recording, first: int = 110, last: int = 130) -> Recording:
    for at in range(first, last, 2):
        called(found.log(ZTUNNEL_LOG, "istio-proxy", early_denial(at, NOBODY)), (at, 0))
    return found


def refused(found: Recording, port: int, first: int = 110, last: int = 130) -> Recording:
    for at in range(first, last, 2):
        inbound = tunnel_line(at, "inbound", REFUSED, port=port)
        outbound = tunnel_line(at + 0.001, "outbound", "http status: 503 Service Unavailable", port=port)
        called(found.log(ZTUNNEL_LOG, "istio-proxy", inbound, outbound), (at, 0))
    return found


def good(found: Recording, first: int, last: int, port: int = 9000) -> Recording:
    for at in range(first, last, 2):
        called(found.log(ZTUNNEL_LOG, "istio-proxy", tunnel_line(at, "inbound", port=port)), (at, 200))
    return found


def test_a_selector_that_fits_no_pod(tmp_path: Path) -> None:
    found = unanswered(mesh(tmp_path, Service=[world.stock(selector={"app": "stocks"})]))
    assert sure(examined(found)) == [("no-endpoints", "Service depot/stock")]


def test_a_deployment_at_zero(tmp_path: Path) -> None:
    scaled = [deployment("stock", "depot", {"app": "stock"}, replicas=0)]
    found = unanswered(mesh(tmp_path, Pod=[*world.clients(), world.ztunnel_pod()], Deployment=scaled))
    assert sure(examined(found)) == [("no-endpoints", "Deployment depot/stock")]


def test_pods_that_are_not_ready(tmp_path: Path) -> None:
    pods = [*world.clients(), *world.servers(ready=False), world.ztunnel_pod()]
    assert sure(examined(unanswered(mesh(tmp_path, Pod=pods)))) == [("endpoints-not-ready", "Deployment depot/stock")]


def test_nothing_was_wrong_any_more_when_the_objects_were_read(tmp_path: Path) -> None:
    found = good(unanswered(mesh(tmp_path)), 140, 200)
    assert sure(examined(found)) == []


def test_ztunnels_log_alone_is_enough(tmp_path: Path) -> None:
    found = unanswered(mesh(tmp_path, Service=[world.stock(selector={"app": "stocks"})])).drop("logs/depot")
    diagnosis = examined(found)
    assert sure(diagnosis) == [("no-endpoints", "Service depot/stock")]
    assert diagnosis.verdicts[0].affects == ({"from": "depot/till", "to": "stock.depot.svc.cluster.local:8000"},)


def test_a_target_port_that_no_container_declares(tmp_path: Path) -> None:
    found = examined(refused(good(mesh(tmp_path, Service=[world.stock(9001)]), 90, 100), 9001))
    assert sure(found) == [("nothing-listens-on-target-port", "Service depot/stock")]
    assert found.verdicts[0].failures == 10


def test_an_application_that_listens_elsewhere(tmp_path: Path) -> None:
    found = examined(refused(mesh(tmp_path), 9000))
    assert sure(found) == [("nothing-listens-on-target-port", "Deployment depot/stock")]


def test_an_application_that_was_still_starting(tmp_path: Path) -> None:
    pods = [*world.clients(), *world.servers(ready_at=108), world.ztunnel_pod()]
    found = good(refused(mesh(tmp_path, Pod=pods), 9000, 110, 120), 124, 200)
    assert sure(examined(found)) == [("ready-before-listening", "Deployment depot/stock")]


def test_an_application_that_crashes(tmp_path: Path) -> None:
    statuses = [container_status("server", last_end=(111, 1, "Error"))]
    pods = [*world.clients(), *world.servers(statuses=statuses), world.ztunnel_pod()]
    assert sure(examined(refused(mesh(tmp_path, Pod=pods), 9000, 112, 122))) == [
        ("app-crashed", "Deployment depot/stock")
    ]


def test_a_refusal_that_is_over_proves_nothing(tmp_path: Path) -> None:
    found = examined(good(refused(mesh(tmp_path), 9000), 140, 200))
    assert sure(found) == []
    assert step(found, "ztunnel-application")[0] == "inconclusive"


def test_a_healthy_mesh_and_errors_that_nobody_noticed(tmp_path: Path) -> None:
    found = good(mesh(tmp_path), 90, 200)
    assert [one.cause for one in examined(found).verdicts] == ["healthy"]
    found.log(ZTUNNEL_LOG, "istio-proxy", tunnel_line(150, error="io error: Connection reset by peer"))
    diagnosis = examined(found)
    assert [one.cause for one in diagnosis.verdicts] == ["healthy"]
    assert diagnosis.exit_status == 0


def gateway(at: float = -3600) -> Json:
    return istio("gate", "depot", {"gatewayClassName": "istio-waypoint"}, at)


def waypointed(tmp_path: Path, **parts: list[Json]) -> Recording:
    """stock asks for waypoint gate; ztunnel knows it."""
    label = {"istio.io/use-waypoint": "gate"}
    found = mesh(tmp_path, Service=[world.stock(labels=label)], **parts)
    dumped = {"name": "stock", "namespace": "depot", "waypoint": {"destination": "/10.99.0.9"}}
    return found.put(f"ztunnel/{ZTUNNEL_LOG}/config_dump.json", {"services": [dumped]})


def test_a_waypoint_without_pods(tmp_path: Path) -> None:
    found = unanswered(waypointed(tmp_path, K8sGateway=[gateway()]))
    assert sure(examined(found)) == [("waypoint-unavailable", "Gateway depot/gate")]


def test_a_waypoint_that_does_not_exist(tmp_path: Path) -> None:
    found = waypointed(tmp_path)
    for at in range(110, 130, 2):
        called(found.log(ZTUNNEL_LOG, "istio-proxy", early_denial(at, "unknown waypoint: 10.99.0.9")), (at, 0))
    diagnosis = examined(found)
    assert sure(diagnosis) == [("waypoint-unavailable", "Gateway depot/gate")]
    assert "no such Gateway" in diagnosis.verdicts[0].summary


def test_a_waypoint_that_refuses(tmp_path: Path) -> None:
    pod = world.waypoint_pod("gate-5d7c9b8f6-h8h8h", "10.8.0.9", "gate", ready=False)
    found = waypointed(tmp_path, K8sGateway=[gateway()])
    found.objects("Pod", pod)
    for at in range(110, 130, 2):
        line = tunnel_line(
            at, error="io error: Connection refused (os error 111)", target="depot/gate-5d7c9b8f6-h8h8h",
            target_ip="10.8.0.9", hbone=f"{world.STOCK_VIP}:8000",
        )  # fmt: skip
        called(found.log(ZTUNNEL_LOG, "istio-proxy", line), (at, 0))
    diagnosis = examined(found)
    assert sure(diagnosis) == [("waypoint-unavailable", "Gateway depot/gate")]
    assert "gate-5d7c9b8f6-h8h8h" in diagnosis.verdicts[0].summary


def test_a_ready_waypoint_is_cleared(tmp_path: Path) -> None:
    found = unanswered(waypointed(tmp_path, K8sGateway=[gateway()]))
    found.objects("Pod", world.waypoint_pod("gate-5d7c9b8f6-h8h8h", "10.8.0.9", "gate"))
    diagnosis = examined(found)
    assert sure(diagnosis) == []
    assert step(diagnosis, "waypoint-unavailable")[0] == "cleared"


def test_the_waypoint_is_the_caller_that_no_policy_knows(tmp_path: Path) -> None:
    pod = world.waypoint_pod("gate-5d7c9b8f6-h8h8h", "10.8.0.9", "gate")
    rules = [{"from": [{"source": {"principals": ["cluster.local/ns/depot/sa/till"]}}]}]
    policy = istio("callers", "depot", {"selector": {"matchLabels": {"app": "stock"}}, "rules": rules}, 105)
    found = waypointed(tmp_path, K8sGateway=[gateway()], AuthorizationPolicy=[policy])
    found.objects("Pod", pod)
    error = "connection closed due to policy rejection: allow policies exist, but none allowed"
    for at in range(110, 130, 2):
        line = tunnel_line(
            at, "inbound", error, source="depot/gate-5d7c9b8f6-h8h8h", source_ip="10.8.0.9",
            principal="cluster.local/ns/depot/sa/gate",
        )  # fmt: skip
        called(found.log(ZTUNNEL_LOG, "istio-proxy", line), (at, 503))
    for diagnosis in (examined(found), examined(found, "depot/till", "stock.depot:8000")):
        assert sure(diagnosis) == [("l7-policy-at-ztunnel", "AuthorizationPolicy depot/callers")]


def test_http_configuration_without_a_waypoint_is_only_a_hint(tmp_path: Path) -> None:
    route = istio("stock", "depot", {"parentRefs": [{"kind": "Service", "name": "stock"}], "rules": []})
    service = istio("stock", "depot", {"hosts": ["stock"], "http": [{"route": []}]})
    found = mesh(tmp_path, HTTPRoute=[route], VirtualService=[service])
    called(found, *((at, 503) for at in range(110, 130, 2)))
    diagnosis = examined(found)
    hint = next(one for one in diagnosis.verdicts if one.cause == "l7-config-without-waypoint")
    assert hint.confidence <= 0.6
    assert {str(one) for one in hint.resources} >= {"HTTPRoute depot/stock", "VirtualService depot/stock"}


@pytest.mark.parametrize("status", [404, 503])
def test_a_route_to_elsewhere_that_nobody_reads(tmp_path: Path, status: int) -> None:
    rule = {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": [{"name": "annex"}]}
    route = istio("stock", "depot", {"parentRefs": [{"kind": "Service", "name": "stock"}], "rules": [rule]})
    found = called(mesh(tmp_path, HTTPRoute=[route]), *((at, status) for at in range(110, 130, 2)))
    asked = examined(found, "depot/till", "stock.depot:8000/items")
    assert sure(asked) == [("l7-config-without-waypoint", "HTTPRoute depot/stock")]


def test_only_the_application_can_have_answered(tmp_path: Path) -> None:
    found = called(mesh(tmp_path), *((at, 503) for at in range(110, 130, 2)))
    assert sure(examined(found)) == [("app-returned-error", "Deployment depot/stock")]


def test_no_endpoints_without_ztunnels_log(tmp_path: Path) -> None:
    found = unanswered(mesh(tmp_path, Service=[world.stock(selector={"app": "stocks"})])).drop("logs/istio-system")
    (verdict,) = examined(found).verdicts
    assert (verdict.cause, verdict.confidence) == ("no-endpoints", 0.85)
    ready = unanswered(mesh(tmp_path / "ready")).drop("logs/istio-system")
    assert sure(examined(ready)) == []
