"""`meshdoctor compare RECORDING --at A --with B`: what changed between two moments."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshdoctor.sources.recording import RecordingSource

SUMMARY = "say what changed between two moments of a recording"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recording", type=Path, nargs="+", metavar="RECORDING", help="a bundle or recording; or two")
    parser.add_argument("--at", metavar="TIME", help="the first moment (RFC 3339; default: the first recorded)")
    parser.add_argument("--with", dest="other", metavar="TIME", help="the second moment (default: the last recorded)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to print (default: text)")


def run(arguments: argparse.Namespace) -> int:
    import msgspec

    from meshdoctor.guide.comparison import compare_readings, read_moment
    from meshdoctor.model.text import visible_line
    from meshdoctor.present.comparison import change_lines

    before, after = _moments(arguments)
    names = tuple(source.info.moment or source.info.name for source in (before, after))
    first, second = (read_moment(name, one.read, one.info) for name, one in zip(names, (before, after), strict=True))
    changes = compare_readings(first, second)
    if arguments.output == "json":
        found = {"before": names[0], "after": names[1], "changes": changes}
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    else:
        print(visible_line(f"{names[0]} -> {names[1]}"))
        print("\n".join(change_lines(changes)))
    return 0


def _moments(arguments: argparse.Namespace) -> tuple[RecordingSource, RecordingSource]:
    from meshdoctor.errors import UsageError
    from meshdoctor.sources.recording import RecordingSource

    if len(arguments.recording) > 2:
        raise UsageError("more than two recordings are named", "compare two of them")
    if len(arguments.recording) == 2:
        first, second = arguments.recording
        return RecordingSource.open(first, arguments.at), RecordingSource.open(second, arguments.other)
    last = RecordingSource.open(arguments.recording[0], arguments.other)
    if len(last.info.moments) < 2:
        raise UsageError("the recording holds just one moment", "name two recordings")
    return last.at(arguments.at or last.info.moments[0]), last
