"""The walk: the branches that the failures lead to, in the flowchart's order, until everything is explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from meshdoctor.guide.flowchart import all_probes
from meshdoctor.guide.walk import SURE, settled, walk
from meshdoctor.mesh.finding import Remedy, Verdict
from meshdoctor.mesh.question import parse_question
from meshdoctor.model.snapshot import Snapshot
from meshdoctor.model.wants import ProxyConfig
from tests.kube_objects import istio
from tests.probes.depot import Depot

REFUSED = "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
FAULT = {"hosts": ["ledger"], "http": [{"fault": {"abort": {"httpStatus": 503}}}]}


def drill(depot: Depot) -> Depot:
    """Half of the requests are aborted by a fault rule, the application itself refuses the others."""
    for at in range(100, 110):
        depot.request(at, 503, "FI", "fault_filter_abort", upstream="-", cluster="-")
        depot.request(at + 0.5, 503, server={"flags": "UF", "details": REFUSED})
    return depot.objects("VirtualService", istio("drill", "books", FAULT))


def test_steps_follow_the_flowcharts_order(tmp_path: Path) -> None:
    probes = [step.probe for step in drill(Depot(tmp_path)).examination().steps()]
    order = [all_probes().index(name) for name in probes]
    assert order == sorted(order)
    assert len(set(probes)) == len(probes), "a probe runs once for a case"


def test_only_branches_that_the_failures_lead_to(tmp_path: Path) -> None:
    probes = {step.probe for step in drill(Depot(tmp_path)).examination().steps()}
    assert {"fault-injection", "application-connect"} <= probes
    assert not {"no-healthy-upstream", "missing-cluster", "gateway-certificate", "hbone-blocked"} & probes


def test_explained_lines_are_not_seen_again(tmp_path: Path) -> None:
    steps = list(drill(Depot(tmp_path)).examination().steps())
    first = next(step for step in steps if step.probe == "fault-injection")
    later = next(step for step in steps if step.probe == "application-connect")
    assert len(first.case.failures) == 30
    assert len(later.case.failures) == 20
    assert not any("FI" in seen.access.flags for seen in later.case.failures if seen.access)


def test_the_walk_ends_when_everything_is_explained(tmp_path: Path) -> None:
    depot = drill(Depot(tmp_path))
    steps = list(depot.examination().steps())
    assert steps[-1].probe == "application-connect"


def test_both_causes_are_named(tmp_path: Path) -> None:
    causes = {verdict.cause for verdict in drill(Depot(tmp_path)).diagnose().verdicts}
    assert causes == {"fault-injected", "nothing-listens-on-target-port"}


def test_only_sure_verdicts_settle_lines(tmp_path: Path) -> None:
    case = drill(Depot(tmp_path)).cases()[0]

    def verdict(confidence: float) -> Verdict:
        return Verdict("fault-injected", confidence, "", (), (), Remedy(""), case.caller_lines[:1])

    assert len(settled(case, [verdict(SURE)])) == 1
    assert settled(case, [verdict(SURE - 0.01)]) == []


def test_a_probe_fetches_what_it_wants_and_only_that(tmp_path: Path) -> None:
    depot = drill(Depot(tmp_path)).configured()
    examination = depot.examination()
    source = depot.source()
    read: list[Any] = []

    def reader(wants: Any, known: Snapshot) -> Snapshot:
        read.extend(wants)
        return source.read(wants, known)

    list(walk(examination.cases[0], examination.mesh, reader))
    assert {type(want) for want in read} == {ProxyConfig}
    assert len(read) == len(set(read)), "nothing is asked for twice"


def test_a_case_without_failures_takes_no_step_that_needs_some(tmp_path: Path) -> None:
    depot = Depot(tmp_path).good(*range(20))
    examination = depot.examination(parse_question("depot/picker", "ledger.books:8090"))
    assert {step.finding.outcome for step in examination.steps()} <= {"not-applicable", "cleared"}
    assert not depot.examination().cases


def test_the_steps_of_some_cases_are_apart(tmp_path: Path) -> None:
    examination = drill(Depot(tmp_path)).examination()
    part = examination.of(examination.cases[:1])
    list(part.steps())
    assert part.taken and not examination.taken


def test_a_walk_can_be_repeated(tmp_path: Path) -> None:
    examination = drill(Depot(tmp_path)).examination()
    one = [(step.probe, step.finding) for step in examination.steps()]
    two = [(step.probe, step.finding) for step in examination.steps()]
    assert one == two
