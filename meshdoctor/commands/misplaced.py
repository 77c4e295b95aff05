"""A recording where a name is expected: `meshdoctor mtls incident.tar.xz` instead of `--recording incident.tar.xz`."""

from __future__ import annotations

import argparse
import os.path
from collections.abc import Iterable

from meshdoctor.errors import UsageError

_MAGIC = (b"\xfd7zXZ\x00", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"PK\x03\x04")
"""How xz, gzip, zstd, bzip2 and zip (a bundle) files begin."""
_TAR, _TAR_AT = b"ustar", 257
_ANSWERS = (".json", ".yaml", ".yml")
_NAMES = ("client", "target", "only", "targets")


def is_recording(path: str, *, answers: bool = True) -> bool:
    """Whether *path* is a file or folder that `--recording` takes; *answers*: also kubectl's and Envoy's own files.

    A file that merely has the name of a workload is none: an archive is known by its beginning.
    """
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, "manifest.json"))
    if not os.path.isfile(path):
        return False
    if answers and path.lower().endswith(_ANSWERS):
        return True
    try:
        with open(path, "rb") as opened:
            head = opened.read(_TAR_AT + len(_TAR))
    except OSError:
        return False
    return head.startswith(_MAGIC) or head[_TAR_AT:] == _TAR


def refuse_recordings(arguments: argparse.Namespace, more: Iterable[str] = ()) -> None:
    """Raises `UsageError` when a name, or one of *more* words, is a recording."""
    words = list(more)
    for name in _NAMES:
        given = getattr(arguments, name, None)
        words += [given] if isinstance(given, str) else list(given or ())
    for word in words:
        if word and not word.startswith("-") and is_recording(word):
            raise UsageError(f"{word}: that is a recording", "use --recording PATH")


def refuse_recorded_file(path: str) -> None:
    """Raises `UsageError` when the file of `--file`, one answer of an admin port, is a whole recording."""
    if path and path != "-" and is_recording(path, answers=False) and not _is_packed_answer(path):
        raise UsageError(f"{path}: that is a recording", "use --recording PATH")


def _is_packed_answer(path: str) -> bool:
    from pathlib import Path

    from meshdoctor.recording.archive import is_packed_answer

    return is_packed_answer(Path(path))
