"""A bundle that somebody changed with the right tools: its zip is in order."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from meshdoctor.recording.bundle.zipfile_parts import write_directory, write_entry


def rewritten(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """The bundle at *path* with what *change* makes of each entry's name and body."""
    with zipfile.ZipFile(path) as archive:
        bodies = {name: archive.read(name) for name in archive.namelist()}
    with path.open("wb") as file:
        write_directory(file, [write_entry(file, name, change(name, body)) for name, body in bodies.items()])
    return path
