"""Moments in the application: what is recorded of a cluster under way, compared with now, and opened again."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from meshdoctor.present.words import Words
from meshdoctor.sources.recording import RecordingSource
from meshdoctor.tui.app import MeshDoctorApp
from meshdoctor.tui.examined import ExaminedSession
from tests.live.apiserver import Fault
from tests.live.clusters import Cluster, running, serving, shows, until
from tests.screens.shipped import move_to


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """An incident as a cluster."""
    with serving("cedar", tmp_path) as (api, _):
        yield Cluster(api, tmp_path)


async def test_moments_of_a_recording_under_way_are_compared(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        await shows(pilot, "CLERX", "s ago")
        await pilot.press("R")
        await shows(pilot, "REC 1")
        service = json.loads(cluster.api.objects.select("/api/v1/services", "shop", "", "")[0].body)
        cluster.api.objects.change("DELETED", "/api/v1/services", service)
        await shows(pilot, "REC 3")
        await pilot.press("equals_sign")
        text = await shows(pilot, "moments 1 -> ", f"{service['metadata']['namespace']}/{service['metadata']['name']}")
        assert "removed Service" in text
        move_to(_app(pilot), lambda cell: cell == "Service")
        await pilot.press("enter")
        await shows(pilot, "-spec:", "object removed Service")
        await pilot.press("R")
        await shows(pilot, "recorded in ")
        await pilot.press("q")
        await pilot.press("r")
        await shows(pilot, "removed Service", "moments 1 -> ")


async def test_what_was_read_before_is_compared_with_now(cluster: Cluster) -> None:
    async with running(cluster.session(), start="guide") as pilot:
        await shows(pilot, "CULPRIT", "s ago")
        await until(pilot, lambda text: "the next step" not in text and "reading" not in text)
        await asyncio.sleep(1.1)  # readings are named by the second
        await pilot.press("equals_sign")
        await shows(pilot, "moments 1 -> 2 of 2", "read at one of the two moments only")
        service = json.loads(cluster.api.objects.select("/api/v1/services", "shop", "", "")[0].body)
        cluster.api.objects.change("DELETED", "/api/v1/services", service)
        await asyncio.sleep(1.1)
        await pilot.press("r")
        text = await shows(pilot, "moments 1 -> 3 of 3", "removed Service")
        assert "the guide did not run at each of the two moments" in text
        cluster.api.faults.append(Fault("/", 503, "ServiceUnavailable"))
        await pilot.press("r")
        await shows(pilot, "HTTP 503", "removed Service")


async def test_a_first_reading_has_nothing_to_be_compared_with(cluster: Cluster) -> None:
    async with running(cluster.session(), language="ko") as pilot:
        await shows(pilot, "초 전", "가이드 미실행 (i)")
        await pilot.press("equals_sign")
        # It is said until there is a second one: an empty view reads again by itself.
        await until(pilot, lambda text: "this is the first reading" in text or "시점 1 -> " in text)
        await until(pilot, lambda text: bool(re.search(r"시점 1 -> (\d) / \1", text)) and "바뀐 것이 없습니다" in text)


def _app(pilot: Pilot[Any]) -> MeshDoctorApp:
    assert isinstance(pilot.app, MeshDoctorApp)
    return pilot.app


async def test_what_is_recorded_opens_with_its_moments(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        await shows(pilot, "CLERX", "s ago")
        await pilot.press("R")
        await shows(pilot, "REC 2")
        await pilot.press("R")
        await shows(pilot, "recorded in ")
    (file,) = cluster.home.glob("*.mdb")
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(RecordingSource.open(file).info.moments) >= 2
    recorded = ExaminedSession("bundle", lambda: RecordingSource.open(file))
    app = MeshDoctorApp(recorded, start="mesh", words=Words("en"))
    async with app.run_test(size=(120, 30)) as pilot:
        await shows(pilot, "moment ", "CLERX", "istio-system")


async def test_leaving_finishes_what_was_recorded(cluster: Cluster) -> None:
    async with running(cluster.session()) as pilot:
        await shows(pilot, "CLERX", "s ago")
        await pilot.press("R")
        await shows(pilot, "REC 1")
    (file,) = cluster.home.glob("*.mdb")
    assert RecordingSource.open(file).info.kind == "recording"
    assert not list(cluster.home.glob("*.part"))
