"""`meshdoctor bundle inspect|verify|repair|redact`: what is in a bundle, whether it is whole, and what to do if not."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

SUMMARY = "inspect, verify, repair or redact a recorded bundle"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    inspect = actions.add_parser("inspect", help="show what a bundle holds, and what could not be read")
    inspect.add_argument("bundle", type=Path, metavar="FILE")
    inspect.add_argument("--redaction-report", action="store_true", help="how often each redaction rule was applied")
    inspect.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to print")
    verify = actions.add_parser("verify", help="read everything that a bundle claims to hold")
    verify.add_argument("bundle", type=Path, metavar="FILE")
    repair = actions.add_parser("repair", help="save every finished moment of a bundle that was not finished")
    repair.add_argument("bundle", type=Path, metavar="FILE")
    repair.add_argument("-o", "--output", type=Path, metavar="FILE", help="the new bundle (default: FILE.repaired.mdb)")
    redact = actions.add_parser("redact", help="make a redacted bundle of a recording, a bundle or other tools' files")
    redact.add_argument("bundle", type=Path, metavar="FILE", nargs="+")
    redact.add_argument("-o", "--output", type=Path, metavar="FILE", required=True, help="the new bundle")


def run(arguments: argparse.Namespace) -> int:
    actions = {"inspect": _inspect, "verify": _verify, "repair": _repair, "redact": _redact}
    return actions[arguments.action](arguments)


def _inspect(arguments: argparse.Namespace) -> int:
    import msgspec

    from meshdoctor.present.bundle import bundle_lines
    from meshdoctor.recording.bundle.format import MAX_BLOB, MAX_ENTRIES, MAX_SNAPSHOTS
    from meshdoctor.recording.bundle.reader import Bundle
    from meshdoctor.recording.limits import MAX_FILE

    with Bundle(arguments.bundle) as bundle:
        indexes = [bundle.index(reference.id) for reference in bundle.manifest.snapshots]
        if arguments.output == "json":
            found = {"manifest": bundle.manifest, "snapshots": indexes}
            sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
        else:
            sizes = f"{MAX_FILE >> 20} MiB a file, {MAX_BLOB >> 20} MiB a part"
            limits = f"{sizes}, {MAX_ENTRIES} entries, {MAX_SNAPSHOTS} moments"
            lines = bundle_lines(msgspec.to_builtins(bundle.manifest), msgspec.to_builtins(indexes), limits)
            print("\n".join(lines))
            if arguments.redaction_report:
                print("\nREDACTED")
                for rule, count in sorted(bundle.manifest.redaction.items(), key=lambda entry: -entry[1]):
                    print(f"{count:8}  {rule}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from meshdoctor.commands.record import counted
    from meshdoctor.model.text import visible_line
    from meshdoctor.recording.bundle.reader import Bundle
    from meshdoctor.recording.bundle.upkeep import verify

    wrong = verify(arguments.bundle)
    for line in wrong:
        print(visible_line(line))
    with Bundle(arguments.bundle) as bundle:
        moments = len(bundle.manifest.snapshots)
        verdict = "whole" if not wrong else "1 thing is wrong" if len(wrong) == 1 else f"{len(wrong)} things are wrong"
        print(f"{verdict}: {counted(moments)}, root {bundle.manifest.root[:16] or 'unknown'}")
    return 0 if not wrong else 1


def _repair(arguments: argparse.Namespace) -> int:
    from meshdoctor.commands.record import counted
    from meshdoctor.model.text import visible_line
    from meshdoctor.recording.bundle.upkeep import repair

    name = arguments.bundle.name.removesuffix(".part").removesuffix(".mdb")
    done = repair(arguments.bundle, arguments.output or arguments.bundle.parent / f"{name}.repaired.mdb")
    lost = f", {done.lost} not whole" if done.lost else ""
    print(visible_line(f"{counted(done.saved)} saved{lost}: {done.path}"))
    return 0


def _redact(arguments: argparse.Namespace) -> int:
    from meshdoctor.commands.record import counted
    from meshdoctor.model.text import visible_line
    from meshdoctor.recording.bundle.recorder import record_recording
    from meshdoctor.recording.bundle.writer import BundleWriter
    from meshdoctor.recording.opening import open_any

    recording = open_any(arguments.bundle)
    with BundleWriter(arguments.output, now=time.time, source=visible_line(str(recording.path))) as writer:
        record_recording(writer, recording)
    print(visible_line(f"{counted(len(writer.snapshots))}, redacted: {arguments.output}"))
    return 0
