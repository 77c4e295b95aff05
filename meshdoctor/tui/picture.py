"""A picture of a view as SVG, made by the application itself without a terminal: what the README shows.

python -m meshdoctor.tui.picture RECORDING OUT.svg [--from NS/WORKLOAD] [--to HOST] [--view COMMAND]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from textual.pilot import Pilot

from meshdoctor.present.words import Words
from meshdoctor.sources.recording import RecordingSource
from meshdoctor.tui.app import MeshDoctorApp
from meshdoctor.tui.examined import ExaminedSession

SIZE = (92, 34)
"""Columns and lines: a line of the README's width on most screens, and one whole verdict."""


async def picture(session: ExaminedSession, view: str, size: tuple[int, int], title: str) -> str:
    """The SVG of *view* once all its facts have arrived; raises the session's failure."""
    app = MeshDoctorApp(session, start=view, theme="md-dark", words=Words("en"))
    taken: list[str] = []

    async def take(pilot: Pilot[object]) -> None:
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.pause()
        taken.append(app.export_screenshot(title=title))
        app.exit()

    await app.run_async(headless=True, size=size, auto_pilot=take)
    if session.failure is not None:
        raise session.failure
    return taken[0]


def main(argv: list[str] | None = None) -> int:
    """Write the picture; returns the exit status."""
    parser = argparse.ArgumentParser(prog="meshdoctor.tui.picture", description=__doc__)
    parser.add_argument("recording", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--from", dest="client", default="")
    parser.add_argument("--to", dest="target", default="")
    parser.add_argument("--view", default="guide")
    arguments = parser.parse_args(argv)
    path: Path = arguments.recording
    session = ExaminedSession(
        path.name, lambda: RecordingSource.open(path), client=arguments.client, target=arguments.target
    )
    svg = asyncio.run(picture(session, arguments.view, SIZE, "meshdoctor"))
    # Trailing blanks of the drawn lines say nothing, and a changed picture should be a small difference.
    arguments.out.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
