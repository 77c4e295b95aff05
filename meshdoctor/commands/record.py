"""`meshdoctor record`: keep what a mesh looks like, once or every so often, in one redacted file."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshdoctor.commands.cluster_flags import add_cluster_flags

if TYPE_CHECKING:
    from meshdoctor.recording.bundle.writer import BundleWriter
    from meshdoctor.recording.raw import RawRecording
    from meshdoctor.sources.recording import RecordingSource
    from meshdoctor.sources.source import Source

SUMMARY = "keep what the mesh looks like in one redacted file"
ASKED = "--namespaces"
"""Why a list of objects is not of every namespace."""
_LONGEST = 10 * 365 * 86400.0
"""Seconds. Neither a system's sleep nor kubelet takes any number of them."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the bundle (default: meshdoctor-TIME.mdb)")
    parser.add_argument(
        "--namespaces",
        default="",
        metavar="NS,…",
        help="record only these, the control plane and what has no namespace",
    )
    parser.add_argument("--since", default="15m", metavar="TIME", help="how far back logs are read (default: 15m)")
    parser.add_argument("--every", default="", metavar="TIME", help="record a moment every so often, until Ctrl-C")
    parser.add_argument("--count", type=int, default=0, metavar="N", help="stop after so many moments")
    parser.add_argument("--limit", type=int, default=256, metavar="MIB", help="largest size of the file (default: 256)")
    parser.add_argument("--dry-run", action="store_true", help="print what would be recorded, and record nothing")
    parser.add_argument(
        "--from-recording",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="record from these files instead of a cluster: a raw recording becomes a redacted bundle",
    )
    add_cluster_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    from meshdoctor.errors import UsageError
    from meshdoctor.model.moment import rfc3339
    from meshdoctor.model.text import visible_line

    every, since = _seconds("--every", arguments.every), _seconds("--since", arguments.since)
    for flag, number, least in (("--limit", arguments.limit, 1), ("--count", arguments.count, 0)):
        if number < least:
            _refuse(flag, str(number))
    if arguments.from_recording and (every or arguments.count):
        raise UsageError("files have the moments that they have", "leave out --every and --count")
    if arguments.count > 1 and not every:
        raise UsageError(f"--count {arguments.count} needs --every", "say how often with --every 30s")
    stamp = rfc3339(time.time()).replace(":", "").replace("-", "")
    output = arguments.output or Path(f"meshdoctor-{stamp}.mdb")
    writer = _from_files(arguments, output) if arguments.from_recording else _live(arguments, output, every, since)
    if writer is not None:
        full = f" (full at {arguments.limit} MiB: what came after is listed as truncated)" if writer.full else ""
        print(visible_line(f"{counted(len(writer.snapshots))} in {output}{full}"))
    return 0


def counted(moments: int) -> str:
    """So many moments, in words."""
    return f"{moments} moment" if moments == 1 else f"{moments} moments"


def _seconds(flag: str, text: str) -> float:
    from meshdoctor.model.moment import duration

    found = duration(text)
    if text and not 0 < (found or 0) <= _LONGEST:
        _refuse(flag, text)
    return found or 0.0


def _refuse(flag: str, text: str) -> None:
    from meshdoctor.errors import UsageError
    from meshdoctor.model.text import visible_line

    raise UsageError(
        f"{flag} {visible_line(text)!r} cannot be used",
        "write times as 30s or 15m (at most ten years), sizes and counts as a number",
    )


def _from_files(arguments: argparse.Namespace, output: Path) -> BundleWriter | None:
    from meshdoctor.model.text import visible_line
    from meshdoctor.recording.bundle.recorder import record_recording
    from meshdoctor.recording.bundle.writer import BundleWriter
    from meshdoctor.recording.opening import open_any
    from meshdoctor.recording.redaction.answers import kept
    from meshdoctor.sources.scope import named_namespaces

    recording = open_any(arguments.from_recording)
    limit = _limit(recording, named_namespaces(arguments.namespaces))
    if arguments.dry_run:
        for file in sorted(limit(recording).files if limit else recording.files):
            print(visible_line(f"{'record' if kept(file) else 'skip  '}  {file}"))
        return None
    source = visible_line(str(recording.path))
    with BundleWriter(output, now=time.time, limit=arguments.limit << 20, source=source) as writer:
        record_recording(writer, recording, limit)
    return writer


