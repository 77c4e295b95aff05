"""Port 15008 that does not answer, and nodes without ztunnel."""

from __future__ import annotations

from pathlib import Path

from tests import ambient_objects as world
from tests.ambient_objects import ZTUNNEL_LOG, calls, examined, mesh, step, sure, tunnel_line
from tests.kube_objects import event, istio, pod
from tests.moments import Json
from tests.recordings import Recording, access_line

TIMED_OUT = "connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008: deadline has elapsed"
BROKEN = "h2 failed: stream closed because of a broken pipe"
REFUSED = "io error: Connection refused (os error 111)"


def only_port(port: int, at: float = 100) -> Json:
    spec = {
        "podSelector": {"matchLabels": {"app": "stock"}},
        "ingress": [{"ports": [{"protocol": "TCP", "port": port}]}],
    }
    return istio("stock-ports", "depot", spec, at)


def failing(tmp_path: Path, error: str, ms: int = 10000, good: bool = True, **parts: list[Json]) -> Recording:
    """Good until 100 (if *good*); from 110 on every connection to stock ends with *error* after *ms*."""
    found = mesh(tmp_path, **parts)
    if good:
        for at in range(90, 100, 2):
            found.log(ZTUNNEL_LOG, "istio-proxy", tunnel_line(at)).log(
                f"depot/{world.TILL}", "server", *calls((at, 200))
            )
    for at in range(110, 130, 2):
        if error:
            line = tunnel_line(at + ms / 1000, error=error, ms=ms)
            found.log(ZTUNNEL_LOG, "istio-proxy", line)
        found.log(f"depot/{world.TILL}", "server", *calls((at, 0), ms=ms))
    return found


def test_an_ingress_policy_without_port_15008(tmp_path: Path) -> None:
    found = examined(failing(tmp_path, TIMED_OUT, NetworkPolicy=[only_port(9000)]))
    assert sure(found) == [("hbone-blocked", "NetworkPolicy depot/stock-ports")]
    assert found.verdicts[0].failures == 10


def test_connections_that_were_there_break_later(tmp_path: Path) -> None:
    found = examined(failing(tmp_path, BROKEN, 27000, NetworkPolicy=[only_port(9000)]))
    assert sure(found) == [("hbone-blocked", "NetworkPolicy depot/stock-ports")]


def test_calls_hang_before_ztunnel_says_anything(tmp_path: Path) -> None:
    found = examined(failing(tmp_path, "", 5000, NetworkPolicy=[only_port(9000)]))
    assert sure(found) == [("hbone-blocked", "NetworkPolicy depot/stock-ports")]
    assert found.verdicts[0].confidence < 0.95


def test_an_egress_policy_of_the_caller(tmp_path: Path) -> None:
    spec = {
        "podSelector": {"matchLabels": {"app": "till"}},
        "policyTypes": ["Egress"],
        "egress": [{"ports": [{"port": 9000}]}],
    }
    found = examined(failing(tmp_path, TIMED_OUT, NetworkPolicy=[istio("till-out", "depot", spec, 100)]))
    assert sure(found) == [("hbone-blocked", "NetworkPolicy depot/till-out")]
    assert "egress" in found.verdicts[0].remedy.yaml


def test_a_policy_that_admits_15008_is_not_blamed(tmp_path: Path) -> None:
    found = examined(failing(tmp_path, BROKEN, NetworkPolicy=[only_port(15008)]))
    assert sure(found) == []
    assert step(found, "hbone-blocked")[0] == "inconclusive"


def test_a_younger_policy_is_not_blamed(tmp_path: Path) -> None:
    assert sure(examined(failing(tmp_path, BROKEN, NetworkPolicy=[only_port(9000, 300)]))) == []


def test_something_unseen_drops_the_packets(tmp_path: Path) -> None:
    (verdict,) = examined(failing(tmp_path, TIMED_OUT)).verdicts
    assert (verdict.cause, verdict.confidence, str(verdict.resources[0])) == (
        "hbone-blocked",
        0.75,
        "Deployment depot/stock",
    )


