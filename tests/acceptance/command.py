"""Runs a command of the program in this process, as `meshdoctor ARGUMENTS < input` would run."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Sequence
from typing import NamedTuple

from meshdoctor.cli import main


class Ran(NamedTuple):
    exit: int
    stdout: str
    stderr: str


def run(arguments: Sequence[str], stdin: bytes = b"") -> Ran:
    """The exit status and what was printed."""
    written, err = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(written, encoding="utf-8", newline="")  # some commands write bytes to its buffer
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main(list(arguments))
            except SystemExit as left:
                status = left.code if isinstance(left.code, int) else 1
    finally:
        sys.stdin = before
    out.flush()
    return Ran(status, written.getvalue().decode(), err.getvalue())
