"""No change may make the program less right on a corpus than `floor.toml` says."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from tests.acceptance.score import SCORERS, Scorer
from tests.acceptance.scoring import SHARED, Score

FLOORS: dict[str, dict[str, int]] = tomllib.loads(Path(__file__).with_name("floor.toml").read_text("utf-8"))


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: scorer.module.rpartition(".")[2])
def test_score_is_not_below_its_floor(scorer: Scorer) -> None:
    folder = SHARED / scorer.folder
    if not folder.is_dir():
        pytest.skip(f"the corpus {scorer.folder} is not beside this checkout ({SHARED})")
    floor = FLOORS[scorer.module.rpartition(".")[2]]
    score: Score = import_module(scorer.module).score(folder)
    assert score.total >= floor["total"], "the scorer counts less than it did: a floor means nothing then"
    missed_before = floor["total"] - floor["right"]
    assert score.total - score.right <= missed_before, "\n".join(score.misses[:20])


def test_every_floor_has_a_scorer() -> None:
    assert set(FLOORS) == {scorer.module.rpartition(".")[2] for scorer in SCORERS}
