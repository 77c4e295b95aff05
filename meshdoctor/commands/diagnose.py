"""`meshdoctor diagnose RECORDING`: the culprit of failing requests, with evidence and what to change."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshdoctor.guide.diagnosis import Diagnosis


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recording",
        metavar="RECORDING",
        type=Path,
        nargs="+",
        help="a recording or bundle, or files of kubectl, istioctl (bug-report, too) and Envoy's admin port",
    )
    parser.add_argument("--from", dest="client", default="", metavar="NS/WORKLOAD", help="who calls")
    parser.add_argument("--to", dest="target", default="", metavar="HOST[:PORT][/PATH]", help="what is called")
    parser.add_argument("--at", metavar="TIME", help="the moment of a recording with several (RFC 3339)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to print (default: text)")
    parser.add_argument(
        "--lang", choices=("en", "ko"), help="English or Korean (default: MESHDOCTOR_LANG or the locale)"
    )


def run(arguments: argparse.Namespace) -> int:
    import msgspec

    from meshdoctor.guide.earlier import with_earlier
    from meshdoctor.guide.examination import Examination
    from meshdoctor.mesh.case import parse_question
    from meshdoctor.model.snapshot import Snapshot
    from meshdoctor.present.diagnosis import diagnosis_lines
    from meshdoctor.present.words import choose_language
    from meshdoctor.sources.recording import RecordingSource

    source = RecordingSource.open_all(arguments.recording, arguments.at)
    question = parse_question(arguments.client, arguments.target)
    examination = Examination(source.read, Snapshot(source.info, {}), question)
    for _ in examination.steps():
        continue
    diagnosis = examination.diagnosis()
    if source.info.moments:

        def at(moment: str) -> Diagnosis:
            earlier = source.at(moment)
            # Without the question: its names need not have existed at that moment.
            before = Examination(earlier.read, Snapshot(earlier.info, {}))
            for _ in before.steps():
                continue
            return before.diagnosis()

        moments = [moment for moment in source.info.moments if moment < source.info.moment]
        diagnosis = with_earlier(diagnosis, moments, at)
    if arguments.output == "json":
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(diagnosis), indent=1) + b"\n")
    else:
        language = arguments.lang or choose_language(os.environ)
        print("\n".join(diagnosis_lines(diagnosis, language=language)))
    return diagnosis.exit_status
