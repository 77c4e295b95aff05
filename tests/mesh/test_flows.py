"""Flows: the lines of both sides become one case, told by request id or by the ends of the connection."""

from __future__ import annotations

from pathlib import Path

from meshdoctor.mesh.traffic import APPLICATION, CLIENT, SERVER
from tests.kube_objects import pod, service
from tests.moments import Json
from tests.probes.depot import HOST, LEDGER, PICKER_IP, RESET, SERVICE_IP, Depot
from tests.recordings import access_line


def test_both_sides_of_a_request_are_one_case(tmp_path: Path) -> None:
    (case,) = Depot(tmp_path).reset(100, 101).cases()
    assert sorted(seen.side for seen in case.seen) == [CLIENT, CLIENT, SERVER, SERVER]
    assert {str(seen.client) for seen in case.seen} == {"depot/picker"}


def test_a_connection_without_a_request_id_is_joined_by_its_ends(tmp_path: Path) -> None:
    depot = Depot(tmp_path).refused(100)
    depot.request(100, 503, "UC", RESET, upstream_local=f"{PICKER_IP}:41100", cluster="PassthroughCluster",
                  local="10.40.2.7:9191", authority="10.40.2.7:9191")  # fmt: skip
    case = next(case for case in depot.cases() if any(seen.side == CLIENT for seen in case.seen))
    assert {seen.side for seen in case.seen} == {CLIENT, SERVER}


def test_the_same_ends_much_later_are_another_connection(tmp_path: Path) -> None:
    depot = Depot(tmp_path).refused(100)
    depot.request(400, 503, "UC", RESET, upstream_local=f"{PICKER_IP}:41100", cluster="PassthroughCluster",
                  local="10.40.2.7:9191", authority="10.40.2.7:9191")  # fmt: skip
    for case in depot.cases():
        assert len({seen.side for seen in case.seen}) == 1


def test_a_route_to_another_service_is_still_the_callers_case(tmp_path: Path) -> None:
    """The caller asked for one Service, a route sent the request to another: the answer belongs to the asked one."""
    depot = Depot(tmp_path).objects("Service", service("index", "books", "10.96.44.9", [(80, "http", 80)]))
    for at in (100, 101):
        depot.request(at, 503, server={"flags": "UC", "details": RESET}, local="10.96.44.9:80", authority="index.books")
    (case,) = depot.cases()
    assert case.destination.service == ("books", "index")
    assert {seen.side for seen in case.failures} == {CLIENT, SERVER}


def test_calls_of_the_application_join_their_flow(tmp_path: Path) -> None:
    (case,) = Depot(tmp_path).reset(100).call(100, 503, "reset").cases()
    assert {seen.side for seen in case.seen} == {CLIENT, SERVER, APPLICATION}


def test_the_server_of_a_named_service_is_told_by_its_sni(tmp_path: Path) -> None:
    alias = service("alias", "books", "10.96.44.8", [(80, "http", 9191)], {"app": "ledger"})
    depot = Depot(tmp_path).objects("Service", alias)
    line = access_line(100, 503, "UC", RESET, cluster="inbound|9191||", local="10.40.2.7:9191", remote="192.0.2.1:5",
                       sni="outbound_.80_._.alias.books.svc.cluster.local")  # fmt: skip
    (case,) = depot.log(LEDGER, "istio-proxy", line).cases()
    assert str(case.destination) == "alias.books.svc.cluster.local:80"
    assert case.client is None


def test_the_worst_flow_comes_first(tmp_path: Path) -> None:
    depot = Depot(tmp_path).reset(100)
    depot.objects("Pod", pod("clerk", "depot", "10.40.1.77"))
    for at in range(200, 210):
        asked: Json = {"cluster": f"outbound|8090||{HOST}", "local": f"{SERVICE_IP}:8090"}
        depot.log("depot/clerk", "istio-proxy", access_line(at, 503, "UH", "no_healthy_upstream", **asked))
    assert [str(case.client) for case in depot.cases()] == ["depot/clerk", "depot/picker"]
