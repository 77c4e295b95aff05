"""What the parts of the application may ask of the whole. `MeshDoctorApp` is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.app import App

if TYPE_CHECKING:
    from meshdoctor.present.words import Words
    from meshdoctor.tui.prompt import Prompt
    from meshdoctor.tui.router import Route
    from meshdoctor.tui.session import Session
    from meshdoctor.tui.shellscreen import ShellScreen


class Shell(App[None]):
    """The state that the parts share, and what each leaves to the others."""

    session: Session
    words: Words
    routes: Sequence[Route]
    prompt: Prompt | None

    @property
    def view(self) -> ShellScreen | None:
        """The view on the screen."""
        raise NotImplementedError

    async def go(self, command: str) -> bool:
        """Open the view that *command* names, or run what it does."""
        raise NotImplementedError

    def say(self, text: str, style: str = "") -> None:
        """Show one line on the message row, until the next key."""
        raise NotImplementedError

    def gather_again(self, *, renew: bool = False) -> None:
        """The view in sight, now; the others when they come in sight."""
        raise NotImplementedError

    def judge(self) -> None:
        """Find out for the header whether requests fail, where that asks nobody."""
        raise NotImplementedError

    def close_last_view(self) -> bool:
        """Close the view in sight; False when it is the first."""
        raise NotImplementedError

    def survive(self, error: Exception) -> bool:
        """Tell of a mistake of this program and go on; False where it comes again and again."""
        raise NotImplementedError

    async def close_views(self) -> None:
        """All but the first."""
        raise NotImplementedError

    def ask_command(self, text: str) -> None:
        """Open the command line with *text* typed."""
        raise NotImplementedError
