"""`meshdoctor diagnose [RECORDING]`: the culprit of failing requests, with evidence and what to change."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from meshdoctor.commands.flag_values import add_language
from meshdoctor.commands.mesh_source import add_source_arguments, close_source, open_source

if TYPE_CHECKING:
    from meshdoctor.guide.diagnosis import Diagnosis
    from meshdoctor.mesh.question import Question
    from meshdoctor.sources.recording import RecordingSource
    from meshdoctor.sources.source import Source


def configure(parser: argparse.ArgumentParser) -> None:
    add_source_arguments(parser, positional=True)
    parser.add_argument("--from", dest="client", default="", metavar="NS/WORKLOAD", help="who calls")
    parser.add_argument("--to", dest="target", default="", metavar="HOST[:PORT][/PATH]", help="what is called")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to print (default: text)")
    add_language(parser)


def run(arguments: argparse.Namespace) -> int:
    import msgspec

    from meshdoctor.mesh.question import parse_question
    from meshdoctor.present.diagnosis import diagnosis_lines
    from meshdoctor.present.words import choose_language
    from meshdoctor.sources.recording import RecordingSource

    question = parse_question(arguments.client, arguments.target)
    try:
        source = open_source(arguments)
        diagnosis = _diagnose(source, question)
        if isinstance(source, RecordingSource) and source.info.moments:
            diagnosis = _with_earlier_moments(diagnosis, source)
    finally:
        close_source(arguments)
    if arguments.output == "json":
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(diagnosis), indent=1) + b"\n")
    else:
        language = arguments.lang or choose_language(os.environ)
        print("\n".join(diagnosis_lines(diagnosis, language=language)))
    return diagnosis.exit_status


def _diagnose(source: Source, question: Question | None = None) -> Diagnosis:
    from meshdoctor.guide.examination import Examination
    from meshdoctor.mesh import sample
    from meshdoctor.model.snapshot import Snapshot

    # A file is read whole; of a large cluster, some pods of each workload, and what a probe wants besides.
    most = sample.MOST_PODS if source.info.kind == "cluster" else None
    examination = Examination(source.read, Snapshot(source.info, {}), question, most=most)
    for _ in examination.steps():
        continue
    return examination.diagnosis()


def _with_earlier_moments(diagnosis: Diagnosis, source: RecordingSource) -> Diagnosis:
    """What was wrong at the moments before this one, told as over."""
    from meshdoctor.guide.earlier import with_earlier

    moments = [moment for moment in source.info.moments if moment < source.info.moment]
    # Without the question: its names need not have existed at that moment.
    return with_earlier(diagnosis, moments, lambda moment: _diagnose(source.at(moment)))
