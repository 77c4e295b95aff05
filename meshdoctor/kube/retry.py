"""Trying again: exponential backoff with full jitter, and the server's own Retry-After."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from meshdoctor.kube.errors import Busy, Unreachable
from meshdoctor.kube.settings import Retry

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


def backoff(retry: Retry, attempt: int, draw: Callable[[], float] = random.random) -> float:
    """Seconds to wait before try *attempt* + 1 (0 is the first): uniform in 0 … min(cap, base * 2**attempt)."""
    return draw() * min(retry.cap, retry.base * 2.0 ** min(attempt, 30))


async def with_retries(retry: Retry, ask: Callable[[], Awaitable[T]], sleep: Sleep = anyio.sleep) -> T:
    """*ask* until it answers; Busy and Unreachable are tried again as often as *retry* says.

    For reads only: they may be repeated without harm. Raises the last error.
    """
    attempt = unanswered = 0
    while True:
        try:
            return await ask()
        except (Busy, Unreachable) as error:
            attempt += 1
            unanswered += isinstance(error, Unreachable)
            if attempt >= retry.attempts or unanswered >= retry.unreachable_attempts:
                raise
            told = error.retry_after if isinstance(error, Busy) else None
            # A little jitter on top of Retry-After, or all clients come back at the same moment.
            wait = backoff(retry, attempt - 1) if told is None else told + 0.1 * random.random() * max(told, 1.0)
            await sleep(wait)
