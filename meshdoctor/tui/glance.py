"""What the event loop may ask of a session: nothing here waits, reads or computes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from meshdoctor.tui.journal import Journal

if TYPE_CHECKING:
    from rich.text import Text

    from meshdoctor.errors import MeshDoctorError
    from meshdoctor.guide.diagnosis import Diagnosis
    from meshdoctor.present.words import Words
    from meshdoctor.tui.look import Look
    from meshdoctor.tui.router import Location


class Glance:
    """The state of a session as its threads left it; a live session knows better of most."""

    live = False
    """Whether there are ever news of it."""
    changes = 0
    """Counts the news that came by themselves."""

    def __init__(self, title: str, kind: str, home: str, *, asked: bool) -> None:
        """*asked*: whether a person asked for a flow."""
        self.title = title
        self.source = kind
        self.captured = ""
        self.home = home
        self.asked = asked
        self.failure: MeshDoctorError | None = None
        """Why nothing can be shown at all; the command says it when the application has left the terminal."""
        self.moments: tuple[str, ...] = ()
        """The moments that the source holds, oldest first, when it holds several; `moment` is the one in sight."""
        self.moment = ""
        self.journal = Journal(self.clock)
        self.judged = False
        """Whether a diagnosis of all that was asked has said whether requests fail."""
        self._states: Sequence[Text] = ()
        self._failing: Text | None = None
        self._names: Mapping[str, Sequence[str]] = {}

    def names(self, route: str) -> Sequence[str]:
        """What the argument of *route* can be; nothing before the source was read."""
        return self._names.get(route, ())

    @property
    def key_scopes(self) -> tuple[str, ...]:
        """Whose keys work in every view, because of what the source is."""
        return ("moments",) if len(self.moments) > 1 else ()

    @property
    def counts(self) -> Sequence[Text]:
        """Whether requests fail now, as far as a diagnosis said so, and how the proxies are."""
        return self._states if self._failing is None else (self._failing, *self._states)

    def note(self, diagnosis: Diagnosis, words: Words, *, whole: bool) -> None:
        """Keep for every view's header whether requests fail; only of the *whole* mesh can it be said that none do."""
        from rich.text import Text

        from meshdoctor.guide.diagnosis import FAILING

        if diagnosis.now == FAILING:
            self._failing = Text(words("guide.now_failing"), "severity.high")
        elif whole:
            self._failing = None
        self.judged = self.judged or whole

    @property
    def elsewhere(self) -> str:
        """Where kubectl looks by now, when that is not what is shown; else empty."""
        return ""

    def freshness(
        self,
        words: Words,
        look: Look | None = None,
        reading_since: float | None = None,
        failing_since: float | None = None,
    ) -> str | Text:
        """When the facts of *look* were read, for the header; what is read or cannot be read since when."""
        if len(self.moments) > 1:
            number = self.moments.index(self.moment) + 1
            return words("shell.moment", number=number, count=len(self.moments), moment=self.moment)
        return words("shell.captured", when=self.captured) if self.captured else ""

    def clock(self) -> float:
        """Unix seconds, as every look is timed."""
        return time.time()

    def refreshes(self, location: Location) -> bool:
        """Whether this view is kept up to date."""
        return False

    def due(self, location: Location, look: Look | None, changes: int, *, empty: bool) -> bool:
        """Whether a view that was gathered by *look* is to be gathered again; *empty*: it has nothing to show."""
        return False

    def follow(self, look: Look) -> None:
        """Have news told of what *look* used."""

    @property
    def troubled(self) -> bool:
        """Whether the source does not answer."""
        return False

    def close(self) -> None:
        """The application ends: whoever still reads is to stop."""
