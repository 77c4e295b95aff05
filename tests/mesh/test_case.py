"""Cases: which lines tell of one request, what the failures look like, and whether trouble is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdoctor.mesh.traffic import CLIENT, SERVER
from tests.probes.depot import Depot


def test_together_brings_the_other_side(tmp_path: Path) -> None:
    (case,) = Depot(tmp_path).reset(100, 101).cases()
    ours = case.caller_lines[:1]
    assert [seen.side for seen in case.together(ours)] == [CLIENT, SERVER]


def test_without_takes_away_only_what_is_told(tmp_path: Path) -> None:
    (case,) = Depot(tmp_path).good(1, 2).reset(100, 101).cases()
    rest = case.without(case.together(case.caller_lines[:1]))
    assert len(rest.failures) == 2
    assert len(rest.seen) == len(case.seen) - 2
    assert (rest.client, rest.destination) == (case.client, case.destination)


# -- words of the flowchart


def test_the_signature(tmp_path: Path) -> None:
    depot = Depot(tmp_path).reset(100).request(101, 503).call(102, 0).refused(103)
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
    (case,) = Depot(tmp_path).reset(*bad).good(*good).cases()
    assert case.is_over(case.failures) is over


def test_calls_that_still_fail_are_not_over(tmp_path: Path) -> None:
    """Proxies write their log every ten seconds; the application's own calls are newer."""
    depot = Depot(tmp_path).reset(100, 101).good(*range(102, 130)).call(131, 503, "")
    (case,) = depot.cases()
    assert not case.is_over(case.caller_lines)


def test_nothing_is_over_when_there_is_no_time(tmp_path: Path) -> None:
    (case,) = Depot(tmp_path).reset(100).cases()
    assert not case.is_over(())
