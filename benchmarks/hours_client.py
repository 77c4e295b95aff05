"""The application without a terminal, on a clock that runs faster: what `benchmarks.long_hours` watches.

    python -m benchmarks.hours_client KUBECONFIG SPEED

Reads lines: `measure` prints one line of JSON about the process, `settle` reads all anew and prints the rows of the
table, `end` ends it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from meshdoctor.kube.settings import FanOut, Retry, Settings, Timeouts
from meshdoctor.kube.target import ClusterFlags, resolve_target
from meshdoctor.present.words import Words
from meshdoctor.screens.mesh import MeshScreen
from meshdoctor.sources.live import LiveSource
from meshdoctor.tui.app import MeshDoctorApp
from meshdoctor.tui.linetable import LineTable
from meshdoctor.tui.livesession import LiveSession
from meshdoctor.tui.shellscreen import ShellScreen

WATCH = 3.0
"""Real seconds after which the server closes a watch."""
OTHER_VIEW_EVERY = 40
"""After so many refreshes another view is opened and closed again."""


class Hours:
    """The application, beating as fast as its clock runs."""

    def __init__(self, kubeconfig: str, speed: float) -> None:
        begun = time.time()
        self.speed = speed
        self.refreshes = 0
        self.views = 0
        self.sources: list[LiveSource] = []

        def clock() -> float:
            return begun + (time.time() - begun) * speed

        settings = Settings(
            timeouts=Timeouts(watch=WATCH, read=5.0, connect=5.0),
            retry=Retry(attempts=3, base=0.05, cap=0.5),
            fan_out=FanOut(patience=0.05, deadline=0.2, straggler_floor=0.05, new_per_second=1000.0),
        )
        target = resolve_target(ClusterFlags(kubeconfig=kubeconfig), {"HOME": str(Path(kubeconfig).parent)})

        def connect(_: str) -> LiveSource:
            self.sources[:] = [LiveSource(target, settings, clock=clock, environment={})]
            return self.sources[0]

        self.session = LiveSession(connect, clock=clock)
        self.app = MeshDoctorApp(self.session, start="mesh", theme="md-dark", words=Words("en"))

    async def run(self) -> None:
        """Until it is told to end."""
        orders: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def listen() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(orders.put_nowait, line.strip())

        threading.Thread(target=listen, daemon=True).start()
        async with self.app.run_test(size=(80, 24)) as pilot:
            look: Any = None
            while True:
                await asyncio.sleep(1.0 / self.speed)
                self.app.beat()
                view = self.app.view
                if isinstance(view, MeshScreen) and not view.is_reading and not self.session.troubled:
                    view.start(renew=True)  # by itself it would read for a twentieth of the time
                shown = getattr(view, "shown_look", None)
                if shown is not look:
                    look, self.refreshes = shown, self.refreshes + 1
                    await pilot.press("j" if self.refreshes % 3 else "k")
                    if self.refreshes % OTHER_VIEW_EVERY == 0:
                        await self._other_view(pilot)
                assert self.app.crash is None, self.app.crash
                while not orders.empty():
                    order = orders.get_nowait()
                    if order == "end":
                        self.session.close()
                        return
                    print(json.dumps(await self._settled() if order == "settle" else self._measure()), flush=True)

    async def _other_view(self, pilot: Any) -> None:
        self.views += 1
        pods = self.session.names("proxy")
        command = ("unread", "help", f"proxy {pods[self.views % len(pods)]}" if pods else "help")[self.views % 3]
        await self.app.go(command)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if not getattr(self.app.view, "is_reading", False):
                break
        await self.app.close_views()

    async def _settled(self) -> dict[str, Any]:
        view = self.app.view
        assert isinstance(view, ShellScreen)
        for _ in range(200):
            view.start(renew=True)
            while getattr(view, "is_reading", False):
                await asyncio.sleep(0.05)
            if not self.session.troubled:
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        rows = view.query_one(LineTable).rows.by_key
        return {"rows": sorted(rows), "problems": sum(row.problem for row in rows.values())}

    def _measure(self) -> dict[str, Any]:
        gc.collect()
        status = Path("/proc/self/status").read_text().splitlines()
        memory = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
        loop = self.sources[0]._loop._loop
        tasks = Counter(getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks(loop))
        link = self.session._link
        return {
            "refreshes": self.refreshes,
            "hours": (self.session.now - self.session._link.cluster._started) / 3600,
            "memory": round(memory, 1),
            "objects": len(gc.get_objects()),
            "threads": threading.active_count(),
            "files": len(os.listdir("/proc/self/fd")),
            "tasks": dict(tasks),
            "watches": {kind: state.lost for kind, state in link._watched.items()},
            "trouble": link.trouble.error if link.trouble else "",
        }


if __name__ == "__main__":
    asyncio.run(Hours(sys.argv[1], float(sys.argv[2])).run())
