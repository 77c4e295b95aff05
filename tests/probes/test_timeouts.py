"""Time that ran out: timeout, idle-timeout, client-left, idle-flow."""

from __future__ import annotations

from pathlib import Path

from tests.envoy_dumps import object_path, route
from tests.kube_objects import event, istio
from tests.probes.depot import (
    CALLER,
    HOST,
    LEDGER,
    OUTBOUND,
    OWNER,
    PICKER,
    PODS,
    RESET,
    Depot,
    accuses,
    causes,
    is_open,
    ledgers,
    spares,
)

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


def test_a_timeout_that_is_over_and_one_that_was_a_blip(tmp_path: Path) -> None:
    depot = timed_out(Depot(tmp_path).objects("VirtualService")).good(*range(200, 260))
    assert accuses(depot.ask("timeout"), "route-timeout").confidence < 0.8
    blip = Depot(tmp_path / "b").objects("VirtualService").good(*range(90, 99))
    blip.request(100, 504, "UT", "response_timeout", duration=1500).good(*range(200, 260))
    is_open(blip.ask("timeout"))


def test_a_virtual_service_of_another_host_is_not_accused_of_a_timeout(tmp_path: Path) -> None:
    depot = timed_out(Depot(tmp_path))
    http = [{"timeout": "1s", "route": [{"destination": {"host": "archive"}}]}]
    depot.objects("VirtualService", istio("archive", "books", {"hosts": ["archive"], "http": http}))
    depot.objects("VirtualService", istio("patient", "books", {"hosts": ["ledger"], "http": [{"route": []}]}))
    is_open(depot.ask("timeout"))


# -- client-left


def left(depot: Depot, *durations: float, side: str = "DC") -> Depot:
    for at, ms in enumerate(durations):
        depot.request(100 + at, 0, side, "downstream_remote_disconnect", duration=ms, server={})
    return depot


def test_a_client_with_a_timeout_of_its_own(tmp_path: Path) -> None:
    accuses(left(Depot(tmp_path), 800, 803, 801, 806).ask("client-left"), "client-gave-up", CALLER)


def test_a_client_that_hung_up_once(tmp_path: Path) -> None:
    is_open(left(Depot(tmp_path), 800).ask("client-left"))


def fell_silent(depot: Depot) -> Depot:
    depot.good(*range(10, 30))
    return left(depot, 800, 803, 801, 806, 802, 804)


def test_servers_that_answered_at_once_and_fell_silent(tmp_path: Path) -> None:
    """They hang, or they became slow; when their probes get no answer either, they hang."""
    finding = fell_silent(Depot(tmp_path)).ask("client-left")
    assert [one.cause for one in finding.verdicts if one.confidence > 0.6] == ["client-gave-up"]
    assert "app-stalled" in [one.cause for one in finding.verdicts]
    timeout = 'Liveness probe failed: Get "http://10.40.2.7:9191/": context deadline exceeded (Client.Timeout exceeded)'
    unhealthy = event("Pod", "books", LEDGER.partition("/")[2], "Unhealthy", timeout, 104)
    depot = fell_silent(Depot(tmp_path / "b").objects("Event", unhealthy))
    accuses(depot.ask("client-left"), "app-stalled", OWNER)
    assert causes(depot.diagnose()) == ["app-stalled"]


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
        depot.request(10 * number + seconds, 503, "UC", RESET, upstream_local=local)
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
    pool = {"host": HOST, "trafficPolicy": {"connectionPool": {"http": {"http1MaxPendingRequests": 1}}}}
    depot = quiet(Depot(tmp_path)).objects("DestinationRule", istio("narrow", "books", pool))
    is_open(depot.ask("idle-timeout"))
