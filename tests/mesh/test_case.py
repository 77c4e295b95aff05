"""Cases: flows joined from both sides' logs, the questions that people type, and whether trouble is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdoctor.errors import NothingMatches
from meshdoctor.mesh.case import Case, Question, parse_question
from meshdoctor.mesh.traffic import APPLICATION, CLIENT, SERVER, split_address
from tests.kube_objects import istio, pod, service
from tests.moments import Json
from tests.probes.depot import HOST, LEDGER, PICKER, PICKER_IP, SERVICE_IP, Depot
from tests.recordings import access_line

RESET = "upstream_reset_before_response_started{connection_termination}"


def failing(depot: Depot, *times: float) -> Depot:
    for at in times:
        depot.request(at, 503, server={"flags": "UC", "details": RESET})
    return depot


def ask(depot: Depot, client: str, target: str) -> tuple[Case, ...]:
    return depot.examination(parse_question(client, target)).cases


# -- questions


@pytest.mark.parametrize(
    ("target", "host", "port", "path"),
    [
        ("ledger", "ledger", 0, ""),
        ("ledger:8090", "ledger", 8090, ""),
        ("ledger.books:8090/page/1", "ledger.books", 8090, "/page/1"),
        ("ledger/page", "ledger", 0, "/page"),
        ("http://ledger/page", "ledger", 80, "/page"),
        ("https://read.example.org", "read.example.org", 443, ""),
        ("http://ledger:8090", "ledger", 8090, ""),
        ("10.96.44.3:8090", "10.96.44.3", 8090, ""),
        ("[fd00::7]:8090/x", "fd00::7", 8090, "/x"),
        ("ledger:web", "ledger:web", 0, ""),
        ("", "", 0, ""),
    ],
)
def test_parsing_a_question(target: str, host: str, port: int, path: str) -> None:
    assert parse_question("depot/picker", target) == Question("depot/picker", host, port, path)


def test_no_question() -> None:
    assert parse_question("", "") is None
    assert (parse_question("", "ledger:8090/x") or pytest.fail()).target == "ledger:8090/x"


@pytest.mark.parametrize(
    ("client", "target"),
    [
        ("depot/picker", "ledger.books:8090"),
        ("picker", "ledger.books"),
        (PICKER, f"{HOST}:8090/page"),
        ("depot/picker", SERVICE_IP),
        ("", "ledger.books"),
        ("depot/picker", ""),
    ],
)
def test_a_question_finds_its_flow(tmp_path: Path, client: str, target: str) -> None:
    (case,) = ask(failing(Depot(tmp_path), 100, 101), client, target)
    assert str(case.client) == "depot/picker"
    assert str(case.destination) == f"{HOST}:8090"
    assert len(case.failures) == 4


def test_a_port_that_the_service_does_not_have_is_refused_with_those_it_has(tmp_path: Path) -> None:
    depot = failing(Depot(tmp_path), 100, 101)
    with pytest.raises(NothingMatches) as raised:
        ask(depot, "depot/picker", "ledger.books:9999")
    assert raised.value.nearest == ("ledger.books:8090",)


def test_a_flow_that_nobody_logged_is_a_case_without_traffic(tmp_path: Path) -> None:
    (case,) = ask(Depot(tmp_path), "depot/picker", "ledger.books:8090")
    assert case.seen == () and case.destination.service == ("books", "ledger")


@pytest.mark.parametrize(
    ("client", "target", "nearest"),
    [
        ("depot/piker", "", "depot/picker"),
        ("picer", "ledger.books", "depot/picker"),
        ("depot/picker", "ledgr.books", "ledger.books"),
        ("depot/picker", "ledger.depot", "ledger.books"),
        ("depot/picker", "rates.exmple.org", "rates.example.org"),
    ],
)
def test_names_that_match_nothing_get_the_nearest(tmp_path: Path, client: str, target: str, nearest: str) -> None:
    depot = Depot(tmp_path).objects("ServiceEntry", istio("rates", "depot", {"hosts": ["rates.example.org"]}))
    with pytest.raises(NothingMatches) as caught:
        ask(depot, client, target)
    assert nearest in caught.value.nearest
    assert len(caught.value.nearest) <= 3


def test_a_declared_host_without_traffic_is_no_mistake(tmp_path: Path) -> None:
    depot = Depot(tmp_path).objects("ServiceEntry", istio("rates", "depot", {"hosts": ["rates.example.org"]}))
    (case,) = ask(depot, "depot/picker", "rates.example.org")
    assert case.seen == ()


# -- joining


def test_both_sides_of_a_request_are_one_case(tmp_path: Path) -> None:
    (case,) = failing(Depot(tmp_path), 100, 101).cases()
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
    (case,) = failing(Depot(tmp_path), 100).call(100, 503, "reset").cases()
    assert {seen.side for seen in case.seen} == {CLIENT, SERVER, APPLICATION}


def test_together_brings_the_other_side(tmp_path: Path) -> None:
    (case,) = failing(Depot(tmp_path), 100, 101).cases()
    ours = case.caller_lines[:1]
    assert [seen.side for seen in case.together(ours)] == [CLIENT, SERVER]


def test_without_takes_away_only_what_is_told(tmp_path: Path) -> None:
    (case,) = failing(Depot(tmp_path).good(1, 2), 100, 101).cases()
    rest = case.without(case.together(case.caller_lines[:1]))
    assert len(rest.failures) == 2
    assert len(rest.seen) == len(case.seen) - 2
    assert (rest.client, rest.destination) == (case.client, case.destination)


def test_the_server_of_a_named_service_is_told_by_its_sni(tmp_path: Path) -> None:
    alias = service("alias", "books", "10.96.44.8", [(80, "http", 9191)], {"app": "ledger"})
    depot = Depot(tmp_path).objects("Service", alias)
    line = access_line(100, 503, "UC", RESET, cluster="inbound|9191||", local="10.40.2.7:9191", remote="192.0.2.1:5",
                       sni="outbound_.80_._.alias.books.svc.cluster.local")  # fmt: skip
    (case,) = depot.log(LEDGER, "istio-proxy", line).cases()
    assert str(case.destination) == "alias.books.svc.cluster.local:80"
    assert case.client is None


def test_the_worst_flow_comes_first(tmp_path: Path) -> None:
    depot = failing(Depot(tmp_path), 100)
    depot.objects("Pod", pod("clerk", "depot", "10.40.1.77"))
    for at in range(200, 210):
        asked: Json = {"cluster": f"outbound|8090||{HOST}", "local": f"{SERVICE_IP}:8090"}
        depot.log("depot/clerk", "istio-proxy", access_line(at, 503, "UH", "no_healthy_upstream", **asked))
    assert [str(case.client) for case in depot.cases()] == ["depot/clerk", "depot/picker"]


# -- words of the flowchart


def test_the_signature(tmp_path: Path) -> None:
    depot = failing(Depot(tmp_path), 100).request(101, 503).call(102, 0).refused(103)
    words = {word for case in depot.cases() for word in case.signature}
    assert {"via_upstream", "server:UC", "silent", "server:NR"} <= words


# -- over?


@pytest.mark.parametrize(
    ("bad", "good", "over"),
    [
        ((100, 101), range(102, 130), True),
        ((100, 101), (), False),
        ((100, 101), (102, 103), False),  # too few
        ((100, 101), (102, 103, 104, 105), False),  # too soon
        ((100, 120), range(121, 150), False),  # as quiet as between the failures
        ((100, 120), range(121, 200), True),
        ((100, 101), range(1, 99), False),  # only before
        ((100,), range(102, 110), True),
    ],
)
def test_whether_trouble_is_over(tmp_path: Path, bad: tuple[float, ...], good: range, over: bool) -> None:
    (case,) = failing(Depot(tmp_path), *bad).good(*good).cases()
    assert case.is_over(case.failures) is over


def test_calls_that_still_fail_are_not_over(tmp_path: Path) -> None:
    """Proxies write their log every ten seconds; the application's own calls are newer."""
    depot = failing(Depot(tmp_path), 100, 101).good(*range(102, 130)).call(131, 503, "")
    (case,) = depot.cases()
    assert not case.is_over(case.caller_lines)


def test_nothing_is_over_when_there_is_no_time(tmp_path: Path) -> None:
    (case,) = failing(Depot(tmp_path), 100).cases()
    assert not case.is_over(())


# -- addresses


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1:80", ("10.0.0.1", 80)),
        ("[fd00::7]:8080", ("fd00::7", 8080)),
        ("envoy://connect_originate/10.0.0.1:80", ("10.0.0.1", 80)),
        ("-", ("", 0)),
        ("", ("", 0)),
        (None, ("", 0)),
        ("10.0.0.1:http", ("10.0.0.1", 0)),
    ],
)
def test_addresses_as_envoy_logs_them(text: str | None, address: tuple[str, int]) -> None:
    assert split_address(text) == address