def test_network_policies_that_were_not_read(tmp_path: Path) -> None:
    found = examined(failing(tmp_path, TIMED_OUT).drop("kube/networking.k8s.io"))
    assert sure(found) == []
    assert step(found, "hbone-blocked")[0] == "inconclusive"


def test_no_node_fits_the_selector_of_ztunnel(tmp_path: Path) -> None:
    killing = event("Pod", "istio-system", world.ZTUNNEL, "Killing", "Stopping container istio-proxy", 105)
    found = failing(
        tmp_path,
        "",
        3,
        Pod=[*world.clients(), *world.servers()],
        DaemonSet=[world.ztunnel_set(0, 0, {"pool": "gone"})],
        Event=[killing],
    ).drop("logs/istio-system")
    diagnosis = examined(found)
    assert sure(diagnosis) == [("ztunnel-down", "DaemonSet istio-system/ztunnel")]
    assert "pool=gone" in diagnosis.verdicts[0].summary
    assert diagnosis.verdicts[0].failures == 10


def test_ztunnel_crashes_on_the_node(tmp_path: Path) -> None:
    broken = world.ztunnel_pod(ready=False, ready_at=104)
    pods = [*world.clients(), *world.servers(), broken]
    found = failing(tmp_path, "", 3, Pod=pods, DaemonSet=[world.ztunnel_set(0)])
    assert sure(examined(found)) == [("ztunnel-down", "DaemonSet istio-system/ztunnel")]


def test_no_ztunnel_was_deployed(tmp_path: Path) -> None:
    found = failing(tmp_path, "", 3, Pod=[*world.clients(), *world.servers()], DaemonSet=[]).drop("logs/istio-system")
    assert sure(examined(found)) == [("ztunnel-down", "DaemonSet istio-system/ztunnel")]


def test_a_node_that_nobody_of_this_flow_is_on(tmp_path: Path) -> None:
    elsewhere = world.ztunnel_pod("ztunnel-z9z9z", node="node-b", ready=False)
    found = failing(tmp_path, "", 3, Pod=[*world.clients(), *world.servers(), world.ztunnel_pod(), elsewhere])
    assert sure(examined(found)) == []


def test_the_servers_node_has_no_ztunnel(tmp_path: Path) -> None:
    away = [
        world.ambient_pod(name, ip, "stock", replica_set="stock-6c8d7f9b4", node="node-b")
        for name, ip in ((world.STOCK, world.STOCK_IP), (world.OTHER_STOCK, world.OTHER_IP))
    ]
    found = failing(tmp_path, REFUSED, 1, Pod=[*world.clients(), *away, world.ztunnel_pod()])
    diagnosis = examined(found)
    assert sure(diagnosis) == [("ztunnel-down", "DaemonSet istio-system/ztunnel")]
    assert "node-b" in diagnosis.verdicts[0].summary
    assert diagnosis.verdicts[0].failures == 10


def test_calls_that_go_well_again_are_no_outage(tmp_path: Path) -> None:
    found = failing(tmp_path, "", 3, Pod=[*world.clients(), *world.servers()], DaemonSet=[world.ztunnel_set(0)])
    found.log(f"depot/{world.TILL}", "server", *calls(*((at, 200) for at in range(140, 200, 4))))
    assert sure(examined(found.drop("logs/istio-system"))) == []


def restarted(tmp_path: Path, good: bool) -> Recording:
    """The old ztunnel was stopped at 105, the new one was Ready at 140."""
    old = ("Pod", "istio-system", "ztunnel-b7b7b")
    events = [
        event(*old, "Scheduled", "Successfully assigned istio-system/ztunnel-b7b7b to node-a", -900),
        event(*old, "Killing", "Stopping container istio-proxy", 105),
    ]
    pods = [*world.clients(), *world.servers(), world.ztunnel_pod(created=120, ready_at=140)]
    found = failing(tmp_path, "", 3, good, Pod=pods, Event=events)
    return found.log(f"depot/{world.TILL}", "server", *calls(*((at, 200) for at in range(150, 300, 4))))


