"""What went wrong while the application ran, with its time: a line that flashed by can be read again in `:errors`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from meshdoctor.model.snapshot import Missing

KEPT = 200
"""Entries; the oldest make room."""

SAID, REFUSED, UNREAD, LINK, BACK, KUBECONFIG, MISTAKE = (
    "message", "forbidden", "not read", "cluster", "answers", "kubeconfig", "mistake",
)  # fmt: skip
"""What an entry is about: a line that was shown, a right that is missing, an answer that did not come, the way to the
cluster lost and found again (the seconds between the two), another kubeconfig, a mistake of this program."""


class Entry(NamedTuple):
    """One trouble, from its *first* to its *last* time (Unix seconds), how many *times* it was met."""

    kind: str
    text: str
    first: float
    last: float
    times: int = 1


class Journal:
    """May be written to from any thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.changes = 0
        """Counts what was noted."""
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, str], Entry] = {}

    def note(self, kind: str, text: str) -> None:
        """Keep *text*; the same again is counted and becomes the newest."""
        now = self._clock()
        with self._lock:
            if kind == SAID and any(one.kind != SAID and one.text in text for one in self._entries.values()):
                return  # it stands there already, with what it is about
            before = self._entries.pop((kind, text), None)
            first, times = (before.first, before.times) if before else (now, 0)
            self._entries[kind, text] = Entry(kind, text, first, now, times + 1)
            while len(self._entries) > KEPT:
                del self._entries[next(iter(self._entries))]
            self.changes += 1

    def entries(self) -> tuple[Entry, ...]:
        """The newest first."""
        with self._lock:
            return tuple(reversed(self._entries.values()))


def missing_rule(fact: Missing) -> str:
    """The RBAC rule that a refused answer lacks; "" where nobody knows it."""
    # It stands at the end of what the API server and `kube.answers` say of a refused request.
    return fact.detail.rpartition("): ")[2] if fact.reason == "forbidden" else ""


def note_unread(journal: Journal, missing: Iterable[Missing]) -> None:
    """Keep why something could not be read: each right once, each damaged file, and else of a reason the first."""
    told: dict[tuple[str, str], Missing] = {}
    for fact in missing:
        key = (UNREAD, fact.file if fact.reason == "unreadable" else fact.reason)
        if fact.reason == "forbidden":
            key = (REFUSED, missing_rule(fact) or str(fact))
        if fact.reason not in ("not recorded", "not asked for"):
            told.setdefault(key, fact)
    for (kind, text), fact in told.items():
        journal.note(kind, text if kind == REFUSED else f"{fact.file}: {fact}")
