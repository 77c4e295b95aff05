"""What is wrong at two moments, as changes."""

from __future__ import annotations

from pathlib import Path

from meshdoctor.guide.comparison import FINDING, compare_readings, read_moment, verdict_sides
from meshdoctor.mesh.comparison import Change, sides
from tests.kube_objects import istio
from tests.probes.depot import Depot

FAULT = {"hosts": ["ledger"], "http": [{"fault": {"abort": {"httpStatus": 503}}}]}


def test_a_verdict_that_comes_and_the_object_that_it_names(tmp_path: Path) -> None:
    right = Depot(tmp_path / "right").objects("VirtualService").good(1000, 1010)
    wrong = Depot(tmp_path / "wrong").objects("VirtualService", istio("drill", "books", FAULT)).good(1, 2)
    for at in range(100, 110):
        wrong.request(at, 503, "FI", "fault_filter_abort", upstream="-", cluster="-")
    readings = []
    for name, depot in (("before", right), ("after", wrong)):
        source = depot.source()
        readings.append(read_moment(name, source.read, source.info))
    before, after = readings
    changes = compare_readings(before, after)
    assert [change.area for change in changes[:2]] == [FINDING, FINDING]
    assert changes[0] == Change(FINDING, "changed", "requests", "", ("now: healthy -> failing",))
    assert (changes[1].change, changes[1].subject) == ("added", "fault-injected")
    one, other = verdict_sides(before, after, changes[1])
    assert one is None
    assert other is not None and other.state == "active"
    added = next(change for change in changes if change.area == "object")
    old, new = sides(before.mesh, after.mesh, added)
    assert old is None
    assert new["spec"]["http"][0]["fault"]["abort"]["httpStatus"] == 503
    assert compare_readings(before, before) == ()
    assert [change.change for change in compare_readings(after, before)][:2] == ["changed", "removed"]
    silent = before._replace(diagnosis=None)
    assert not [change for change in compare_readings(silent, after) if change.area == FINDING]
