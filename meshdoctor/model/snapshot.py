"""What is asked for (`Want`) and what is known at one moment (`Snapshot`): a `Fact` with its origin, or `Missing`.

A missing fact is never an empty fact: whoever reads one must say *inconclusive*, not *cleared*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar, cast

import msgspec

_SHOWN = 8
"""Namespaces that are named in a sentence."""
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class PodRef(NamedTuple):
    """A pod by namespace and name; `str()` is `namespace/name`."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Origin(NamedTuple):
    """Where a fact was read: the *file* of a recording (or the API path it stands for) and when, in Unix seconds."""

    file: str
    read_at: float | None = None


class Part(NamedTuple):
    """How much was read: of a list the objects of *namespaces* only, of a log its *newest* lines only; *why* in one
    line."""

    namespaces: tuple[str, ...]
    why: str = ""
    newest: bool = False

    def __str__(self) -> str:
        if self.newest:
            return f"only the newest lines{f' ({self.why})' if self.why else ''}"
        names = f"{', '.join(self.namespaces[:_SHOWN])}{', …' if self.namespaces[_SHOWN:] else ''}"
        what = f"only of namespaces {names}" if names else "not of a whole namespace"
        return f"{what}{f' ({self.why})' if self.why else ''}"


class Fact(NamedTuple, Generic[T]):
    """A value that was read."""

    value: T
    origin: Origin
    problems: tuple[str, ...] = ()
    """What of it could not be decoded, one line each; the rest is in *value*."""
    part: Part | None = None
    """Of which namespaces a list of objects is, or which lines a log has; None: all."""

    def covers(self, *namespaces: str) -> bool:
        """Whether the objects of all these, or without any of every namespace, were read; "" is no namespace's name."""
        return self.part is None or (bool(namespaces) and set(namespaces) <= set(self.part.namespaces))


class Missing(NamedTuple):
    """Why a fact is not there: *reason* is one of REASONS, *detail* one line for the reader."""

    reason: str
    detail: str = ""
    file: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


REASONS = (
    "not recorded", "unreadable", "failed", "not logged in", "forbidden", "timeout", "no such pod", "not asked for",
)  # fmt: skip


class Want(msgspec.Struct, Generic[T_co], frozen=True):
    """A question to a source; equal wants are one question. The type parameter is the type of the answer."""


class SourceInfo(msgspec.Struct, frozen=True):
    """What a source is: *kind* `recording` or `cluster`, times in Unix seconds (None when unknown)."""

    kind: str
    name: str
    started_at: float | None = None
    finished_at: float | None = None
    note: str = ""
    moments: tuple[str, ...] = ()
    """The RFC 3339 names of the moments that a recording holds, oldest first; empty when it holds just one."""
    moment: str = ""
    """Which of the moments this is."""
    problems: tuple[str, ...] = ()
    """What of the source could not be used, one line each."""


class Snapshot:
    """The facts of one moment, keyed by want. Immutable: `updated` gives a new one that shares what is known."""

    def __init__(self, info: SourceInfo, facts: Mapping[Want[Any], Fact[Any] | Missing]) -> None:
        self.info = info
        self._facts = dict(facts)

    def get(self, want: Want[T]) -> Fact[T] | Missing:
        """The fact, or why it is missing; `not asked for` when no source was asked."""
        return cast("Fact[T] | Missing", self._facts.get(want, Missing("not asked for")))

    def value(self, want: Want[T]) -> T | None:
        """The fact's value, or None when it is missing (ask `get` where the reason matters)."""
        found = self.get(want)
        return None if isinstance(found, Missing) else found.value

    def has(self, want: Want[Any]) -> bool:
        """Whether a source was asked, whatever it answered."""
        return want in self._facts

    def missing(self) -> dict[Want[Any], Missing]:
        """Everything that was asked for and could not be read."""
        return {want: fact for want, fact in self._facts.items() if isinstance(fact, Missing)}

    def problems(self) -> list[str]:
        """What of the facts that were read could not be decoded, with its file."""
        facts = (fact for fact in self._facts.values() if not isinstance(fact, Missing))
        return [f"{fact.origin.file}: {problem}" for fact in facts for problem in fact.problems]

    def parts(self) -> list[str]:
        """Which lists of objects are of some namespaces only, a line for each reason."""
        return [_told(part, files) for part, files in self._parts().items() if not part.newest]

    def cut_logs(self) -> list[str]:
        """Of which logs only the newest lines were read, a line for each reason."""
        return [_told(part, files) for part, files in self._parts().items() if part.newest]

    def cut_files(self) -> list[str]:
        """The files of these logs."""
        return [file for part, files in self._parts().items() if part.newest for file in files]

    def _parts(self) -> dict[Part, list[str]]:
        found: dict[Part, dict[str, None]] = {}
        for fact in self._facts.values():
            if not isinstance(fact, Missing) and fact.part:
                found.setdefault(fact.part, {})[fact.origin.file] = None
        return {part: list(files) for part, files in found.items()}

    def updated(self, facts: Mapping[Want[Any], Fact[Any] | Missing]) -> Snapshot:
        return Snapshot(self.info, {**self._facts, **facts})

    def without(self, wants: Iterable[Want[Any]]) -> Snapshot:
        """This one as if *wants* had not been asked, to ask for them anew."""
        dropped = set(wants)
        return Snapshot(self.info, {want: fact for want, fact in self._facts.items() if want not in dropped})

    def wants(self) -> tuple[Want[Any], ...]:
        """Everything that was asked."""
        return tuple(self._facts)

    def lacks(self, wants: Iterable[Want[Any]]) -> list[Want[Any]]:
        """The *wants* that nobody has asked for yet."""
        return [want for want in dict.fromkeys(wants) if want not in self._facts]


def _told(part: Part, files: list[str]) -> str:
    return f"{files[0]}{f' and {len(files) - 1} more' if files[1:] else ''}: {part}"
