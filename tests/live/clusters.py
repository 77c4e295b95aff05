"""The application on a recorded incident that is served as a cluster, and ways to look at it."""

from __future__ import annotations

import asyncio
import contextlib
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from textual.pilot import Pilot

from meshdoctor.commands.background_record import BackgroundRecording
from meshdoctor.kube.settings import FanOut, Retry, Settings, Timeouts
from meshdoctor.kube.target import ClusterFlags, resolve_target
from meshdoctor.present.words import Language, Words
from meshdoctor.sources.live import LiveSource
from meshdoctor.tui.app import MeshDoctorApp
from meshdoctor.tui.kubeconfigwatch import Kubeconfig
from meshdoctor.tui.livesession import LiveSession
from tests.live.apiserver import ApiServer
from tests.live.recorded_cluster import Asked, serving_recording
from tests.screens.shipped import screen_text

ROOT = Path(__file__).resolve().parents[2]
QUICK = Settings(
    retry=Retry(attempts=2, base=0.01),
    fan_out=FanOut(per_node=8, deadline=5, new_per_second=10_000),
    timeouts=Timeouts(connect=3.0, read=3.0),
    refresh=1.0,
)
PATIENCE = 90.0
"""Seconds; a recorder and several tests may share few processors."""


@contextlib.contextmanager
def serving(name: str, folder: Path, asked: list[Asked] | None = None) -> Iterator[tuple[ApiServer, Path]]:
    """An incident that ships, as a cluster, and the folder that it was unpacked to; *asked*: of the pods."""
    with tarfile.open(ROOT / "fixtures" / f"{name}.tar.xz") as archive:
        archive.extractall(folder / "case", filter="data")
    unpacked = next(path.parent for path in sorted((folder / "case").rglob("manifest.json")))
    with serving_recording(unpacked, asked) as api:
        yield api, unpacked


class Cluster:
    """A kubeconfig for *api* in *folder*, and sessions on it."""

    def __init__(self, api: ApiServer, folder: Path) -> None:
        self.api = api
        self.path = folder / "kubeconfig"
        self.home = folder
        self.write(api.kubeconfig())

    def write(self, kubeconfig: dict[str, Any]) -> None:
        """Another kubeconfig."""
        self.path.write_text(yaml.safe_dump(kubeconfig))

    def connect(self, context: str, **options: Any) -> LiveSource:
        """As the command connects."""
        flags = ClusterFlags(kubeconfig=str(self.path), context=context)
        target = resolve_target(flags, {"HOME": str(self.home)})
        return LiveSource(target, QUICK, environment={"PATH": "/usr/bin:/bin"}, **options)

    def record(self, context: str) -> BackgroundRecording:
        """A recording in its folder, a moment after another."""
        return BackgroundRecording(lambda capture: self.connect(context, capture=capture), self.home, every=0.2)

    def session(self, **options: Any) -> LiveSession:
        """A session on it."""
        kubeconfig = Kubeconfig(ClusterFlags(kubeconfig=str(self.path)), {"HOME": str(self.home)})
        return LiveSession(self.connect, kubeconfig, self.record, **options)


@contextlib.asynccontextmanager
async def running(session: LiveSession, start: str = "mesh", language: Language = "en", **options: Any):  # type: ignore[no-untyped-def]
    """The application on *session*, with a pilot; everything is closed at the end."""
    app = MeshDoctorApp(session, start=start, theme="md-dark", words=Words(language), **options)
    try:
        async with app.run_test(size=(120, 30)) as pilot:
            try:
                yield pilot
            finally:
                session.close()
    finally:
        session.close()


async def until(pilot: Pilot[Any], wanted: Callable[[str], bool]) -> str:
    """The screen as soon as it is as *wanted*.

    Raises:
        AssertionError: it never was, with what was there.
    """
    app = pilot.app
    assert isinstance(app, MeshDoctorApp)
    text = ""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        await pilot.pause()  # up to a second where a recorder keeps the processor busy
        text = "\n".join(screen_text(app))
        if wanted(text):
            return text
        assert app.crash is None, app.crash
        await asyncio.sleep(0.05)
    raise AssertionError(text)


async def shows(pilot: Pilot[Any], *parts: str) -> str:
    """The screen as soon as all *parts* are on it."""
    return await until(pilot, lambda text: all(part in text for part in parts))
