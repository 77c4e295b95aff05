"""The application: which view is open, the prompt, and the order in which keys act. Views are `ShellScreen`s by route.

Nothing here knows a mesh. Screens are imported when they are first opened; no source is read before the first paint.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from textual import events
from textual.screen import Screen

from meshdoctor.errors import MeshDoctorError
from meshdoctor.present.palette import rich_theme
from meshdoctor.present.words import Words, choose_language
from meshdoctor.tui import clipboard
from meshdoctor.tui.crash import CrashSurvival
from meshdoctor.tui.diffdisplay import DiffDisplay
from meshdoctor.tui.keys import HANGUL_KEYS, bindings
from meshdoctor.tui.promptactions import PromptActions
from meshdoctor.tui.router import ROUTES, History, Location, MissingArgument, Route, UnknownCommand, load_screen, parse
from meshdoctor.tui.session import Session
from meshdoctor.tui.shellscreen import ShellScreen
from meshdoctor.tui.sourceactions import SourceActions
from meshdoctor.tui.themes import COLOURLESS, THEMES, choose_theme


class MeshDoctorApp(CrashSurvival, PromptActions, SourceActions, DiffDisplay):
    """The shell around every view: `go(command)` opens one, `say(text)` shows a line."""

    TITLE = "MeshDoctor"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = bindings("app")

    def __init__(
        self,
        session: Session,
        *,
        start: str = "",
        theme: str = "",
        words: Words | None = None,
        routes: Sequence[Route] = ROUTES,
    ) -> None:
        """*start* is the command of the first view (the session's home if empty).

        Raises:
            UnknownCommand, MissingArgument: *start* names no view.
            UsageError: there is no such *theme*.
        """
        chosen = choose_theme(os.environ, theme)
        if os.environ.get("NO_COLOR") == "":
            del os.environ["NO_COLOR"]  # Textual takes an empty one for a wish; no-color.org does not
        super().__init__(ansi_color=True if chosen in COLOURLESS else None)
        for each in THEMES:
            self.register_theme(each)
        self.theme = chosen
        self.console.push_theme(rich_theme(chosen))
        self.session = session
        self.words = words or Words(choose_language(os.environ))
        self.routes = tuple(routes)
        self.history = History()
        self.typed = []
        self._home = parse(start or session.home, self.routes)
        self._bare = False

    # Views.

    @property
    def view(self) -> ShellScreen | None:
        """The view on the screen."""
        screen = self.screen if self.screen_stack else None
        return screen if isinstance(screen, ShellScreen) else None

    def _make(self, route: Route, location: Location) -> ShellScreen:
        screen: ShellScreen = load_screen(route)(self.session, location, self.words)
        screen.set_class(self._bare, "-bare")
        return screen

    def get_default_screen(self) -> Screen[None]:
        """The first view is the bottom of the stack: it is painted first, with nothing under it."""
        route, location = self._home
        self.history.open(location)
        return self._make(route, location)

    async def go(self, command: str) -> bool:
        """Open the view that *command* names, or run what it does. A view that is open already is gone back to.

        The view is mounted and has the focus when this returns, so the next key acts on it.
        """
        try:
            route, location = parse(command, self.routes)
        except UnknownCommand as error:
            text = "shell.did_you_mean" if error.nearest else "shell.unknown_command"
            self.say(self.words(text, name=error.name, nearest=error.nearest), "warning")
            return False
        except MissingArgument as error:
            text = self.words("shell.needs_argument", name=error.route.name, argument=error.route.argument)
            self.say(text, "warning")
            return False
        if route.action:
            given = (location.argument,) if location.argument else ()
            await self.run_action(("app", route.action, given))
            return True
        return await self._open(route, location)

    async def _open(self, route: Route, location: Location, *, forward: bool = False) -> bool:
        depth = self.history.depth_of(location)
        if depth is not None:
            self._close_above(depth)
            if self.view and location.filter:
                self.view.set_filter(location.filter)
            return True
        try:
            screen = self._make(route, location)
        except MeshDoctorError as error:  # the screen says why it cannot open: no such proxy, say
            self.say(self.words.said(str(error)), "error")
            return False
        self.history.open(location, forward=forward)
        await self.push_screen(screen)
        self._tell_trail()
        return True

    def close_last_view(self) -> bool:
        """Close the view in sight; False when it is the first."""
        if len(self.history.trail) < 2:
            return False
        self._close_above(len(self.history.trail) - 2)
        return True

    async def close_views(self) -> None:
        """All but the first."""
        self._close_above(0)

    def gather_again(self, *, renew: bool = False) -> None:
        """The view in sight, now; the others when they come in sight."""
        if self.view:
            self.view.start(renew=renew)

    def beat(self) -> None:
        """The view in sight looks at the clock."""
        if self.view:
            self.view.beat()

    def _close_above(self, depth: int) -> None:
        for _ in range(len(self.history.trail) - 1 - depth):
            self.pop_screen()
        self.history.cut(depth)
        if self.view:
            self.view.set_class(self._bare, "-bare")
            self.view.refresh_chrome()

    def _tell_trail(self) -> None:
        if self.view:
            crumbs = [screen.crumb() for screen in self.screen_stack if isinstance(screen, ShellScreen)]
            self.view.set_trail(crumbs)

    # One line for the user.

    def say(self, text: str, style: str = "") -> None:
        """Show one line on the message row, until the next key."""
        if self.view:
            self.view.say(text, style)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: str = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Textual's toasts cost a repaint and hide data: what it wants to say goes to the message row."""
        self.say(f"{title}: {message}" if title else message, {"information": ""}.get(severity, severity))

    def copy_text(self, text: str, what: str) -> None:
        """Copy *text* and say where it went."""
        self.say(self.words("shell.copied", what=what, where=clipboard.copy(text, self._send_raw)))

    def _send_raw(self, sequence: str) -> None:
        if self._driver is not None:
            self._driver.write(sequence)

    # Keys. Each acts completely before the next is looked at.

    async def on_event(self, event: events.Event) -> None:
        """Give keys to the open prompt first; a Hangul letter counts as the key it is on."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            if self.prompt is not None:
                await self.press_in_prompt(self.prompt, event)
                return
            focused = self.focused
            if focused is not None and focused.check_consume_key(event.key, event.character):
                focused._forward_event(event)
                return
            self.say("")
            if event.character in HANGUL_KEYS:
                latin = HANGUL_KEYS[event.character]
                event = events.Key(latin, latin)
        elif isinstance(event, events.Paste) and self.prompt is not None:
            self.prompt.editor.insert(event.text)
            self.show_prompt()
            return
        elif isinstance(event, events.Resize):
            # tmux blanks a pane that is made smaller, even if it has its old size again when the signal comes.
            self.forget_shown()
            if event.size == self.size:
                self.screen.refresh()
        await super().on_event(event)

    async def action_show(self, command: str) -> None:
        """A key of the registry that opens a view."""
        await self.go(command)

    async def action_help(self) -> None:
        """`?`: the keys and commands of the view that is open."""
        await self.go("help")

    async def action_back(self) -> None:
        """Clear the filter, else close the view."""
        if self.view and self.view.filter:
            self.view.set_filter("")
        else:
            await self.action_history_back()

    async def action_history_back(self) -> None:
        """Close the view."""
        if not self.close_last_view():
            self.say(self.words("shell.first_view"))

    async def action_history_forward(self) -> None:
        """Open again the view that was closed last."""
        ahead = self.history.take_ahead()
        if ahead is None:
            self.say(self.words("shell.no_forward"))
        else:
            await self._open(*parse(str(ahead), self.routes), forward=True)

    async def action_history_last(self) -> None:
        """Open the view that was open before this one."""
        last = self.history.last()
        if last is None:
            self.say(self.words("shell.no_last"))
        else:
            await self._open(*parse(str(last), self.routes))

    def action_toggle_chrome(self) -> None:
        """Hide or show the header lines of every view."""
        self._bare = not self._bare
        for screen in self.screen_stack:
            screen.set_class(self._bare, "-bare")

    def action_redraw(self) -> None:
        """Send the whole screen again."""
        self.forget_shown()
        self.screen.refresh()
        self.say(self.words("shell.redrawn"))

    def action_inert(self) -> None:
        """k9s' keys for changing the cluster."""
        self.say(self.words("shell.read_only_key"))

    # The end.

    def on_mount(self) -> None:
        """After a suspension the terminal shows something else."""
        self.app_resume_signal.subscribe(self, lambda _: self.forget_shown())
        self.start_beat()
