"""Two moments side by side in the application: what changed, chosen by keys, and one change in full."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdoctor.present.words import Language, Words
from meshdoctor.sources.recording import RecordingSource
from meshdoctor.tui.app import MeshDoctorApp
from meshdoctor.tui.examined import ExaminedSession
from tests.kube_objects import istio
from tests.probes.depot import Depot
from tests.recordings import Recording
from tests.screens.shipped import FIXTURES, column, move_to, screen_text, settled, text_of

TIMES = ("2026-03-03T09:05:00Z", "2026-03-03T09:10:00Z", "2026-03-03T09:30:00Z")
FAULT = {"hosts": ["ledger"], "http": [{"fault": {"abort": {"httpStatus": 503}}}]}
SLOWER = {"hosts": ["ledger"], "http": [{"fault": {"abort": {"httpStatus": 503}}, "timeout": "9s"}]}


def open_app(
    root: Path, *specs: dict[str, object] | None, start: str = "compare", lang: Language = "en"
) -> MeshDoctorApp:
    """A recording with a moment for each of *specs*, of a VirtualService that fails requests, or of none."""
    both = Recording(root, finished=1800)
    for moment, spec in zip(TIMES, specs, strict=False):
        depot = Depot(root)
        if spec is None:
            depot.objects("VirtualService").good(1000, 1010)
        else:
            depot.objects("VirtualService", istio("drill", "books", spec)).good(1, 2)
            for at in range(100, 110):
                depot.request(at, 503, "FI", "fault_filter_abort", upstream="-", cluster="-")
        for name, body in depot.files.items():
            both.put(f"snapshots/{moment}/{name}", body)
    path = both.tar("gz")
    session = ExaminedSession(path.name, lambda: RecordingSource.open(path))
    return MeshDoctorApp(session, start=start, theme="md-dark", words=Words(lang))


async def test_what_changed_is_listed_and_opens(tmp_path: Path) -> None:
    app = open_app(tmp_path, None, FAULT, SLOWER)
    async with app.run_test(size=(80, 24)) as pilot:
        text = await settled(pilot)
        assert "moments 1 -> 3 of 3" in text[0]
        assert f"compare {TIMES[0]} -> {TIMES[2]}" in text[1]
        assert ("added", "fault-injected") in list(zip(column(app, "what"), column(app, "kind"), strict=True))
        assert "now: healthy -> failing" in column(app, "how")
        move_to(app, lambda cell: cell == "fault-injected")
        await pilot.press("enter")
        text = await settled(pilot)
        assert any(line.startswith("+1. fault-injected, ") for line in text)
        await pilot.press("q")
        move_to(app, lambda cell: cell == "books/drill")
        await pilot.press("enter")
        text = await settled(pilot)
        assert f"{TIMES[0]} -> {TIMES[2]}" in text[3]
        assert any(line.startswith("+") and "httpStatus: 503" in line for line in text)
        assert "moment" not in text[0]


async def test_keys_choose_both_moments(tmp_path: Path) -> None:
    app = open_app(tmp_path, None, FAULT, SLOWER)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("right_curly_bracket")
        assert "moments 2 -> 3 of 3" in (await settled(pilot))[0]
        assert (column(app, "kind"), column(app, "what")) == (["VirtualService"], ["changed"])
        await pilot.press("enter")
        text = await settled(pilot)
        assert any(line.startswith("+") and "timeout: 9s" in line for line in text)
        await pilot.press("q", "right_curly_bracket")
        assert "there is no further moment" in screen_text(app)[-2]
        await pilot.press("left_curly_bracket")
        await settled(pilot)
        await pilot.press("comma")
        assert "moments 1 -> 2 of 3" in (await settled(pilot))[0]
        await pilot.press("full_stop", *":q")
        assert "moments" in screen_text(app)[0]
        assert app.session.moment == TIMES[2] if isinstance(app.session, ExaminedSession) else False
        await pilot.press("escape", "T")
        assert screen_text(app)[-2].startswith(":compare")
        await pilot.press(*TIMES[0], "space", *TIMES[1][:15], "tab", "enter")
        assert "moments 1 -> 2 of 3" in (await settled(pilot))[0]


async def test_a_fault_that_is_over_at_the_end_is_pointed_at(tmp_path: Path) -> None:
    app = open_app(tmp_path, None, FAULT, None, start="mesh", lang="ko")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("equals_sign")
        text = "\n".join(await settled(pilot))
        assert "시점 1 -> 3 / 3" in text
        assert "바뀐 것이 없습니다" in text
        assert f"그러나 {TIMES[1]} 에는 달랐습니다: , 를 누르세요" in text
        await pilot.press("comma")
        assert "fault-injected" in "\n".join(await settled(pilot))


async def test_times_in_any_order_and_mistakes(tmp_path: Path) -> None:
    app = open_app(tmp_path, None, FAULT, start=f"compare {TIMES[1]} {TIMES[0]}")
    async with app.run_test(size=(80, 24)) as pilot:
        assert f"compare {TIMES[0]} -> {TIMES[1]}" in (await settled(pilot))[1]
        await app.go("compare yesterday today")
        assert "'yesterday' is no time" in "\n".join(await settled(pilot))
        await app.go(f"change {TIMES[0]} {TIMES[1]} object added Service books/none")
        assert "did not change between these moments" in "\n".join(await settled(pilot))


async def test_one_moment_cannot_be_compared() -> None:
    session = ExaminedSession("pine", lambda: RecordingSource.open(FIXTURES / "pine.tar.xz"))
    app = MeshDoctorApp(session, start="mesh", theme="md-dark", words=Words("en"))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("equals_sign")
        text = " ".join("\n".join(await settled(pilot)).split())
        assert "the recording holds just one moment: `meshdoctor compare` takes two recordings" in text


SERIES = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "series" / "recording.tar.xz"


@pytest.mark.skipif(not SERIES.exists(), reason="../shared/corpus/series is not there")
async def test_a_series_of_a_real_mesh() -> None:
    session = ExaminedSession("series", lambda: RecordingSource.open(SERIES))
    app = MeshDoctorApp(session, start="compare", theme="md-dark", words=Words("en"))
    async with app.run_test(size=(80, 24)) as pilot:
        text = "\n".join(await settled(pilot))
        assert "it was different: press ," in text
        await pilot.press("comma")
        await settled(pilot)
        await pilot.press("comma")
        await settled(pilot)
        assert column(app, "kind") == ["requests", "missing-cluster", "VirtualService", "route"]
        move_to(app, lambda cell: cell == "route")
        await pilot.press("enter")
        await settled(pilot)
        assert "config: /apis/networking.istio.io/v1/namespaces/shop/virtual-serv" in text_of(app)


@pytest.mark.skipif(not SERIES.exists(), reason="../shared/corpus/series is not there")
async def test_what_was_wrong_at_an_earlier_moment_is_told_as_over() -> None:
    session = ExaminedSession("series", lambda: RecordingSource.open(SERIES))
    app = MeshDoctorApp(session, start="guide", theme="md-dark", words=Words("en"))
    async with app.run_test(size=(80, 24)) as pilot:
        text = await settled(pilot)
        assert "nothing fails now" in text[1]
        assert text[3].startswith(">WAS      missing-cluster")
        assert any("istio-proxy line 3601 (10:54:48)" in line for line in text)
        await app.go("report")
        await settled(pilot)
        assert "missing-cluster (over)" in text_of(app)
