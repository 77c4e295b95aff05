"""A session and two views that only use the shell's own parts: what the tests of the shell look at."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult

from meshdoctor.errors import NothingMatches
from meshdoctor.present.table import Column, Row
from meshdoctor.present.words import Words
from meshdoctor.tui.journal import Journal
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.router import ROUTES, Location, Route
from meshdoctor.tui.session import Session
from meshdoctor.tui.shellscreen import ShellScreen
from meshdoctor.tui.textview import TextView

COLUMNS = (
    Column("state", "STATE", 6, priority=0, ranks=("NACK", "LOST", "STALE", "OK")),
    Column("namespace", "NAMESPACE", 12, priority=2),
    Column("name", "POD", 20, flex=1, priority=0, elide="middle"),
    Column("age", "AGE", 5, priority=3, align="right", order="duration"),
    Column("why", "WHY", 16, flex=1, priority=4),
)
ROUTES_HERE: tuple[Route, ...] = (
    Route("pods", "tests.tui.shell:PodsScreen"),
    Route("pod", "tests.tui.shell:PodScreen", argument="NAME", required=True),
    Route("broken", "tests.tui.shell:BrokenScreen"),
    *ROUTES,
)
STYLES = {"OK": "state.ok", "NACK": "state.nack", "STALE": "state.stale", "LOST": "state.lost"}


def row(state: str, namespace: str, name: str, age: str = "3h", why: str = "") -> Row:
    """A row of the pods view."""
    cells = (Text(state, style=STYLES[state]), namespace, name, age, why)
    return Row(name, cells, target=f"pod {name}", problem=state != "OK")


ROWS: tuple[Row, ...] = (
    row("OK", "default", "productpage-v1-6b746f-tp2dj"),
    row("STALE", "결제", "정산-배치-6c9d7-k8s2m", "38s", "CDS LDS"),
    row("NACK", "default", "reviews-v3-7d9c9f-x2x9q", "4m", "LDS rejected"),
    *(row("OK", "load", f"load-{i:03d}", f"{i}m") for i in range(60)),
)


class Recording:
    """What a recording of this mesh would say about itself."""

    title = "prod-seoul"
    source = "recording"
    elsewhere = ""
    counts: Sequence[Text] = (Text("NACK 1", "state.nack"), Text("STALE 1", "state.stale"))
    home = "pods"
    journal = Journal(time.time)
    rows: Sequence[Row] = ROWS

    def freshness(self, words: Words) -> str:
        """When it was read."""
        return words("shell.captured", when="2026-11-22 17:14:32 KST")

    def close(self) -> None:
        """Nothing is open."""

    def names(self, route: str) -> Sequence[str]:
        """The pods."""
        return [each.key for each in self.rows] if route == "pod" else []


class PodsScreen(ShellScreen):
    """A table whose rows lead to a text."""

    SCOPES = ("table",)

    def compose_body(self) -> ComposeResult:
        """The pods."""
        rows = self.session.rows if isinstance(self.session, Recording) else ()
        yield LineTable(COLUMNS, rows, words=self.words, empty="no pods", id="pods")


class PodScreen(ShellScreen):
    """A text."""

    SCOPES = ("text",)

    def __init__(self, session: Session, location: Location, words: Words) -> None:
        if location.argument not in session.names("pod"):
            raise NothingMatches(f"no pod {location.argument}", ())
        super().__init__(session, location, words)

    def compose_body(self) -> ComposeResult:
        """Forty lines."""
        yield TextView([f"line {i} of {self.location.argument}" for i in range(40)])


class BrokenScreen(ShellScreen):
    """A view with a mistake."""

    def compose_body(self) -> ComposeResult:
        """Fails as a program fails."""
        secret = "a value of the cluster"
        raise ValueError(f"broken on purpose, with {len(secret)} secrets near")


def main() -> int:
    """Run the shell on this session in a real terminal; arguments: [empty] [COMMAND] [--debug] [--mouse]."""
    from meshdoctor.errors import MeshDoctorError
    from meshdoctor.tui.launch import launch

    session = Recording()
    arguments = [a for a in sys.argv[1:] if a not in {"empty", "--debug", "--mouse"}]
    if "empty" in sys.argv:
        session.rows = ()
    try:
        return launch(
            session,
            start=" ".join(arguments),
            routes=ROUTES_HERE,
            debug="--debug" in sys.argv,
            mouse="--mouse" in sys.argv,
        )
    except MeshDoctorError as error:
        print(f"meshdoctor: {error}", file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    # Screens are named by module: the one that is imported must be this one.
    sys.modules["tests.tui.shell"] = sys.modules["__main__"]
    sys.exit(main())
