"""Regular expressions as Envoy runs them: RE2, matched against bytes, in time linear in the text.

Python's `re` differs in syntax (`\\z`, `(?P<`, `\\pN`, `[[:alpha:]]`, look-around, back-references) and can take
exponential time, so the engine is RE2 itself (package google-re2), imported when the first expression is compiled.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any


class Regex:
    """A compiled expression; *problem* says why RE2 refuses it (Envoy would have refused the configuration)."""

    __slots__ = ("_program", "pattern", "problem")

    def __init__(self, pattern: str, program: Any, problem: str) -> None:
        self.pattern = pattern
        self.problem = problem
        self._program = program

    def matches(self, text: str) -> bool | None:
        """Whether the *whole* of *text* matches (RE2::FullMatch); None when the expression is not valid RE2."""
        return None if self._program is None else self._program.fullmatch(_bytes(text)) is not None

    def replace_all(self, text: str, substitution: str) -> str:
        """*text* with every match replaced, `\\1` naming a group (RE2::GlobalReplace, as in `regex_rewrite`)."""
        if self._program is None or not self._valid(substitution):
            return text
        whole, out, last = _bytes(text), b"", 0
        rewrite = substitution.encode()
        for found in self._program.finditer(whole):
            start, end = found.span()
            if start == end == last and start:
                continue  # RE2 takes no empty match where the match before it ended
            out += whole[last:start] + found.expand(rewrite)
            last = end
        return (out + whole[last:]).decode("latin-1")

    def _valid(self, substitution: str) -> bool:
        # RE2 leaves the text alone when the rewrite names a group that is not there or escapes something else.
        position = 0
        while (position := substitution.find("\\", position)) >= 0:
            following = substitution[position + 1 : position + 2]
            if following != "\\" and not (following.isdigit() and int(following) <= self._program.groups):
                return False
            position += 2
        return True


@lru_cache(maxsize=4096)
def compile_regex(pattern: str) -> Regex:
    """The expression, compiled once; an invalid one says so in `problem` instead of raising."""
    try:
        import re2  # type: ignore[import-untyped]
    except ImportError:
        return Regex(pattern, None, "the package google-re2 is not installed")
    options = re2.Options()
    options.log_errors = False
    options.never_capture = False
    try:
        return Regex(pattern, re2.compile(pattern.encode("utf-8", "surrogatepass"), options), "")
    except re2.error as error:
        reason = error.args[0] if error.args else "not valid"
        return Regex(pattern, None, reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason))


def _bytes(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
