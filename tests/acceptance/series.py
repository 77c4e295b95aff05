"""Scores a recording of several moments: the cause while it lasts, nothing active afterwards, and what is over told so.

A point for the cause, for the object and for `failing` at each moment of the fault; for `healthy`, for no active
verdict and for the exit status at each moment after it; and, at the last moment, for the cause told as over with its
times.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from meshdoctor.model.moment import unix
from meshdoctor.sources.recording import RecordingSource
from tests.acceptance.command import run
from tests.acceptance.scoring import Score

CAUSE, RESOURCE = "missing-cluster", ("VirtualService", "shop", "catalog-canary")
FAULT = slice(1, 4)
"""Of the six moments, those of the fault; the first is before it, the others after it was mended."""


def score(corpus: Path) -> Score:
    recording = next(iter(sorted(corpus.glob("recording.*"))))
    moments = RecordingSource.open(recording).info.moments
    misses: list[str] = []
    total = 0

    def count(right: bool, miss: str) -> None:
        nonlocal total
        total += 1
        if not right:
            misses.append(miss)

    for number, moment in enumerate(moments):
        status, found = _diagnosis(recording, "--at", moment)
        active = [verdict for verdict in found["verdicts"] if verdict["state"] == "active"]
        if moment in moments[FAULT]:
            first = found["verdicts"][0] if found["verdicts"] else {"cause": "", "resources": []}
            count(first["cause"] == CAUSE, f"{moment}: first is {first['cause'] or 'nothing'}")
            count(RESOURCE in _named(first), f"{moment}: {first['resources']}")
            count(found["now"] == "failing" and status == 1, f"{moment}: now is {found['now']}, exit {status}")
        else:
            count(found["now"] == "healthy", f"{moment}: now is {found['now']}")
            count(not active, f"{moment}: {[verdict['cause'] for verdict in active]} active")
            count(number == 0 or status == 0, f"{moment}: exit status {status}")
    _, last = _diagnosis(recording)
    told = [verdict for verdict in last["verdicts"] if verdict["cause"] == CAUSE and verdict["state"] == "over"]
    count(bool(told), "the last moment does not tell what was wrong")
    during = [unix(moment) or 0.0 for moment in moments[FAULT]]
    count(
        any((unix(v["first"]) or 0.0) < during[0] and during[-1] <= (unix(v["last"]) or 0.0) for v in told),
        "the last moment does not tell from when to when",
    )
    return Score("series", total - len(misses), total, misses)


def _diagnosis(recording: Path, *more: str) -> tuple[int, dict[str, Any]]:
    ran = run(["diagnose", str(recording), "--output", "json", *more])
    return ran.exit, json.loads(ran.stdout)


def _named(verdict: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(found["kind"], found["namespace"], found["name"]) for found in verdict["resources"]}
