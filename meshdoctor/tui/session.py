"""What the shell asks of the thing that is looked at; whatever else a session holds is between it and the screens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rich.text import Text

from meshdoctor.present.words import Words
from meshdoctor.tui.journal import Journal


class Session(Protocol):
    """An opened source. All texts are for people and hold no control characters."""

    @property
    def title(self) -> str:
        """What is looked at: a cluster context or the name of a recording."""

    @property
    def journal(self) -> Journal:
        """What went wrong so far."""

    @property
    def source(self) -> str:
        """What kind of source it is, in a word or two: "recording", "live"."""

    @property
    def elsewhere(self) -> str:
        """Where kubectl looks by now, when that is not what is shown; else empty."""

    def freshness(self, words: Words) -> str | Text:
        """How old the facts are, in a few words for the first header line."""

    @property
    def counts(self) -> Sequence[Text]:
        """The counts of the second header line ("NACK 1", styled "state.nack"), worst first; empty when unknown."""

    @property
    def home(self) -> str:
        """The command of the first view ("mesh")."""

    def names(self, route: str) -> Sequence[str]:
        """What the argument of the route can be, for completion after `:proxy `."""

    def close(self) -> None:
        """The application ends: whoever still reads is to stop."""
