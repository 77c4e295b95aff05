"""What a view may ask of the application when one of its own steps fails; `crash` answers."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from textual import events
from textual.message import Message


@runtime_checkable
class Survivor(Protocol):
    """An application that goes on after a mistake of this program."""

    def survive(self, error: Exception) -> bool:
        """Tell of a mistake and go on; False where it comes again and again."""


def begins(message: Message) -> bool:
    """Whether *message* makes a part of the screen: a part that failed here has nothing to show."""
    return isinstance(message, events.Load | events.Compose | events.Mount)
