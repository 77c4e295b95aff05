"""What is over is explained by the moment at which it lasted, and only then."""

from __future__ import annotations

from msgspec.structs import replace

from meshdoctor.guide.diagnosis import ACTIVE, FAILING, HEALTHY, OVER, Diagnosis, Judgement, Shown, TrafficGroup
from meshdoctor.guide.earlier import with_earlier
from meshdoctor.mesh.finding import Remedy, Resource

MOMENTS = tuple(f"2026-03-03T09:0{minute}:00Z" for minute in range(5))
GROUP = TrafficGroup("depot/web", "cart:80", 503, ("NC",), "cluster_not_found", 9, MOMENTS[1], "2026-03-03T09:02:30Z")
VERDICT = Judgement(
    "missing-cluster", 0.98, "configuration", ACTIVE, "a route to nowhere",
    (Resource("VirtualService", "depot", "canary"),), ({"from": "depot/web", "to": "cart:80"},),
    (Shown("missing-cluster", "9 lines", "logs/depot/web-1/istio-proxy.log", "line 3"), Shown("x", "no file")),
    Remedy("mend it"), MOMENTS[1], MOMENTS[2], 6,
)  # fmt: skip


def diagnosis(now: str, traffic: tuple[TrafficGroup, ...] = (), verdicts: tuple[Judgement, ...] = ()) -> Diagnosis:
    return Diagnosis("x", {}, now, None, traffic, verdicts, (), ())


def asked(found: Diagnosis, earlier: Diagnosis) -> tuple[Diagnosis, list[str]]:
    moments: list[str] = []

    def examine(moment: str) -> Diagnosis:
        moments.append(moment)
        return earlier

    return with_earlier(found, MOMENTS, examine), moments


def test_the_last_moment_inside_the_failures_explains_them() -> None:
    earlier = diagnosis(FAILING, (replace(GROUP, last=MOMENTS[2], count=6),), (VERDICT,))
    found, moments = asked(diagnosis(HEALTHY, (GROUP,)), earlier)
    assert moments == [MOMENTS[2]]
    (verdict,) = found.verdicts
    assert (verdict.cause, verdict.state, verdict.first, verdict.last) == (
        "missing-cluster", OVER, MOMENTS[1], "2026-03-03T09:02:30Z")  # fmt: skip
    assert verdict.evidence[0].file == f"snapshots/{MOMENTS[2]}/logs/depot/web-1/istio-proxy.log"
    assert verdict.evidence[1].file == ""
    assert found.exit_status == 0


def test_nothing_is_looked_up_while_requests_fail() -> None:
    found, moments = asked(diagnosis(FAILING, (GROUP,)), diagnosis(FAILING, (), (VERDICT,)))
    assert (found.verdicts, moments) == ((), [])


def test_what_is_explained_or_single_or_outside_every_moment_is_left_alone() -> None:
    over = replace(VERDICT, state=OVER, last="2026-03-03T09:02:30Z")
    assert asked(diagnosis(HEALTHY, (GROUP,), (over,)), diagnosis(FAILING))[1] == []
    assert asked(diagnosis(HEALTHY, (replace(GROUP, count=1),)), diagnosis(FAILING))[1] == []
    early = replace(GROUP, first="2026-03-03T08:00:00Z", last="2026-03-03T08:01:00Z")
    assert asked(diagnosis(HEALTHY, (early,)), diagnosis(FAILING))[1] == []


def test_what_the_earlier_moment_was_not_sure_of_is_not_told() -> None:
    for doubtful in (replace(VERDICT, confidence=0.5), replace(VERDICT, failures=0), replace(VERDICT, state=OVER)):
        assert asked(diagnosis(HEALTHY, (GROUP,)), diagnosis(FAILING, (), (doubtful,)))[0].verdicts == ()
    other = replace(VERDICT, affects=({"from": "depot/other", "to": "cart:80"},))
    assert asked(diagnosis(HEALTHY, (GROUP,)), diagnosis(FAILING, (), (other,)))[0].verdicts == ()


def test_two_groups_of_one_trouble_are_one_verdict() -> None:
    other = replace(GROUP, target="cart:8080")
    found, moments = asked(diagnosis(HEALTHY, (GROUP, other)), diagnosis(FAILING, (), (VERDICT,)))
    assert len(found.verdicts) == len(moments) == 1
