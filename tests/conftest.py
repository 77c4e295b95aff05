"""What holds for every test: a mistake that the application survived is a failed test all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the application writes tracebacks."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(autouse=True)
def no_mistake(request: pytest.FixtureRequest, state_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Fails a test in which the application wrote a traceback, unless the test is `mistaken`."""
    monkeypatch.setenv("XDG_STATE_HOME", str(state_home))
    folder = state_home / "meshdoctor"
    yield folder
    written = sorted(folder.glob("crash-*.txt"))
    told = "\n".join(path.read_text() for path in written)
    for path in written:
        path.unlink()
    if request.node.get_closest_marker("mistaken") is None:
        assert not told, told
