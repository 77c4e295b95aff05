"""`python -m tests.acceptance.score CORPUS [--verbose]`: how right the program is on every corpus found under CORPUS.

Prints `SCORE <name> <right>/<total>` for each scorer whose folder exists; with --verbose also every miss.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from tests.acceptance.scoring import Score


class Scorer(NamedTuple):
    """A module with `score(folder) -> Score`, and its folder under the corpus root."""

    module: str
    folder: str


# One line for each scorer; the name of the score is the last part of the module.
SCORERS: tuple[Scorer, ...] = (
    Scorer("tests.acceptance.envoy503", "corpus/envoy503"),
    Scorer("tests.acceptance.mtls", "corpus/mtls"),
    Scorer("tests.acceptance.incidents", "incidents"),
    Scorer("tests.acceptance.mtls_incidents", "incidents"),
    Scorer("tests.acceptance.routes", "corpus/routes"),
    Scorer("tests.acceptance.istioctl_outputs", "corpus/istioctl-outputs"),
    Scorer("tests.acceptance.golden", "corpus/golden"),
    Scorer("tests.acceptance.trace_incidents", "incidents"),
    Scorer("tests.acceptance.other_tools", "corpus/other-tools"),
    Scorer("tests.acceptance.series", "corpus/series"),
)  # fmt: skip


def scores(root: Path) -> list[Score]:
    """The score of every scorer whose folder exists under *root*."""
    found: list[Score] = []
    for scorer in SCORERS:
        folder = root / scorer.folder
        if folder.is_dir():
            score: Callable[[Path], Score] = import_module(scorer.module).score
            found.append(score(folder))
    return found


def main() -> int:
    """Print the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--verbose", action="store_true", help="name every miss")
    arguments = parser.parse_args()
    for score in scores(arguments.corpus):
        print(f"SCORE {score.name} {score.right}/{score.total}", flush=True)
        if arguments.verbose:
            for miss in score.misses:
                print(f"  {score.name}: {miss}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
