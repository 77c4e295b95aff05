"""The line that is typed after `:` or `/`, as plain state: no widget, so no focus to wait for.

The application gives every key to the open prompt itself, in the order typed. With a focused Input the keys after `/`
would race the change of focus, and the keys after Enter would still go to the closing Input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from rich.cells import cell_len


class LineEditor:
    """One line of text with a caret and the usual editing keys (readline's, as far as they mean something here)."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.caret = len(text)

    @property
    def caret_cells(self) -> int:
        """Terminal cells before the caret."""
        return cell_len(self.text[: self.caret])

    def replace(self, text: str) -> None:
        """Set the whole line; the caret goes to its end."""
        self.text = text
        self.caret = len(text)

    def insert(self, text: str) -> None:
        """Put *text* at the caret; line ends and control characters of a paste become spaces."""
        clean = "".join(c if c.isprintable() else " " for c in text)
        self.text = self.text[: self.caret] + clean + self.text[self.caret :]
        self.caret += len(clean)

    def _delete(self, start: int, end: int) -> None:
        start, end = max(0, start), min(len(self.text), end)
        self.text = self.text[:start] + self.text[end:]
        self.caret = start

    def _word_start(self) -> int:
        head = self.text[: self.caret].rstrip()
        return head.rfind(" ") + 1

    def press(self, key: str, character: str | None) -> bool:
        """Act on one key of Textual's naming; False when the key means nothing to a line."""
        moves: dict[str, Callable[[], int]] = {
            "left": lambda: self.caret - 1,
            "right": lambda: self.caret + 1,
            "home": lambda: 0,
            "ctrl+a": lambda: 0,
            "end": lambda: len(self.text),
            "ctrl+e": lambda: len(self.text),
        }
        deletions: dict[str, Callable[[], tuple[int, int]]] = {
            "backspace": lambda: (self.caret - 1, self.caret),
            "delete": lambda: (self.caret, self.caret + 1),
            "ctrl+w": lambda: (self._word_start(), self.caret),
            "ctrl+u": lambda: (0, self.caret),
            "ctrl+k": lambda: (self.caret, len(self.text)),
        }
        if key in moves:
            self.caret = min(len(self.text), max(0, moves[key]()))
        elif key in deletions:
            self._delete(*deletions[key]())
        elif character and character.isprintable():
            self.insert(character)
        else:
            return False
        return True


class Prompt:
    """An open prompt: what is typed, its mark, its candidates, and what it was before (for a cancel)."""

    def __init__(
        self,
        kind: Literal["command", "filter"],
        text: str = "",
        *,
        candidates: Callable[[str], Sequence[str]] | None = None,
        past: Sequence[str] = (),
    ) -> None:
        self.kind = kind
        self.before = text
        self.editor = LineEditor(text)
        self._candidates = candidates
        self._offered: list[str] = []
        self._past = list(past)

    @property
    def mark(self) -> str:
        """The character that opened it."""
        return ":" if self.kind == "command" else "/"

    @property
    def text(self) -> str:
        """What is typed so far."""
        return self.editor.text

    def press(self, key: str, character: str | None) -> bool:
        """Give the editor a key; True when the text or the caret may have changed."""
        self._offered = []
        return self.editor.press(key, character)

    def hint(self) -> str:
        """What the best completion would add to the text, shown dimmed after it."""
        if self._candidates is None or not self.text or self.editor.caret != len(self.text) or self._offered:
            return ""
        best = next(iter(self._candidates(self.text)), "")
        return best[len(self.text) :] if best.startswith(self.text) else ""

    def complete(self) -> None:
        """Take the first candidate, or the one after it if Tab was pressed before."""
        if self._candidates is None:
            return
        if len(self._offered) > 1:
            self._offered.append(self._offered.pop(0))
        else:
            self._offered = list(self._candidates(self.text))
        if self._offered:
            self.editor.replace(self._offered[0])

    def recall(self) -> None:
        """Take the command typed before this one, then the one before that."""
        if self._past:
            self.editor.replace(self._past.pop())
