"""The command line: argparse only, so that `--help` imports nothing heavy; a command is imported when it is chosen."""

from __future__ import annotations

import argparse
import os.path
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple

from meshdoctor import __version__
from meshdoctor.errors import MeshDoctorError

WRONG = "the command was wrong or the source could not be read"
DONE = {0: "done", 2: WRONG}
"""What the exit status of a command says that judges nothing."""
AS_ISTIOCTL = {0: "done", 1: "an error with -o istioctl, as istioctl has it", 2: WRONG}


class Command(NamedTuple):
    """A sub-command: its module (with `configure(parser)` and `run(arguments) -> exit status`) and its one-line
    help.
    """

    module: str
    summary: str
    alias: str = ""
    """A shorter name, as istioctl has it."""
    statuses: Mapping[int, str] = DONE
    """What each exit status of it says."""


COMMANDS: dict[str, Command] = {
    "diagnose": Command(
        "meshdoctor.commands.diagnose",
        "name the culprit of failing requests, with evidence",
        statuses={
            0: "nothing is wrong now",
            1: "an active culprit was found",
            2: WRONG,
            3: "nothing conclusive",
        },
    ),
    "explain": Command(
        "meshdoctor.commands.explain",
        "say what a response flag, detail or access-log line means",
        statuses={0: "explained (also when the log shows failures, or none)", 2: "nothing readable was given"},
    ),
    "proxy-status": Command(
        "meshdoctor.commands.proxy_status",
        "show whether the proxies are in sync with istiod",
        "ps",
        {**AS_ISTIOCTL, 0: "done, whether they are in sync or not"},
    ),
    "proxy-config": Command(
        "meshdoctor.commands.proxy_config",
        "show what a proxy is configured to do",
        "pc",
        {**AS_ISTIOCTL, 1: "rootca-compare: no common root;\n  or an error with -o istioctl"},
    ),
    "ztunnel-config": Command(
        "meshdoctor.commands.ztunnel_config", "show what a node's ztunnel knows", "zc", AS_ISTIOCTL
    ),
    "mtls": Command(
        "meshdoctor.commands.mtls",
        "show the mTLS in force between workloads, and where it fails",
        statuses={
            0: "no disagreement was hit",
            1: "a disagreement was hit by traffic",
            2: WRONG,
            3: "what was read cannot show it: one is declared and may be hit,\n"
            "  or what declares one could not be read",
        },
    ),
    "trace": Command(
        "meshdoctor.commands.trace",
        "follow one request hop by hop, and say where it fails",
        statuses={
            0: "nothing fails it",
            1: "something fails it, or a part of such requests",
            2: WRONG,
            3: "it could not be followed with certainty,\n  or only the logs show that it fails",
        },
    ),
    "waypoint": Command(
        "meshdoctor.commands.waypoint",
        "list the waypoints, show whether they are programmed",
        statuses={**AS_ISTIOCTL, 1: "status: a waypoint is not programmed;\n  or an error with -o istioctl"},
    ),
    "check-access": Command(
        "meshdoctor.commands.check_access",
        "show which rights you have, and the role for more",
        statuses={
            0: "every right is there",
            1: "a right is missing, or could not be asked for",
            2: "the command was wrong or the cluster could not be read",
        },
    ),
    "record": Command(
        "meshdoctor.commands.record",
        "keep what the mesh looks like in one redacted file",
        statuses={**DONE, 0: "recorded (what could not be read is listed in the file)"},
    ),
    "bundle": Command(
        "meshdoctor.commands.bundle",
        "inspect, verify, repair or redact a recorded bundle",
        statuses={**DONE, 1: "verify: something in it is damaged"},
    ),
    "compare": Command(
        "meshdoctor.commands.compare",
        "say what changed between two moments of a recording",
        statuses={**DONE, 0: "compared, whether anything changed or not"},
    ),
    "open": Command(
        "meshdoctor.commands.tui",
        "open a cluster or a recording in the terminal application",
        statuses={0: "it was left", 2: f"{WRONG},\n  or the application could not be shown"},
    ),
    "demo": Command("meshdoctor.commands.demo", "practise on a recorded incident of a real mesh"),
}

