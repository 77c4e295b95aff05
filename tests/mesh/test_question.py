"""The questions that people type, and the cases that answer them."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdoctor.errors import NothingMatches, UsageError
from meshdoctor.mesh.case import Case
from meshdoctor.mesh.question import Question, parse_question
from tests.kube_objects import istio
from tests.probes.depot import HOST, PICKER, SERVICE_IP, Depot


def ask(depot: Depot, client: str, target: str) -> tuple[Case, ...]:
    return depot.examination(parse_question(client, target)).cases


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
        ("ledger/", "ledger", 0, "/"),
        ("fd00::1", "fd00::1", 0, ""),
        ("[fd00::1]", "fd00::1", 0, ""),
        ("ledger?x=1", "ledger", 0, ""),
        ("ledger:8090/page?x=1", "ledger", 8090, "/page"),
        ("tls://read.example.org", "read.example.org", 443, ""),
        ("HTTPS://read.example.org/page", "read.example.org", 443, "/page"),
        ("grpc://ledger", "ledger", 0, ""),
        ("ledger/page?next=https://web/x", "ledger", 0, "/page"),
        ("", "", 0, ""),
    ],
)
def test_parsing_a_question(target: str, host: str, port: int, path: str) -> None:
    assert parse_question("depot/picker", target) == Question("depot/picker", host, port, path)


@pytest.mark.parametrize("target", ["ledger:99999", "ledger:0", "ledger:web", ":8090", "/page", "http://"])
def test_what_is_no_target(target: str) -> None:
    with pytest.raises(UsageError, match="is no target"):
        parse_question("depot/picker", target)


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
    (case,) = ask(Depot(tmp_path).reset(100, 101), client, target)
    assert str(case.client) == "depot/picker"
    assert str(case.destination) == f"{HOST}:8090"
    assert len(case.failures) == 4


def test_a_port_that_the_service_does_not_have_is_refused_with_those_it_has(tmp_path: Path) -> None:
    depot = Depot(tmp_path).reset(100, 101)
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
