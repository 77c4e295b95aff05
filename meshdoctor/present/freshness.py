"""How old what is on the screen is, and what keeps it from being newer, in words for the first header line."""

from __future__ import annotations

from typing import NamedTuple

from rich.text import Text

from meshdoctor.present.words import Words

LOST, LOGIN, BUSY = "lost", "login", "busy"
"""What is wrong with the way to a cluster: no answer, a credential that it refuses, too much to do."""
MANY = 20
"""Questions from which on it is counted how many are answered."""
SLOW = 3.0
"""Seconds of waiting for an answer after which that is said."""


class Trouble(NamedTuple):
    """What is wrong with the way to the cluster: *kind* is LOST, LOGIN or BUSY; times in Unix seconds."""

    kind: str
    since: float
    error: str
    again_at: float


class Freshness(NamedTuple):
    """Of one view; times in Unix seconds, *period* in seconds."""

    oldest: float | None
    """When the oldest fact in sight was read; None before there are any."""
    period: float = 0.0
    """How often the view is read again by itself; 0 for never."""
    reading_since: float | None = None
    trouble: Trouble | None = None
    answered: tuple[int, int] = (0, 0)
    """Of what is read now: how many questions are answered, of how many."""
    failed_since: float | None = None
    """Since when this view's own facts cannot be read, while the cluster itself answers."""


def age(seconds: float, words: Words) -> str:
    """A time span in one unit: 12s, 3m, 5h, 2d."""
    for unit, size, least in (("d", 86400, 2), ("h", 3600, 2), ("m", 60, 2)):
        if seconds >= size * least:
            return words(f"live.{unit}", count=int(seconds // size))
    return words("live.s", count=max(0, int(seconds)))


def freshness_text(fresh: Freshness, now: float, words: Words) -> Text:
    """What is wrong and since when, what is waited for, and how old the facts are."""
    parts: list[Text] = []
    trouble = fresh.trouble
    if trouble:
        parts.append(Text(words(f"live.{trouble.kind}", since=age(now - trouble.since, words)), style="state.lost"))
    elif fresh.failed_since is not None:
        parts.append(Text(words("live.failed", since=age(now - fresh.failed_since, words)), style="state.lost"))
    waited = now - fresh.reading_since if fresh.reading_since is not None else 0.0
    if waited >= SLOW or (fresh.reading_since is not None and fresh.oldest is None):
        answered, asked = fresh.answered
        key = "live.reading_of" if asked >= MANY else "live.reading"
        text = words(key, since=age(waited, words), answered=f"{answered:,}", asked=f"{asked:,}")
        parts.append(Text(text, style="state.stale" if waited > 10 else ""))
    elif trouble:
        parts.append(Text(words("live.again", seconds=age(max(0.0, trouble.again_at - now), words))))
    if fresh.oldest is not None:
        old = now - fresh.oldest
        stale = trouble is not None or fresh.failed_since is not None or (fresh.period and old > 2 * fresh.period + 2)
        text = words("live.stale" if stale else "live.age", age=age(old, words))
        parts.append(Text(text, style="state.stale" if stale else ""))
    return Text("  ").join(parts)
