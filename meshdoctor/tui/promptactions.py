"""The line that is typed after `:` or `/`: the application gives it every key, and does what it says."""

from __future__ import annotations

from textual import events
from textual.geometry import Offset

from meshdoctor.tui.keys import prompt_action
from meshdoctor.tui.prompt import Prompt
from meshdoctor.tui.router import complete
from meshdoctor.tui.shell import Shell


class PromptActions(Shell):
    """Mixed into the application."""

    prompt: Prompt | None = None
    typed: list[str]
    """The commands of this session, oldest first."""

    async def press_in_prompt(self, prompt: Prompt, event: events.Key) -> None:
        """One key while the line is open."""
        action = prompt_action(event.key)
        emptied = event.key == "backspace" and not prompt.text
        if action == "accept":
            await self._accept(prompt)
            return
        if action == "cancel" or emptied:
            self._close_prompt()
            if prompt.kind == "filter" and self.view:
                self.view.set_filter("" if emptied else prompt.before)
            return
        if action == "complete":
            prompt.complete()
        elif action == "recall":
            prompt.recall()
        else:
            prompt.press(event.key, event.character)
        self.show_prompt()

    async def _accept(self, prompt: Prompt) -> None:
        self._close_prompt()
        if prompt.kind == "command" and prompt.text.strip():
            if prompt.text not in self.typed[-1:]:
                self.typed.append(prompt.text)
            await self.go(prompt.text)

    def show_prompt(self) -> None:
        """Show the line as it is now, and filter by it."""
        if self.view is None or self.prompt is None:
            return
        if self.prompt.kind == "filter" and self.prompt.text != self.view.filter:
            self.view.set_filter(self.prompt.text)
        # Where the input method of a Korean terminal shows what is being composed.
        self.cursor_position = Offset(self.view.show_prompt(self.prompt), self.size.height - 2)

    def _close_prompt(self) -> None:
        self.prompt = None
        if self.view:
            self.view.show_prompt(None)

    def action_open_command(self) -> None:
        """`:`"""
        self.ask_command("")

    def ask_command(self, text: str) -> None:
        """The command line, with *text* typed already."""
        self.prompt = Prompt("command", text, candidates=self._candidates, past=self.typed)
        self.show_prompt()

    def _candidates(self, text: str) -> list[str]:
        return complete(text, self.session.names, self.routes)

    def action_open_filter(self) -> None:
        """`/`"""
        if self.view is None or self.view.filtered_widget is None:
            self.say(self.words("shell.no_filter"))
            return
        self.prompt = Prompt("filter", self.view.filter)
        self.show_prompt()