def test_a_restart_of_ztunnel_is_over(tmp_path: Path) -> None:
    found = examined(restarted(tmp_path, True))
    assert sure(found) == [("ztunnel-down", "DaemonSet istio-system/ztunnel")]
    assert found.verdicts[0].state == "over"
    assert found.now == "healthy"


def test_the_tail_of_an_older_outage_is_no_proof(tmp_path: Path) -> None:
    found = examined(restarted(tmp_path, False))
    assert sure(found) == []
    assert found.verdicts[0].cause == "ztunnel-down"


def test_a_server_that_was_not_captured(tmp_path: Path) -> None:
    pods = [*world.clients(), *world.servers(captured=False), world.ztunnel_pod()]
    found = failing(tmp_path, REFUSED, 1, Pod=pods)
    found.put(f"ztunnel/{ZTUNNEL_LOG}/config_dump.json", {"workloads": [world.workload(world.STOCK, world.STOCK_IP)]})
    diagnosis = examined(found)
    assert sure(diagnosis) == [("not-captured-by-ztunnel", "Deployment depot/stock")]
    assert any("HBONE" in one.says for one in diagnosis.verdicts[0].evidence)


def test_a_server_that_its_ztunnel_has_lost(tmp_path: Path) -> None:
    found = failing(tmp_path, REFUSED, 1)
    held = {"uid-1": {"state": "Up", "info": {"name": world.TILL, "namespace": "depot"}}}
    found.put(f"ztunnel/{ZTUNNEL_LOG}/config_dump.json", {"workloadState": held})
    assert sure(examined(found)) == [("not-captured-by-ztunnel", "Deployment depot/stock")]
    held["uid-2"] = {"state": "Up", "info": {"name": world.STOCK, "namespace": "depot"}}
    found.put(f"ztunnel/{ZTUNNEL_LOG}/config_dump.json", {"workloadState": held})
    assert sure(examined(found)) == []


def test_a_gateway_cannot_reach_the_tunnel(tmp_path: Path) -> None:
    labels = {"app": "edge"}
    door = pod("edge-6b9c8d7f5-j4j4j", "gates", "10.8.1.1", labels, gateway=True)
    found = mesh(tmp_path, NetworkPolicy=[only_port(9000)]).objects("Pod", door)
    for at in range(110, 130, 2):
        line = access_line(
            at, 503, "UF", "upstream_reset_before_response_started{connection_timeout}", authority="parts.example",
            cluster="outbound|8000||stock.depot.svc.cluster.local",
            upstream=f"envoy://connect_originate/{world.STOCK_IP}:9000", remote="203.0.113.4:51000",
        )  # fmt: skip
        found.log("gates/edge-6b9c8d7f5-j4j4j", "istio-proxy", line)
    found.objects("VirtualService", istio("parts", "gates", {"hosts": ["parts.example"], "gateways": ["edge"]}))
    assert ("hbone-blocked", "NetworkPolicy depot/stock-ports") in sure(examined(found))


def test_a_policy_that_nobody_enforces_is_not_blamed(tmp_path: Path) -> None:
    found = failing(tmp_path, BROKEN, 100, NetworkPolicy=[only_port(9000)])
    found.log(ZTUNNEL_LOG, "istio-proxy", *(tunnel_line(at) for at in range(111, 131, 2)))
    assert sure(examined(found)) == []
    found.log(ZTUNNEL_LOG, "istio-proxy", *(tunnel_line(at, error=TIMED_OUT, ms=900) for at in range(112, 132, 2)))
    assert sure(examined(found)) == [("hbone-blocked", "NetworkPolicy depot/stock-ports")]