TABLED = ("proxy-config", "ztunnel-config")
"""Commands whose next word is a table."""
TABLED_FLAGS = ("-o", "--output", "--recording", "--proxy-admin-port")
"""Their flags with a value that may stand before it."""

ALIASES = {command.alias: name for name, command in COMMANDS.items() if command.alias}


def _told(statuses: Mapping[int, str]) -> str:
    """What the exit statuses say, a line or more for each."""
    lines = [line for status, said in sorted(statuses.items()) for line in f"{status} {said}".split("\n")]
    margin = " " * len("exit status: ")
    return "exit status: " + f"\n{margin}".join(lines) + "\n"


def build_parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """The parser; only the *chosen* sub-command's module is imported to add its arguments."""
    parser = argparse.ArgumentParser(
        prog=_program(sys.argv[0]),
        description="Why does this Istio mesh fail requests? Names the culprit, with evidence and what to change.\n"
        "Without a command, the cluster of the kubeconfig (or a RECORDING) is opened in the terminal.",
        epilog=_told(DONE) + "Where a command judges, 1 and 3 say how: see its --help.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"meshdoctor {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=f"{command.summary} ({command.alias})" if command.alias else command.summary,
            description=command.summary[0].upper() + command.summary[1:] + ".",
            epilog=_told(command.statuses),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == chosen:
            import_module(command.module).configure(sub)
    return parser


def _program(path: str) -> str:
    """How this was called: as kubectl's plugin, or by its own name."""
    return "kubectl meshdoctor" if os.path.basename(path).startswith(("kubectl-", "kubectl_")) else "meshdoctor"


def _with_command(arguments: list[str]) -> list[str]:
    """*arguments* with a command's whole name for its alias, and `open` before them where none is named."""
    if not arguments:
        return ["open"]
    first = arguments[0]
    if first.startswith("-"):
        from meshdoctor.commands.cluster_flags import first_word

        place = first_word(arguments)  # kubectl's flags may stand before the command
        if place and arguments[place] in (*COMMANDS, *ALIASES):
            arguments = [arguments[place], *arguments[:place], *arguments[place + 1 :]]
            first = arguments[0]
    if first in ALIASES:
        first = ALIASES[first]
        arguments = [first, *arguments[1:]]
    if first in TABLED:
        return _table_first(arguments)
    own = {"-h", "--help", "--version"}
    is_flag = first.startswith("-") and first not in own
    return ["open", *arguments] if is_flag or (first not in COMMANDS and os.path.exists(first)) else arguments


def _table_first(arguments: list[str]) -> list[str]:
    """*arguments* with the table behind the command: istioctl takes their common flags before it, too."""
    if len(arguments) < 2 or not arguments[1].startswith("-"):
        return arguments
    from meshdoctor.commands.cluster_flags import first_word

    command, *rest = arguments
    place = first_word(rest, TABLED_FLAGS)
    if not place or rest[place].startswith("-"):
        return arguments
    return [command, rest[place], *rest[:place], *rest[place + 1 :]]


def _mistake() -> int:
    """Tell a mistake of the program with all that mends it; what it would have said is not known."""
    import traceback

    from meshdoctor.model.text import visible

    sys.stderr.write(visible(traceback.format_exc()))
    print("meshdoctor: this is a mistake of the program, please report it with the lines above", file=sys.stderr)
    return 2


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status (see `Command.statuses`).

    Without *argv* the command is the process' own, and the last one; a program that runs many gives *argv*.
    """
    arguments = _with_command(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    parser = build_parser(chosen)
    parsed, unknown = parser.parse_known_args(arguments)
    try:
        if unknown:
            from meshdoctor.commands.misplaced import refuse_recordings

            refuse_recordings(parsed, unknown)
            parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        # What was read is worth keeping only where another command may follow.
        parsed.goes_on = argv is not None
        return int(import_module(COMMANDS[parsed.command].module).run(parsed))
    except MeshDoctorError as error:
        from meshdoctor.model.text import visible_line

        # What the user typed, and names of a hostile archive, may be in it.
        print(f"meshdoctor: {visible_line(str(error))}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        # The reader of a pipe left (`| head`): not an error, and nothing more can be written.
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception:
        if argv is not None:
            raise
        return _mistake()
