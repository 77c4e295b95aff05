"""An event loop on a thread of its own, for callers that are not asynchronous: connections live as long as it does."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_ROUNDS = 20
"""A task that is cancelled may have begun another one in the same moment."""


class LoopThread:
    """Runs coroutines; `close` ends the thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cluster", daemon=True)
        self._thread.start()
        self._gate = threading.Lock()
        self._closing = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """*work*'s result, or its exception; an interrupt cancels it.

        Raises CancelledError when the loop is closed before it is done.
        """
        future = self._submit(work)
        try:
            return future.result()
        except (KeyboardInterrupt, concurrent.futures.CancelledError):
            future.cancel()
            raise

    def start(self, work: Coroutine[Any, Any, None]) -> Callable[[], None]:
        """Begin *work* in the background; returns a function that cancels it and may be called from anywhere."""
        future = self._submit(work)

        def stop() -> None:
            future.cancel()

        return stop

    def _submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        with self._gate:  # what comes after the last work would wait for ever
            if self._closing:
                work.close()
                raise concurrent.futures.CancelledError
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self, last: Coroutine[Any, Any, None] | None = None) -> None:
        """Cancel what is under way, run *last*, and end the thread; a second time does nothing."""
        with self._gate:
            if self._closing:
                if last is not None:
                    last.close()
                return
            self._closing = True
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result()
        if last is not None:
            asyncio.run_coroutine_threadsafe(last, self._loop).result()
        asyncio.run_coroutine_threadsafe(self._quiet(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @staticmethod
    async def _finish() -> None:
        for _ in range(_ROUNDS):
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if not tasks:
                return

    @staticmethod
    async def _quiet() -> None:
        """A connection that was closed lets its socket go in a later round of the loop."""
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