def _limit(recording: RawRecording, named: tuple[str, ...]) -> Callable[[RawRecording], RawRecording] | None:
    """Takes what is of other namespaces than those *named* out of a moment; None where no namespace is named."""
    from meshdoctor.recording.limited import limited
    from meshdoctor.sources.recording import RecordingSource

    if not named:
        return None
    namespaces = _scope_of(RecordingSource(recording), named)

    def limit(moment: RawRecording) -> RawRecording:
        return limited(moment, namespaces, ASKED)

    return limit


def _scope_of(source: RecordingSource, named: tuple[str, ...]) -> tuple[str, ...]:
    """What is recorded when these namespaces are *named*. Raises UsageError when there is no such namespace."""
    from meshdoctor.model import wants as ask
    from meshdoctor.model.istiod import MeshConfig
    from meshdoctor.model.kubernetes import Pod
    from meshdoctor.sources.scope import scope

    snapshot = source.read([ask.Mesh(), ask.Objects("Pod")])
    _require(source, named)
    pods = [pod for pod in snapshot.value(ask.Objects("Pod")) or () if isinstance(pod, Pod)]
    return scope(named, pods, snapshot.value(ask.Mesh()) or MeshConfig())


def _require(source: Source, named: tuple[str, ...]) -> None:
    """Raises UsageError when a namespace that is *named* is known not to exist."""
    from meshdoctor.model import wants as ask
    from meshdoctor.model.snapshot import Missing
    from meshdoctor.sources.scope import require_namespaces

    found = source.read([ask.Objects("Namespace")]).get(ask.Objects("Namespace"))
    if not isinstance(found, Missing):
        require_namespaces(named, found.value)


def _live(arguments: argparse.Namespace, output: Path, every: float, since: float) -> BundleWriter | None:
    from meshdoctor.commands.cluster_flags import open_live_source
    from meshdoctor.commands.recorded_moment import batches, record_moment
    from meshdoctor.model.text import visible_line
    from meshdoctor.recording.bundle.writer import BundleWriter
    from meshdoctor.sources.live_files import file_of
    from meshdoctor.sources.scope import named_namespaces

    read: list[tuple[str, bytes]] = []
    named = named_namespaces(arguments.namespaces)
    options: dict[str, Any] = {"since_seconds": int(since), "capture": lambda file, body: read.append((file, body))}
    with open_live_source(arguments, **options) as source:
        namespaces: tuple[str, ...] = ()
        if named:
            _require(source, named)
            namespaces = source.limit(named, ASKED)
            read.clear()  # the moments are read anew
        if arguments.dry_run:
            for batch in batches(source, source.read([]), namespaces):
                for want in batch:
                    print(visible_line(f"record  {file_of(want)}"))
            if namespaces:
                print(visible_line(f"of namespaces {', '.join(namespaces)}"), file=sys.stderr)
            return None
        with BundleWriter(output, now=time.time, limit=arguments.limit << 20, source=source.info.name) as writer:
            try:
                for number in moments(every, arguments.count, time.monotonic, time.sleep):
                    snapshot = writer.snapshot(time.time())
                    record_moment(source, snapshot, read, namespaces, time.time())
                    snapshot.finish(time.time())
                    print(f"moment {number} recorded", file=sys.stderr)
                    if writer.full:
                        break
            except KeyboardInterrupt:
                if not writer.snapshots:
                    raise  # the moment that was begun is not whole, and there is no other
    return writer


def moments(every: float, count: int, clock: Callable[[], float], sleep: Callable[[float], None]) -> Iterator[int]:
    """Numbers of moments, *every* so many seconds; one without *every*, at most *count* (0: without end)."""
    number = 0
    while True:
        begun = clock()
        number += 1
        yield number
        if not every or number == count:
            return
        sleep(max(every - (clock() - begun), 0.0))
